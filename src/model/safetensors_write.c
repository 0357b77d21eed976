// SPDX-License-Identifier: Apache-2.0
/* Writing tensors: header first, then rows as their source gives them; shards and their index. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonfile.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/base/tree.h"
#include "src/model/directory.h"
#include "src/model/safetensors_table.h"

enum { PIECE = 1 << 20, MODE = 0666, SHARD_NAME = 40 };

/* A tensor with its size; an array of them is sorted by name. */
struct item {
	const struct tensor_spec *spec;
	const struct tensor_type *type;
	uint64_t bytes;
};

struct job {
	struct item *items;
	size_t n;
	tensor_source *source;
	void *context;
};

static const struct tensor_type *find_type(const struct tensor_spec *spec)
{
	for (size_t i = 0; i < tensor_type_count; i++)
		if (spec->type ? !strcmp(tensor_types[i].name, spec->type)
			       : tensor_types[i].weight && tensor_types[i].dtype == spec->dtype)
			return &tensor_types[i];
	return NULL;
}

static int check_item(struct item *item, struct err *err)
{
	const struct tensor_spec *spec = item->spec;

	item->type = find_type(spec);
	if (tensor_check_name(spec->name, strlen(spec->name), err))
		return -1;
	if (!item->type)
		return err_set(err, ERR_DATA, "a dtype that is no weight's");
	if (spec->rank < 0 || spec->rank > LIMIT_RANK)
		return err_set(err, ERR_DATA, "%d dimensions; the limit is %d", spec->rank, LIMIT_RANK);
	return tensor_bytes(&item->bytes, item->type, spec->rank, spec->shape, err);
}

static int by_name(const void *left, const void *right)
{
	const struct item *a = left, *b = right;

	return strcmp(a->spec->name, b->spec->name);
}

static int blame(const char *name, struct err *err)
{
	char shown[100];

	return err_prefix(err, "tensor '%s'", text_escape(shown, sizeof shown, name, strlen(name)));
}

static int prepare(struct job *job, const struct tensor_spec tensors[], size_t n, struct err *err)
{
	if (n < 1 || n > LIMIT_TENSORS)
		return err_set(err, ERR_DATA, "%zu tensors; a file must have 1 to %d", n, LIMIT_TENSORS);
	job->items = mem_array(n, sizeof *job->items, err);
	if (!job->items)
		return -1;
	for (job->n = 0; job->n < n; job->n++) {
		job->items[job->n].spec = &tensors[job->n];
		if (check_item(&job->items[job->n], err))
			return blame(tensors[job->n].name, err);
	}
	qsort(job->items, n, sizeof *job->items, by_name);
	for (size_t i = 0; i < n; i++) {
		const char *name = job->items[i].spec->name;
		if (!strcmp(name, "__metadata__") || (i && !by_name(&job->items[i - 1], &job->items[i]))) {
			err_set(err, ERR_DATA, "a name that is reserved or used twice");
			return blame(name, err);
		}
	}
	return 0;
}

static void put_tensor(struct json_writer *w, const struct item *item, uint64_t begin)
{
	json_put_key(w, item->spec->name);
	json_begin_object(w);
	json_put_key(w, "dtype");
	json_put_string(w, item->type->name, strlen(item->type->name));
	json_put_key(w, "shape");
	json_begin_array(w);
	for (int i = 0; i < item->spec->rank; i++)
		json_put_int(w, item->spec->shape[i]);
	json_end_array(w);
	json_put_key(w, "data_offsets");
	json_begin_array(w);
	json_put_uint(w, begin);
	json_put_uint(w, begin + item->bytes);
	json_end_array(w);
	json_end_object(w);
}

static void put_header(struct json_writer *w, const struct job *job)
{
	uint64_t begin = 0;

	json_begin_object(w);
	json_put_key(w, "__metadata__");
	json_begin_object(w);
	json_put_key(w, "format");
	json_put_string(w, "pt", 2);
	json_end_object(w);
	for (size_t i = 0; i < job->n; i++) {
		put_tensor(w, &job->items[i], begin);
		begin += job->items[i].bytes;
	}
	json_end_object(w);
}

/* The length, the text, and spaces up to a multiple of 8 bytes. */
static int write_header(struct file_writer *out, const struct job *job, struct err *err)
{
	struct json_writer w;
	unsigned char length[8];
	const char *text;
	size_t n = 0, padded;
	int result = -1;

	json_writer_init(&w, 0);
	put_header(&w, job);
	text = json_writer_text(&w, &n, err);
	padded = (n + 7) / 8 * 8;
	for (int i = 0; i < 8; i++)
		length[i] = (unsigned char)(padded >> 8 * i);
	if (text && padded > LIMIT_HEADER_BYTES)
		err_set(err, ERR_DATA, "a header of %zu bytes; the limit is %d", padded, LIMIT_HEADER_BYTES);
	else if (text)
		result = file_writer_write(out, length, sizeof length, err) || file_writer_write(out, text, n, err) ||
					 file_writer_write(out, "       ", padded - n, err)
				 ? -1
				 : 0;
	json_writer_release(&w);
	return result;
}

static int write_rows(struct file_writer *out, const struct job *job, const struct item *item, int64_t step,
		      size_t row_bytes, void *piece, struct err *err)
{
	int64_t rows = item->spec->rank ? item->spec->shape[0] : 1;

	for (int64_t row = 0; row < rows; row += step) {
		int64_t n = rows - row < step ? rows - row : step;
		if (job->source(job->context, item->spec, row, n, piece, err) ||
		    file_writer_write(out, piece, (size_t)n * row_bytes, err))
			return -1;
	}
	return 0;
}

