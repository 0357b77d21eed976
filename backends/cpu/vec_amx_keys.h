// SPDX-License-Identifier: Apache-2.0
/*
 * vec_amx_keys.h - keys and values of one key head as pieces (vec_amx.h), laid
 * out once for the tiles of a segment that follow each other on a thread. Private
 * to vec_attention_amx.c.
 *
 *     struct amx_keys keys;
 *     scratch = amx_keys_at(&keys, tile, backward, scratch);     // forgets what a tile of other keys left
 *     piece *block = amx_keys_block(&keys, kind, number);        // keys [number * ATTN_KEYS, …) of that kind
 *
 * A block is three operands of 6 P pieces each, P = steps of 32 in a row of D:
 *
 *     k     [keys, D]    left operand, strip after strip of 16 keys
 *     v     forward: v^T [D, keys], left operand, strip after strip of D; backward: v, as k
 *     k_t   backward alone: k^T, as v^T
 *
 * Keys before the first that the tile sees are zero, those after its last zero or
 * what an earlier tile saw. Blocks share SLOTS places, so those of very long
 * segments are laid out again.
 */
#ifndef BALDISTILL_BACKENDS_CPU_VEC_AMX_KEYS_H
#define BALDISTILL_BACKENDS_CPU_VEC_AMX_KEYS_H

#include "backends/cpu/vec_amx.h"
#include "backends/cpu/vec_attention.h"

enum { KEY_STRIPS = ATTN_KEYS / PIECE_SIDE, KEY_STEPS = ATTN_KEYS / PIECE_TERMS };

struct amx_slot; /* whose block it is and which of its keys are there */

struct amx_keys {
	const struct attn_tile *tile;
	int64_t steps; /* P */
	bool backward;
	struct amx_slot *slots;
	piece *pieces;
	float *wide; /* [32, D] */
};

/* Pieces of one of the three operands. */
static inline int64_t amx_keys_operand(int64_t steps)
{
	return KEY_STRIPS * steps;
}

/* Floats, a multiple of 16, and where the scratch goes on after them. */
size_t amx_keys_scratch(int64_t head_dim);
float *amx_keys_at(struct amx_keys *keys, const struct attn_tile *tile, bool backward, float *scratch);
piece *amx_keys_block(struct amx_keys *keys, const struct attn_keys *kind, int64_t number);

#endif
