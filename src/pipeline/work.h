// SPDX-License-Identifier: Apache-2.0
/*
 * work.h - a name for everything that decides the bytes of a job over rows.
 *
 * It covers the program's version, the backend with its library, kernels and
 * threads, the options of struct job, the command's own settings (a JSON text),
 * the rows as they were read, and the files of the model directory that are
 * read: small ones by their content, large ones by size and time of change.
 */
#ifndef BALDISTILL_PIPELINE_WORK_H
#define BALDISTILL_PIPELINE_WORK_H

#include "src/base/hash.h"
#include "src/pipeline/job.h"

/* The name as 64 hexadecimal digits. Failures: those of file_open for the model's files, ERR_MEMORY. */
int work_name(char hex[HASH_HEX_ROOM], const struct job *job, const char *settings, struct err *err);

#endif
