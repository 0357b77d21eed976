// SPDX-License-Identifier: Apache-2.0
/* Attention of one tile (vec_attention.h), backward: the scores are computed again from lse. */
#include "backends/cpu/vec_tile.h"

struct backward {
	float *q, *d_o;         /* rows [LANES, D]; q times scale */
	float *q_t, *do_t;      /* the same transposed */
	float *dq_t;            /* [D, LANES] */
	float *p, *ds;          /* [KEYS, LANES] */
	float *lse, *delta;     /* [LANES]; delta = sum of d_o * o */
	int64_t width;
};

static void backward_begin(struct backward *b, const struct attn_tile *tile)
{
	int64_t dim = tile->head_dim;
	float *q[ATTN_LANES], *d_o[ATTN_LANES];

	for (int64_t lane = 0; lane < b->width; lane++) {
		q[lane] = memcpy(b->q + lane * dim, tile->q[lane], (size_t)dim * sizeof(float));
		d_o[lane] = memcpy(b->d_o + lane * dim, tile->d_o[lane], (size_t)dim * sizeof(float));
		for (int64_t d = 0; d < dim; d++)
			q[lane][d] *= tile->scale;
		b->delta[lane] = tile_delta(tile, lane);
		b->lse[lane] = *tile->lse[lane];
	}
	transpose_in(b->q_t, q, 1.0f, dim, b->width);
	transpose_in(b->do_t, d_o, 1.0f, dim, b->width);
	memset(b->dq_t, 0, (size_t)(dim * ATTN_LANES) * sizeof *b->dq_t);
}

static void backward_block(struct backward *b, const struct attn_tile *tile, const struct attn_keys *keys, int64_t j,
			   int64_t n)
{
	int64_t dim = tile->head_dim, row = keys->row + j;

	scores(b->p, tile, keys, j, n, tile->k, tile->ld_k, b->q_t, b->width);
	scores(b->ds, tile, keys, j, n, tile->v, tile->ld_v, b->do_t, b->width);
	hide(b->p, keys, j, n, b->width);
	tile_softmax_backward(b->p, b->ds, b->lse, b->delta, n, b->width);
	multiply(tile->dv + row * tile->ld_dv, tile->ld_dv, (struct strided){b->p, ATTN_LANES, 1}, b->d_o, dim,
		 tile->lanes, n, dim, true);
	multiply(tile->dk + row * tile->ld_dk, tile->ld_dk, (struct strided){b->ds, ATTN_LANES, 1}, b->q, dim,
		 tile->lanes, n, dim, true);
	multiply(b->dq_t, ATTN_LANES, (struct strided){tile->k + row * tile->ld_k, 1, tile->ld_k}, b->ds, ATTN_LANES, n,
		 dim, b->width, true);
}

void tile_backward(const struct attn_tile *tile, float *scratch)
{
	int64_t square = (int64_t)tile->head_dim * ATTN_LANES, block = ATTN_KEYS * ATTN_LANES;
	struct backward b = {.q_t = scratch, .do_t = scratch + square, .dq_t = scratch + 2 * square,
			     .q = scratch + 3 * square, .d_o = scratch + 4 * square, .p = scratch + 5 * square,
			     .ds = scratch + 5 * square + block, .lse = scratch + 5 * square + 2 * block,
			     .delta = scratch + 5 * square + 2 * block + ATTN_LANES,
			     .width = whole_vectors(tile->lanes)};
	float scale[ATTN_LANES];

	backward_begin(&b, tile);
	for (const struct attn_keys *keys = tile->keys; keys < tile->keys + 2; keys++)
		for (int64_t j = keys->begin; j < keys->end; j += ATTN_KEYS)
			backward_block(&b, tile, keys, j, keys->end - j < ATTN_KEYS ? keys->end - j : ATTN_KEYS);
	for (int lane = 0; lane < ATTN_LANES; lane++)
		scale[lane] = tile->scale;
	transpose_out(tile->dq, b.dq_t, scale, tile->head_dim, b.width);
}
