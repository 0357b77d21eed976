// SPDX-License-Identifier: Apache-2.0
/*
 * rows.h - JSON Lines files: one JSON object a line.
 *
 * CRLF, a byte order mark, empty lines and a missing last newline are accepted;
 * every other line must be an object within the strict rules of jsonio.h.
 *
 *     struct rows rows;
 *     if (rows_load(&rows, path, &err))
 *             return -1;
 *     for (size_t i = 0; i < rows.n; i++)
 *             json_get_string(json_in(json_root(rows.row[i].doc), "prompt"), &text, &n, &err);
 *     rows_release(&rows);
 *
 * Every row has an id: its key "id" (rows_load_by: another, or none), a number
 * or a string, or the number of its line, from 1. Equal ids in one file are an
 * error. Numbers sort by value and before strings, strings by bytes.
 *
 * Messages begin with "FILE:LINE:". Failures: ERR_NOINPUT (no such file, or
 * not a regular one), ERR_DATA, ERR_MEMORY, ERR_IO, ERR_NOPERM.
 */
#ifndef BALDISTILL_DATASET_ROWS_H
#define BALDISTILL_DATASET_ROWS_H

#include "reference/ifd.h"
#include "src/base/jsonio.h"

#ifdef __cplusplus
extern "C" {
#endif

struct row {
	size_t line;       /* from 1 */
	struct ifd_id id;  /* text is borrowed from doc */
	struct json *doc;  /* an object */
};

struct rows {
	struct row *row;
	size_t n, room;
	const char *path;  /* borrowed */
};

int rows_load(struct rows *rows, const char *path, struct err *err);
int rows_load_by(struct rows *rows, const char *path, const char *id_key, struct err *err); /* NULL: the line's number */
void rows_release(struct rows *rows);

/* One row after the other, where a file is too large to keep what is not needed of it; ids are not compared. */
struct rows_reader {
	const char *path, *id_key;
	int (*take)(void *context, struct row *row, struct err *err); /* may keep doc, and sets it to NULL then */
	void *context;
};

int rows_read(const struct rows_reader *reader, struct err *err);

/* Row number i of whatever has rows. */
struct named_row {
	const struct ifd_id *id;
	size_t i;
};

/* Whether two of n rows have the same id, and which; puts the list in order. */
bool rows_twins(size_t twin[2], struct named_row *list, size_t n);

/* Put "FILE:LINE: " in front of a message about a row; -1. */
int row_refuse(const struct rows *rows, size_t i, struct err *err);

/* A number for a row's random numbers: the same for the same id, whatever its place in a file. */
uint64_t row_key_of(const struct ifd_id *id);

/* "id": 7 or "id": "seven" */
void row_put_id(struct json_writer *w, const struct ifd_id *id);

/* All members of the row's object but "id" and those named in `without` (NULL-ended), as they are. */
void row_put_others(struct json_writer *w, const struct row *row, const char *const without[], struct err *err);

#ifdef __cplusplus
}
#endif
#endif
