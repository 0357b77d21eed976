// SPDX-License-Identifier: Apache-2.0
/*
 * jsonfile.h - what a JSON writer holds, into a file, a block of rows or a
 * text. All release the writer, whatever happens; failures are the writer's
 * first, those of file.h, and ERR_MEMORY.
 */
#ifndef BALDISTILL_BASE_JSONFILE_H
#define BALDISTILL_BASE_JSONFILE_H

#include "src/base/file.h"
#include "src/base/jsonio.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The document, NUL-terminated, the caller's from now on; released with free(). *n bytes, where it is not NULL. */
char *json_take(struct json_writer *w, size_t *n, struct err *err);

/* A file of one document, whole or not at all. */
int json_save(struct json_writer *w, const char *path, unsigned mode, struct err *err);

/* One row of a JSON Lines file. On failure the caller aborts the file. */
int json_save_row(struct json_writer *w, struct file_writer *file, struct err *err);

/* Rows of a JSON Lines file as text, such as a block of part.h; begins as zeros, text released with free(). */
struct json_rows {
	char *text;
	size_t n, room;
};
int json_rows_add(struct json_rows *rows, struct json_writer *w, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
