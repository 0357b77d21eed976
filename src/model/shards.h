// SPDX-License-Identifier: Apache-2.0
/*
 * shards.h - the weights of a model directory as one table of names.
 *
 * A directory has model.safetensors, or model.safetensors.index.json,
 *
 *     {"metadata": {"total_size": 269060352}, "weight_map": {"NAME": "model-00001-of-00002.safetensors", …}}
 *
 * and the shards it names. The index is believed only where it and the shards
 * say the same: every listed tensor in the shard it is listed for, no other
 * tensor in any shard, no tensor twice, no shard of the pattern above left
 * out. All shards are open, and checked as safetensors.h says, before any
 * weight is read.
 *
 *     struct shards *weights = shards_open(directory, &err);
 *     struct tensor_info info;
 *     int64_t shape[] = {vocab, hidden};
 *     if (!weights || shards_expect(weights, "model.embed_tokens.weight", 2, shape, &info, &err) ||
 *         tensor_read(&info, 0, vocab, out, &err))
 *             …
 *     shards_close(weights);
 *
 * Failures: ERR_NOINPUT where the directory is missing; ERR_DATA for anything
 * wrong inside it, a missing file and a model in another format included;
 * those of safetensors_open otherwise.
 */
#ifndef BALDISTILL_MODEL_SHARDS_H
#define BALDISTILL_MODEL_SHARDS_H

#include "src/model/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

struct shards;

struct shards *shards_open(const char *directory, struct err *err);
void shards_close(struct shards *shards);

/* Warnings of shards_open, each ended by a newline; "" where there are none. */
const char *shards_notes(const struct shards *shards);

/* Tensors of all shards in the order of their names; index < shards_count. Borrowed until shards_close. */
size_t shards_count(const struct shards *shards);
void shards_get(const struct shards *shards, size_t index, struct tensor_info *info);
bool shards_find(const struct shards *shards, const char *name, struct tensor_info *info);

/* The tensor of that name, which must be there as a weight of this shape. */
int shards_expect(const struct shards *shards, const char *name, int rank, const int64_t shape[],
		  struct tensor_info *info, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
