// SPDX-License-Identifier: Apache-2.0
#include "src/dataset/rows.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/text.h"

static const size_t most_bytes = (size_t)64 << 30; /* of a file: rows are kept in memory */

/* ---- ids ----------------------------------------------------------------------- */

static int read_id(struct row *row, const char *key, struct err *err)
{
	struct json_value id = {0};
	if (key)
		id = json_in(json_root(row->doc), key);
	switch (key ? json_kind(id) : JSON_ABSENT) {
	case JSON_ABSENT:
	case JSON_NULL:
		row->id = (struct ifd_id){.is_number = true, .number = (int64_t)row->line};
		return 0;
	case JSON_INTEGER:
		row->id.is_number = true;
		return json_get_int64(id, &row->id.number, err);
	case JSON_STRING:
		return json_get_string(id, &row->id.text, NULL, err);
	default:
		return err_set(err, ERR_DATA, "'%s' must be a whole number or a string", key);
	}
}

static int by_id(const void *a, const void *b)
{
	const struct named_row *x = a, *y = b;
	int difference = ifd_id_compare(x->id, y->id);
	return difference ? difference : (x->i > y->i) - (x->i < y->i);
}

bool rows_twins(size_t twin[2], struct named_row *list, size_t n)
{
	qsort(list, n, sizeof *list, by_id);
	for (size_t i = 1; i < n; i++)
		if (!ifd_id_compare(list[i - 1].id, list[i].id)) {
			twin[0] = list[i - 1].i;
			twin[1] = list[i].i;
			return true;
		}
	return false;
}

static int check_ids(const struct rows *rows, struct err *err)
{
	struct named_row *list = mem_array(rows->n, sizeof *list, err);
	size_t twin[2];
	int rc = list ? 0 : -1;
	for (size_t i = 0; list && i < rows->n; i++)
		list[i] = (struct named_row){&rows->row[i].id, i};
	if (list && rows_twins(twin, list, rows->n))
		rc = err_set(err, ERR_DATA, "%s: lines %zu and %zu have the same id%s", rows->path,
			     rows->row[twin[0]].line, rows->row[twin[1]].line,
			     rows->row[twin[0]].id.is_number ? "; a row without one has its line's number" : "");
	free(list);
	return rc;
}

uint64_t row_key_of(const struct ifd_id *id)
{
	unsigned char digest[HASH_SIZE];
	uint64_t key = (uint64_t)id->number;
	if (id->is_number || hash_bytes(digest, id->text, strlen(id->text), NULL))
		return key;
	memcpy(&key, digest, sizeof key);
	return key;
}

/* ---- lines ------------------------------------------------------------------------ */

int row_refuse(const struct rows *rows, size_t i, struct err *err)
{
	return err_prefix(err, "%s:%zu", rows->path, rows->row[i].line);
}

/* Of CSV, gzip or a list in one piece the parser alone would speak of a byte. */
static struct json *parse_line(const char *text, size_t n, struct err *err)
{
	struct json *doc = json_parse(text, n, NULL, err);
	if (doc && !json_expect(json_root(doc), JSON_OBJECT, err))
		return doc;
	json_free(doc);
	if (err->code == ERR_DATA) {
		const struct err why = *err;
		err_set(err, ERR_DATA, "%s; rows are JSON Lines, one object a line", why.message);
	}
	return NULL;
}

static int read_line(const struct rows_reader *reader, const char *text, size_t n, size_t line, struct err *err)
{
	struct row row = {.line = line, .doc = parse_line(text, n, err)};
	int rc = row.doc && !read_id(&row, reader->id_key, err) ? reader->take(reader->context, &row, err) : -1;
	json_free(row.doc);
	return rc ? err_prefix(err, "%s:%zu", reader->path, line) : 0;
}

static bool blank(const char *text, size_t n)
{
	return strspn(text, " \t\r") >= n;
}

static int read_lines(const struct rows_reader *reader, const char *text, size_t n, struct err *err)
{
	size_t at = text_mark_length(text, n);
	for (size_t line = 1; at < n; line++) {
		const char *newline = memchr(text + at, '\n', n - at);
		size_t length = newline ? (size_t)(newline - (text + at)) : n - at, end = at + length + 1;
		if (length && text[at + length - 1] == '\r')
			length--;
		if (!blank(text + at, length) && read_line(reader, text + at, length, line, err))
			return -1;
		at = end;
	}
	return 0;
}

int rows_read(const struct rows_reader *reader, struct err *err)
{
	size_t n;
	char *text = file_read(reader->path, most_bytes, &n, err);
	int rc = text ? read_lines(reader, text, n, err) : -1;
	free(text);
	return rc;
}

static int keep(void *context, struct row *row, struct err *err)
{
	struct rows *rows = context;
	if (mem_grow(&rows->row, &rows->room, rows->n + 1, sizeof *rows->row, err))
		return -1;
	rows->row[rows->n++] = *row;
	row->doc = NULL;
	return 0;
}

int rows_load(struct rows *rows, const char *path, struct err *err)
{
	return rows_load_by(rows, path, "id", err);
}

int rows_load_by(struct rows *rows, const char *path, const char *id_key, struct err *err)
{
	const struct rows_reader reader = {.path = path, .id_key = id_key, .take = keep, .context = rows};
	*rows = (struct rows){.path = path};
	int rc = rows_read(&reader, err) || check_ids(rows, err) ? -1 : 0;
	if (rc)
		rows_release(rows);
	return rc;
}

void rows_release(struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		json_free(rows->row[i].doc);
	free(rows->row);
	*rows = (struct rows){0};
}

/* ---- writing ------------------------------------------------------------------------ */

void row_put_id(struct json_writer *w, const struct ifd_id *id)
{
	json_put_key(w, "id");
	if (id->is_number)
		json_put_int(w, id->number);
	else
		json_put_string(w, id->text, strlen(id->text));
}

static bool named(const char *const names[], const char *key)
{
	while (*names && strcmp(*names, key))
		names++;
	return *names != NULL;
}

void row_put_others(struct json_writer *w, const struct row *row, const char *const without[], struct err *err)
{
	struct json_iter it;
	if (json_members(json_root(row->doc), &it, err))
		return;
	while (json_next(&it)) {
		if (!strcmp(it.key, "id") || named(without, it.key))
			continue;
		json_put_key(w, it.key);
		json_put_value(w, it.value);
	}
}
