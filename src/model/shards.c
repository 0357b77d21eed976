// SPDX-License-Identifier: Apache-2.0
/* Finding the weights of a directory, and proving that index and shards say the same. */
#define _GNU_SOURCE /* qsort_r */
#include "src/model/shards.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/base/tree.h"
#include "src/model/directory.h"
#include "src/model/shards_index.h"

#define SINGLE_NAME "model.safetensors"

struct shards {
	struct safetensors **files;
	size_t n_files;
	struct place {
		uint32_t file, index;
	} * places; /* sorted by name */
	size_t n;
	char notes[512];
};

static const char *name_at(const struct shards *s, size_t i)
{
	return safetensors_name(s->files[s->places[i].file], s->places[i].index);
}

static const char *path_at(const struct shards *s, size_t i)
{
	return safetensors_path(s->files[s->places[i].file]);
}

static int open_file(struct shards *s, const char *directory, const char *name, struct err *err)
{
	char *path = tree_join(directory, name, err);

	if (!path)
		return -1;
	s->files[s->n_files] = safetensors_open(path, err);
	free(path);
	if (!s->files[s->n_files])
		return directory_blame(err);
	s->n_files++;
	return 0;
}

static int open_files(struct shards *s, const char *directory, const char *const names[], size_t n, struct err *err)
{
	s->files = mem_array(n, sizeof *s->files, err);
	if (!s->files)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (open_file(s, directory, names[i], err))
			return -1;
	return 0;
}

static int by_name(const void *left, const void *right, void *shards)
{
	const struct place *a = left, *b = right;
	const struct shards *s = shards;

	return strcmp(safetensors_name(s->files[a->file], a->index), safetensors_name(s->files[b->file], b->index));
}

/* One table over all files; a name may stand in it once. */
static int build_table(struct shards *s, struct err *err)
{
	char shown[100];
	size_t n = 0;

	for (size_t f = 0; f < s->n_files; f++)
		n += safetensors_count(s->files[f]);
	if (n > LIMIT_TENSORS)
		return err_set(err, ERR_DATA, "the shards hold %zu tensors; the limit is %d", n, LIMIT_TENSORS);
	s->places = mem_array(n, sizeof *s->places, err);
	if (!s->places)
		return -1;
	for (size_t f = 0; f < s->n_files; f++)
		for (size_t i = 0; i < safetensors_count(s->files[f]); i++)
			s->places[s->n++] = (struct place){(uint32_t)f, (uint32_t)i};
	qsort_r(s->places, s->n, sizeof *s->places, by_name, s);
	for (size_t i = 1; i < s->n; i++)
		if (!strcmp(name_at(s, i - 1), name_at(s, i)))
			return err_set(err, ERR_DATA, "tensor '%s' is in two shards, '%s' and '%s'",
				       text_escape(shown, sizeof shown, name_at(s, i), strlen(name_at(s, i))),
				       path_at(s, i - 1), path_at(s, i));
	return 0;
}

/* The first difference between the index and what the shards hold; both are sorted. */
static int compare_with_index(const struct shards *s, const struct shard_index *x, struct err *err)
{
	char shown[100];

	for (size_t i = 0, j = 0; i < s->n || j < x->n; i++, j++) {
		const char *held = i < s->n ? name_at(s, i) : NULL,
			   *listed = j < x->n ? x->text + x->entries[j].name : NULL;
		int order = !held ? 1 : !listed ? -1 : strcmp(held, listed);

		if (order < 0)
			return err_set(err, ERR_DATA, "tensor '%s' of '%s' is not listed in %s",
				       text_escape(shown, sizeof shown, held, strlen(held)), path_at(s, i), INDEX_NAME);
		const char *shard = x->shards[x->entries[j].shard];
		if (order > 0)
			return err_set(err, ERR_DATA, "tensor '%s' is listed in %s for '%s', but no shard holds it",
				       text_escape(shown, sizeof shown, listed, strlen(listed)), INDEX_NAME, shard);
		if (s->places[i].file != x->entries[j].shard)
			return err_set(err, ERR_DATA, "tensor '%s' is listed in %s for '%s', but '%s' holds it",
				       text_escape(shown, sizeof shown, held, strlen(held)), INDEX_NAME, shard,
				       path_at(s, i));
	}
	return 0;
}

static void note_total(struct shards *s, const struct shard_index *x)
{
	uint64_t bytes = 0;
	struct tensor_info info;

	for (size_t i = 0; i < s->n; i++) {
		shards_get(s, i, &info);
		bytes += info.bytes;
	}
	if (x->has_total && x->total_size != (double)bytes)
		snprintf(s->notes, sizeof s->notes, "%s: 'metadata.total_size' is %.0f; the tensors have %llu bytes\n",
			 INDEX_NAME, x->total_size, (unsigned long long)bytes);
}

