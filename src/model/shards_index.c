// SPDX-License-Identifier: Apache-2.0
/* Reading the index of shards, as a stream: it may list a million tensors. */
#define _GNU_SOURCE /* qsort_r */
#include "src/model/shards_index.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/jsonio.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/directory.h"
#include "src/model/limits.h"

struct reading {
	struct json_reader *reader;
	struct json_event event; /* the latest */
	struct shard_index *index;
	struct err *err;
};

static int next(struct reading *in)
{
	return json_reader_next(in->reader, &in->event, in->err);
}

static bool begins(const struct reading *in, enum json_kind kind)
{
	return in->event.kind == JSON_EVENT_VALUE && in->event.value == kind;
}

static bool says(const struct reading *in, const char *key)
{
	return in->event.n == strlen(key) && !memcmp(in->event.bytes, key, in->event.n);
}

/* Step over the value that the latest event begins. */
static int skip(struct reading *in)
{
	size_t depth = 0;

	for (;;) {
		if (begins(in, JSON_OBJECT) || begins(in, JSON_ARRAY))
			depth++;
		depth -= in->event.kind == JSON_EVENT_CLOSE;
		if (!depth)
			return 0;
		if (next(in))
			return -1;
	}
}

static int keep(struct reading *in, uint32_t *place)
{
	struct shard_index *x = in->index;

	if (mem_grow(&x->text, &x->text_room, x->text_n + in->event.n + 1, 1, in->err))
		return -1;
	*place = (uint32_t)x->text_n;
	memcpy(x->text + x->text_n, in->event.bytes, in->event.n);
	x->text[x->text_n + in->event.n] = '\0';
	x->text_n += in->event.n + 1;
	return 0;
}

/* A shard lies in the directory itself: no path, no hidden file, no other format. */
static int check_file_name(struct reading *in)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	static const char ending[] = ".safetensors";
	const char *name = in->event.bytes;
	size_t n = in->event.n, tail = sizeof ending - 1;
	char shown[160];
	bool good = n > tail && n <= LIMIT_SHARD_NAME_BYTES && name[0] != '.' && !memcmp(name + n - tail, ending, tail);

	for (size_t i = 0; good && i < n; i++)
		good = name[i] && strchr(allowed, name[i]);
	if (good)
		return 0;
	return err_set(in->err, ERR_DATA,
		       "byte %zu: bad name of a shard, '%s'; it must be a .safetensors file in the directory",
		       in->event.at, text_escape(shown, sizeof shown, name, n));
}

static int read_pair(struct reading *in)
{
	struct shard_index *x = in->index;
	struct index_entry entry = {0}, *last = x->n ? &x->entries[x->n - 1] : NULL;

	if (x->n == LIMIT_TENSORS)
		return err_set(in->err, ERR_DATA, "'weight_map' lists more than %d tensors", LIMIT_TENSORS);
	if (keep(in, &entry.name) || next(in))
		return -1;
	if (!begins(in, JSON_STRING))
		return err_set(in->err, ERR_DATA, "byte %zu: a value of 'weight_map' must be a string", in->event.at);
	if (check_file_name(in))
		return -1;
	if (last && says(in, x->text + last->file))
		entry.file = last->file;
	else if (keep(in, &entry.file))
		return -1;
	if (mem_grow(&x->entries, &x->room, x->n + 1, sizeof entry, in->err))
		return -1;
	x->entries[x->n++] = entry;
	return 0;
}

static int read_weight_map(struct reading *in)
{
	if (!begins(in, JSON_OBJECT))
		return err_set(in->err, ERR_DATA, "byte %zu: 'weight_map' must be an object", in->event.at);
	for (;;) {
		if (next(in))
			return -1;
		if (in->event.kind == JSON_EVENT_CLOSE)
			return 0;
		if (read_pair(in))
			return -1;
	}
}

