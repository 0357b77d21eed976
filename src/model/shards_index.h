// SPDX-License-Identifier: Apache-2.0
/* shards_index.h - model.safetensors.index.json as a table; private to shards*.c. */
#ifndef BALDISTILL_MODEL_SHARDS_INDEX_H
#define BALDISTILL_MODEL_SHARDS_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

#define INDEX_NAME "model.safetensors.index.json"

struct shard_index {
	struct index_entry {
		uint32_t name, file; /* in text */
		uint32_t shard;      /* in shards */
	} * entries;                 /* sorted by name */
	size_t n, room;
	char *text; /* NUL-ended strings */
	size_t text_n, text_room;
	const char **shards; /* names of files, sorted */
	size_t n_shards;
	bool has_total;
	double total_size; /* bytes of all tensors, as the index has it */
};

/* Fill a zeroed index from the directory's file, or from its text. The caller releases it in any case. */
int shard_index_load(struct shard_index *index, const char *directory, struct err *err);
int shard_index_parse(struct shard_index *index, const char *text, size_t n, struct err *err);
void shard_index_release(struct shard_index *index);

#endif
