// SPDX-License-Identifier: Apache-2.0
#include "src/base/jsonfile.h"

#include <string.h>

#include "src/base/mem.h"

char *json_take(struct json_writer *w, size_t *n, struct err *err)
{
	char *text = json_writer_text(w, n, err) ? w->text : NULL;
	if (text)
		w->text = NULL;
	json_writer_release(w);
	return text;
}

int json_save(struct json_writer *w, const char *path, unsigned mode, struct err *err)
{
	size_t n;
	const char *text = json_writer_text(w, &n, err);
	int rc = text ? file_save(path, text, n, mode, err) : -1;
	json_writer_release(w);
	return rc;
}

int json_save_row(struct json_writer *w, struct file_writer *file, struct err *err)
{
	size_t n;
	const char *text = json_writer_text(w, &n, err);
	int rc = text && !file_writer_write(file, text, n, err) && !file_writer_write(file, "\n", 1, err) ? 0 : -1;
	json_writer_release(w);
	return rc;
}

static int append(struct json_rows *rows, const char *text, size_t n, struct err *err)
{
	if (mem_grow(&rows->text, &rows->room, rows->n + n + 1, 1, err))
		return -1;
	memcpy(rows->text + rows->n, text, n);
	rows->text[rows->n + n] = '\n';
	rows->n += n + 1;
	return 0;
}

int json_rows_add(struct json_rows *rows, struct json_writer *w, struct err *err)
{
	size_t n;
	const char *text = json_writer_text(w, &n, err);
	int rc = text ? append(rows, text, n, err) : -1;
	json_writer_release(w);
	return rc;
}