static int write_tensor(struct file_writer *out, const struct job *job, const struct item *item, struct err *err)
{
	int64_t rows = item->spec->rank ? item->spec->shape[0] : 1;
	int result;

	if (!item->bytes)
		return 0;
	if (item->bytes % (uint64_t)rows) {
		err_set(err, ERR_DATA, "rows of %s that end inside a byte", item->type->name);
		return blame(item->spec->name, err);
	}
	size_t row_bytes = (size_t)(item->bytes / (uint64_t)rows);
	int64_t step = row_bytes > PIECE ? 1 : (int64_t)(PIECE / row_bytes);
	void *piece = mem_array((size_t)step, row_bytes, err);
	if (!piece)
		return -1;
	result = write_rows(out, job, item, step, row_bytes, piece, err);
	free(piece);
	return result ? blame(item->spec->name, err) : 0;
}

static int save(const char *path, const struct job *job, struct err *err)
{
	struct file_writer out;
	int result;

	if (file_writer_open(&out, path, MODE, err))
		return -1;
	result = write_header(&out, job, err);
	for (size_t i = 0; !result && i < job->n; i++)
		result = write_tensor(&out, job, &job->items[i], err);
	if (!result)
		return file_writer_commit(&out, err);
	file_writer_abort(&out);
	return -1;
}

int safetensors_save(const char *path, const struct tensor_spec tensors[], size_t n, tensor_source *source,
		     void *context, struct err *err)
{
	struct job job = {.source = source, .context = context};
	int result = prepare(&job, tensors, n, err);

	if (!result)
		result = save(path, &job, err);
	free(job.items);
	return result;
}

/* How many of the items from `first` on fill a shard. */
static size_t shard_length(const struct job *job, size_t first, uint64_t shard_bytes)
{
	uint64_t bytes = job->items[first].bytes;
	size_t n = 1;

	while (first + n < job->n && bytes <= shard_bytes && job->items[first + n].bytes <= shard_bytes - bytes)
		bytes += job->items[first + n++].bytes;
	return n;
}

static size_t count_shards(const struct job *job, uint64_t shard_bytes)
{
	size_t n = 0;

	for (size_t first = 0; first < job->n; n++)
		first += shard_length(job, first, shard_bytes);
	return n;
}

static const char *shard_name(char name[SHARD_NAME], size_t shard, size_t shards)
{
	if (shards == 1)
		return "model.safetensors";
	snprintf(name, SHARD_NAME, "model-%05zu-of-%05zu.safetensors", shard + 1, shards);
	return name;
}

static int save_shard(const char *directory, const struct job *job, size_t first, size_t n, const char *name,
		      struct err *err)
{
	struct job part = {job->items + first, n, job->source, job->context};
	char *path = tree_join(directory, name, err);
	int result = path ? save(path, &part, err) : -1;

	free(path);
	return result;
}

static void put_index(struct json_writer *w, const struct job *job, uint64_t shard_bytes, size_t shards)
{
	char name[SHARD_NAME];
	uint64_t total = 0;

	for (size_t i = 0; i < job->n; i++)
		total += job->items[i].bytes;
	json_begin_object(w);
	json_put_key(w, "metadata");
	json_begin_object(w);
	json_put_key(w, "total_size");
	json_put_uint(w, total);
	json_end_object(w);
	json_put_key(w, "weight_map");
	json_begin_object(w);
	for (size_t first = 0, shard = 0, n; first < job->n; first += n, shard++) {
		n = shard_length(job, first, shard_bytes);
		shard_name(name, shard, shards);
		for (size_t i = first; i < first + n; i++) {
			json_put_key(w, job->items[i].spec->name);
			json_put_string(w, name, strlen(name));
		}
	}
	json_end_object(w);
	json_end_object(w);
}

static int save_index(const char *directory, const struct job *job, uint64_t shard_bytes, size_t shards,
		      struct err *err)
{
	char *path = tree_join(directory, "model.safetensors.index.json", err);
	struct json_writer w;

	if (!path)
		return -1;
	json_writer_init(&w, 2);
	put_index(&w, job, shard_bytes, shards);
	int result = json_save(&w, path, MODE, err);
	free(path);
	return result;
}

static int save_all(const char *directory, const struct job *job, uint64_t shard_bytes, struct err *err)
{
	size_t shards = count_shards(job, shard_bytes);
	char name[SHARD_NAME];

	if (shards > LIMIT_SHARDS)
		return err_set(err, ERR_DATA, "%zu shards; the limit is %d, allow larger ones", shards, LIMIT_SHARDS);
	for (size_t first = 0, shard = 0, n; first < job->n; first += n, shard++) {
		n = shard_length(job, first, shard_bytes);
		if (save_shard(directory, job, first, n, shard_name(name, shard, shards), err))
			return -1;
	}
	return shards == 1 ? 0 : save_index(directory, job, shard_bytes, shards, err);
}

int safetensors_save_shards(const char *directory, const struct tensor_spec tensors[], size_t n, uint64_t shard_bytes,
			    tensor_source *source, void *context, struct err *err)
{
	struct job job = {.source = source, .context = context};
	int result = prepare(&job, tensors, n, err);

	if (!result)
		result = save_all(directory, &job, shard_bytes, err);
	free(job.items);
	return result;
}