/* Some writers have it as 1e9 or 13476839424.0. */
static int read_total(struct reading *in)
{
	char number[JSON_NUMBER_BYTES + 1] = "";

	if (!begins(in, JSON_INTEGER) && !begins(in, JSON_DOUBLE))
		return err_set(in->err, ERR_DATA, "byte %zu: 'metadata.total_size' must be a number", in->event.at);
	memcpy(number, in->event.bytes, in->event.n);
	in->index->has_total = true;
	in->index->total_size = strtod(number, NULL);
	return 0;
}

static int read_metadata(struct reading *in)
{
	if (!begins(in, JSON_OBJECT))
		return err_set(in->err, ERR_DATA, "byte %zu: 'metadata' must be an object", in->event.at);
	for (;;) {
		if (next(in))
			return -1;
		if (in->event.kind == JSON_EVENT_CLOSE)
			return 0;
		bool total = says(in, "total_size");
		if (next(in) || (total ? read_total(in) : skip(in)))
			return -1;
	}
}

static int read_index(struct reading *in)
{
	if (next(in))
		return -1;
	if (!begins(in, JSON_OBJECT))
		return err_set(in->err, ERR_DATA, "byte %zu: the index must be an object", in->event.at);
	for (;;) {
		if (next(in))
			return -1;
		if (in->event.kind == JSON_EVENT_CLOSE)
			break;
		bool map = says(in, "weight_map"), metadata = says(in, "metadata");
		if (next(in) || (map ? read_weight_map(in) : metadata ? read_metadata(in) : skip(in)))
			return -1;
	}
	if (next(in))
		return -1;
	return in->index->n ? 0 : err_set(in->err, ERR_DATA, "'weight_map' is missing or empty");
}

static int by_file(const void *left, const void *right, void *text)
{
	const struct index_entry *a = left, *b = right;

	return strcmp((const char *)text + a->file, (const char *)text + b->file);
}

static int by_name(const void *left, const void *right, void *text)
{
	const struct index_entry *a = left, *b = right;

	return strcmp((const char *)text + a->name, (const char *)text + b->name);
}

/* Number the shards in the order of their names. */
static int number_shards(struct shard_index *x, struct err *err)
{
	x->shards = mem_array(LIMIT_SHARDS, sizeof *x->shards, err);
	if (!x->shards)
		return -1;
	qsort_r(x->entries, x->n, sizeof *x->entries, by_file, x->text);
	for (size_t i = 0; i < x->n; i++) {
		const char *file = x->text + x->entries[i].file;
		if (!x->n_shards || strcmp(x->shards[x->n_shards - 1], file)) {
			if (x->n_shards == LIMIT_SHARDS)
				return err_set(err, ERR_DATA, "more than %d shards", LIMIT_SHARDS);
			x->shards[x->n_shards++] = file;
		}
		x->entries[i].shard = (uint32_t)x->n_shards - 1;
	}
	qsort_r(x->entries, x->n, sizeof *x->entries, by_name, x->text);
	return 0;
}

int shard_index_parse(struct shard_index *index, const char *text, size_t n, struct err *err)
{
	const struct json_limits limits = {LIMIT_INDEX_BYTES, 32, SIZE_MAX};
	struct reading in = {.index = index, .err = err};
	int result;

	in.reader = json_reader_new(text, n, &limits, err);
	if (!in.reader)
		return -1;
	result = read_index(&in);
	json_reader_free(in.reader);
	return result ? result : number_shards(index, err);
}

int shard_index_load(struct shard_index *index, const char *directory, struct err *err)
{
	size_t n;
	char *text = directory_read(directory, INDEX_NAME, LIMIT_INDEX_BYTES, &n, err);
	int result;

	if (!text)
		return -1;
	result = shard_index_parse(index, text, n, err);
	free(text);
	return result ? err_prefix(err, "%s/%s", directory, INDEX_NAME) : 0;
}

void shard_index_release(struct shard_index *index)
{
	free(index->entries);
	free(index->text);
	free(index->shards);
	*index = (struct shard_index){0};
}
