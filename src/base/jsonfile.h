// SPDX-License-Identifier: Apache-2.0
/*
 * jsonfile.h - what a JSON writer holds, into a file. Both release the writer,
 * whatever happens; failures are the writer's first and those of file.h.
 */
#ifndef BALDISTILL_BASE_JSONFILE_H
#define BALDISTILL_BASE_JSONFILE_H

#include "src/base/file.h"
#include "src/base/jsonio.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A file of one document, whole or not at all. */
int json_save(struct json_writer *w, const char *path, struct err *err);

/* One row of a JSON Lines file. On failure the caller aborts the file. */
int json_save_row(struct json_writer *w, struct file_writer *file, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