/* "model-00001-of-00002.safetensors" */
static bool looks_like_shard(const char *name)
{
	static const char pattern[] = "model-#-of-#.safetensors";

	for (const char *p = pattern; *p; p++) {
		if (*p != '#' && *name++ != *p)
			return false;
		if (*p == '#' && !isdigit((unsigned char)*name))
			return false;
		while (*p == '#' && isdigit((unsigned char)*name))
			name++;
	}
	return !*name;
}

static bool listed(const char *name, const struct shard_index *x)
{
	for (size_t i = 0; i < x->n_shards; i++)
		if (!strcmp(name, x->shards[i]))
			return true;
	return false;
}

/* Shards that the index does not know come from another copy of the model: which is right cannot be told. */
static int check_extra(const char *directory, const struct shard_index *x, struct err *err)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	int result = 0;

	if (!dir)
		return err_set_errno(err, ERR_IO, "cannot list '%s'", directory);
	while (!result && (entry = readdir(dir)))
		if (looks_like_shard(entry->d_name) && !listed(entry->d_name, x))
			result = err_set(err, ERR_DATA, "'%s/%s' is not listed in %s; remove it or mend the index",
					 directory, entry->d_name, INDEX_NAME);
	closedir(dir);
	return result;
}

static int open_indexed(struct shards *s, const char *directory, struct shard_index *x, struct err *err)
{
	if (shard_index_load(x, directory, err) || open_files(s, directory, x->shards, x->n_shards, err) ||
	    build_table(s, err) || compare_with_index(s, x, err) || check_extra(directory, x, err))
		return -1;
	note_total(s, x);
	return 0;
}

/* Another format that a directory without safetensors may hold: the first such name, or "". */
static void find_foreign(char *found, size_t room, const char *directory)
{
	static const char *const endings[] = {".bin", ".pt", ".pth", ".pkl", ".ckpt", ".gguf", ".h5", ".msgpack"};
	DIR *dir = opendir(directory);
	struct dirent *entry;

	found[0] = '\0';
	while (dir && (entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');
		for (size_t i = 0; dot && i < sizeof endings / sizeof endings[0]; i++)
			if (!strcmp(dot, endings[i]) && (!*found || strcmp(entry->d_name, found) < 0))
				snprintf(found, room, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static int refuse_directory(const char *directory, struct err *err)
{
	char found[256], shown[300];

	find_foreign(found, sizeof found, directory);
	if (*found)
		return err_set(err, ERR_DATA, "'%s' holds '%s' but no %s; safetensors is needed, convert the model",
			       directory, text_escape(shown, sizeof shown, found, strlen(found)), SINGLE_NAME);
	return err_set(err, ERR_DATA, "'%s' holds neither %s nor %s", directory, SINGLE_NAME, INDEX_NAME);
}

static int open_all(struct shards *s, const char *directory, struct err *err)
{
	static const char *const single[] = {SINGLE_NAME};
	bool indexed, whole;
	struct shard_index index = {0};
	int result;

	if (directory_has(&indexed, directory, INDEX_NAME, err) || directory_has(&whole, directory, SINGLE_NAME, err))
		return -1;
	if (whole) {
		if (indexed)
			snprintf(s->notes, sizeof s->notes, "%s is read, %s is ignored\n", SINGLE_NAME, INDEX_NAME);
		return open_files(s, directory, single, 1, err) ? -1 : build_table(s, err);
	}
	if (!indexed)
		return refuse_directory(directory, err);
	result = open_indexed(s, directory, &index, err);
	shard_index_release(&index);
	return result;
}

struct shards *shards_open(const char *directory, struct err *err)
{
	struct shards *s;

	if (directory_check(directory, err))
		return NULL;
	s = mem_array(1, sizeof *s, err);
	if (!s || !open_all(s, directory, err))
		return s;
	shards_close(s);
	return NULL;
}

void shards_close(struct shards *shards)
{
	if (!shards)
		return;
	for (size_t i = 0; i < shards->n_files; i++)
		safetensors_close(shards->files[i]);
	free(shards->files);
	free(shards->places);
	free(shards);
}

const char *shards_notes(const struct shards *shards)
{
	return shards->notes;
}

size_t shards_count(const struct shards *shards)
{
	return shards->n;
}

void shards_get(const struct shards *shards, size_t index, struct tensor_info *info)
{
	safetensors_get(shards->files[shards->places[index].file], shards->places[index].index, info);
}

bool shards_find(const struct shards *shards, const char *name, struct tensor_info *info)
{
	size_t low = 0, high = shards->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, name_at(shards, middle));

		if (!order) {
			shards_get(shards, middle, info);
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

int shards_expect(const struct shards *shards, const char *name, int rank, const int64_t shape[],
		  struct tensor_info *info, struct err *err)
{
	if (shards_find(shards, name, info))
		return tensor_expect(info, rank, shape, err);
	return err_set(err, ERR_DATA, "%s: tensor '%s' is missing", safetensors_path(shards->files[0]), name);
}
