// SPDX-License-Identifier: Apache-2.0
/*
 * directory.h - files of a model directory. The directory is what the user
 * named: where it is missing or no directory, that is ERR_NOINPUT. A file
 * missing inside it, or not a regular one, makes it a bad model: ERR_DATA.
 */
#ifndef BALDISTILL_MODEL_DIRECTORY_H
#define BALDISTILL_MODEL_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fail unless `directory` is one that can be listed. */
int directory_check(const char *directory, struct err *err);

/* Whether there is anything of that name, a dangling link included; -1 where that cannot be told. */
int directory_has(bool *has, const char *directory, const char *name, struct err *err);

/* The whole file, as file_read has it. */
char *directory_read(const char *directory, const char *name, size_t max, size_t *n, struct err *err);

/* A failure to open a file inside a model directory, turned into what it means there; returns -1. */
int directory_blame(struct err *err);

#ifdef __cplusplus
}
#endif
#endif
