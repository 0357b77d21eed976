// SPDX-License-Identifier: Apache-2.0
/* Attention of one tile (vec_attention.h), forward. */
#include "backends/cpu/vec_tile.h"

struct forward {
	float *q_t, *o_t;  /* [D, LANES] */
	float *s;          /* [KEYS, LANES] */
	float *max, *sum;  /* of each lane so far */
	float *shrink;     /* factor of the sums before this block */
	int64_t width;
};

static void forward_block(struct forward *f, const struct attn_tile *tile, const struct attn_keys *keys, int64_t j,
			  int64_t n)
{
	int64_t dim = tile->head_dim;

	scores(f->s, tile, keys, j, n, tile->k, tile->ld_k, f->q_t, f->width);
	hide(f->s, keys, j, n, f->width);
	tile_softmax(f->s, f->max, f->sum, f->shrink, n, f->width);
	for (int64_t d = 0; d < dim; d++)
#pragma omp simd
		for (int64_t lane = 0; lane < f->width; lane++)
			f->o_t[d * ATTN_LANES + lane] *= f->shrink[lane];
	for (int64_t i = 0, run; i < n; i += run) {
		const float *v = tile->v + key_run(keys, j + i, n - i, &run) * tile->ld_v;

		multiply(f->o_t, ATTN_LANES, (struct strided){v, 1, tile->ld_v}, f->s + i * ATTN_LANES, ATTN_LANES, run,
			 dim, f->width, true);
	}
}

static void forward_wide(const struct attn_tile *tile, float *scratch)
{
	int64_t dim = tile->head_dim, square = dim * ATTN_LANES;
	float *lanes = scratch + 2 * square + ATTN_KEYS * ATTN_LANES;
	struct forward f = {.q_t = scratch, .o_t = scratch + square, .s = scratch + 2 * square, .max = lanes,
			    .sum = lanes + ATTN_LANES, .shrink = lanes + 2 * ATTN_LANES,
			    .width = whole_vectors(tile->lanes)};

	transpose_in(f.q_t, tile->q, tile->scale, dim, f.width);
	memset(f.o_t, 0, (size_t)square * sizeof *f.o_t);
	for (int64_t lane = 0; lane < ATTN_LANES; lane++) {
		f.max[lane] = ATTN_NOTHING;
		f.sum[lane] = 0.0f;
	}
	for (const struct attn_keys *keys = tile->keys; keys < tile->keys + 2; keys++)
		for (int64_t j = keys->begin; j < keys->end; j += ATTN_KEYS)
			forward_block(&f, tile, keys, j, keys->end - j < ATTN_KEYS ? keys->end - j : ATTN_KEYS);
	tile_forward_end(tile, f.o_t, f.max, f.sum, f.shrink, f.width);
}

static void forward(const struct attn_tile *tile, float *scratch)
{
	if (tile->lanes <= ATTN_NARROW)
		tile_forward_narrow(tile, scratch);
	else
		forward_wide(tile, scratch);
}

const struct vec_attention VEC_NAME(vec_attention);
const struct vec_attention VEC_NAME(vec_attention) = {
	.scratch = attn_tile_scratch,
	.forward = forward,
	.backward = tile_backward,
};
