// SPDX-License-Identifier: Apache-2.0
/*
 * Attention of one tile (vec_attention.h) with products in bf16 on AMX's tiles: the same steps as vec_attention.c and
 * vec_attention_backward.c, scores transposed, keys x lanes. A tile of few rows stays in f32.
 */
#include "backends/cpu/vec_amx_keys.h"
#include "backends/cpu/vec_tile.h"

enum { LANE_STRIPS = ATTN_LANES / PIECE_SIDE, LANE_STEPS = ATTN_LANES / PIECE_TERMS };

/* A tile at work. Of the arrays of pieces the right operands are laid out once for the tile, the others for each block. */
struct work {
	const struct attn_tile *tile;
	struct amx_keys keys;
	int64_t steps, strips, width;   /* of D: 32 and 16 at a time; lanes that are computed */
	float *s, *ds;                  /* [KEYS, LANES] */
	float *sum_t;                   /* o or dq, [D, LANES] */
	float *max, *sum, *shrink;      /* [LANES]; of a backward lse, delta and the scale */
	float *q;                       /* [LANES, D], times scale */
	piece *q_t, *do_t;              /* [D, LANES], right */
	piece *q_rows, *do_rows;        /* [LANES, D], right */
	piece *p, *ds_left, *ds_right;  /* [KEYS, LANES]; p: in a forward right, in a backward left */
};

/* Parts of the scratch after the keys', in floats. */
static float *carve(float **at, int64_t floats)
{
	float *part = *at;

	*at += floats;
	return part;
}

static piece *carve_pieces(float **at, int64_t n)
{
	return (piece *)(void *)carve(at, n * (int64_t)(sizeof(piece) / sizeof(float)));
}

static void lay_out(struct work *w, float *at)
{
	int64_t block = ATTN_KEYS * ATTN_LANES, square = w->strips * PIECE_SIDE * ATTN_LANES;

	w->s = carve(&at, block);
	w->ds = carve(&at, block);
	w->sum_t = carve(&at, square);
	w->q = carve(&at, square);
	w->max = carve(&at, ATTN_LANES);
	w->sum = carve(&at, ATTN_LANES);
	w->shrink = carve(&at, ATTN_LANES);
	w->q_t = carve_pieces(&at, w->steps * LANE_STRIPS);
	w->do_t = carve_pieces(&at, w->steps * LANE_STRIPS);
	w->q_rows = carve_pieces(&at, LANE_STEPS * w->strips);
	w->do_rows = carve_pieces(&at, LANE_STEPS * w->strips);
	w->p = carve_pieces(&at, KEY_STRIPS * LANE_STEPS);
	w->ds_left = carve_pieces(&at, KEY_STRIPS * LANE_STEPS);
	w->ds_right = carve_pieces(&at, KEY_STEPS * LANE_STRIPS);
}

static size_t scratch(int64_t heads, int64_t head_dim)
{
	size_t steps = (size_t)pieces_steps(head_dim), narrow = attn_tile_scratch(heads, head_dim);
	size_t pieces = steps * LANE_STRIPS * 4 + KEY_STRIPS * LANE_STEPS * 3;
	size_t wide = pieces * sizeof(piece) / sizeof(float) +
		      (2 * ATTN_KEYS + 2 * steps * PIECE_TERMS + 3) * ATTN_LANES;

	return amx_keys_scratch(head_dim) + ((wide > narrow ? wide : narrow) + 15) / 16 * 16;
}

static void begin(struct work *w, const struct attn_tile *tile, float *at)
{
	w->tile = tile;
	w->steps = w->keys.steps;
	w->strips = 2 * w->steps;
	w->width = tile->lanes > ATTN_LANES / 2 ? ATTN_LANES : ATTN_LANES / 2;
	lay_out(w, at);
	memset(w->sum_t, 0, (size_t)(w->strips * PIECE_SIDE * ATTN_LANES) * sizeof *w->sum_t);
	for (int64_t lane = 0; lane < w->width; lane++)
		for (int64_t d = 0; d < tile->head_dim; d++)
			w->q[lane * tile->head_dim + d] = tile->scale * tile->q[lane][d];
	amx_prepare();
}

/* Rows of an array of the tile, NULL from `lanes` on; x: NULL for q times scale. */
static void lane_rows(const float *rows[ATTN_LANES], const struct work *w, float *const x[], int64_t lanes)
{
	for (int64_t lane = 0; lane < ATTN_LANES; lane++) {
		const float *row = x ? x[lane] : w->q + lane * w->tile->head_dim;

		rows[lane] = lane < lanes ? row : NULL;
	}
}

/* x^T: terms are elements of a row. Unused lanes repeat the last one, as their results go where its do. */
static void lay_lanes(const struct work *w, piece *out, float *const x[])
{
	const float *rows[ATTN_LANES];

	lane_rows(rows, w, x, w->width);
	for (int64_t p = 0; p < w->steps; p++)
		for (int64_t j = 0; j < w->width / PIECE_SIDE; j++) {
			piece *at = &out[p * LANE_STRIPS + j];

			piece_rows(*at, rows + j * PIECE_SIDE, p * PIECE_TERMS, w->tile->head_dim - p * PIECE_TERMS);
			piece_transpose(*at);
		}
}

/* x: terms are lanes, none of them unused. */
static void lay_terms(const struct work *w, piece *out, float *const x[])
{
	const float *rows[ATTN_LANES];

	lane_rows(rows, w, x, w->tile->lanes);
	for (int64_t p = 0; p < w->width / PIECE_TERMS; p++)
		for (int64_t j = 0; j < w->strips; j++)
			piece_pairs(out[p * w->strips + j], rows + p * PIECE_TERMS, j * PIECE_SIDE,
				    w->tile->head_dim - j * PIECE_SIDE);
}

/* ---- blocks of scores -------------------------------------------------------- */

/* A block of keys: n of them from j on. */
struct keys_at {
	const struct attn_keys *kind;
	int64_t j, n;
	piece *block;
};

typedef void block_fn(struct work *w, const struct keys_at *at);

static void each_block(struct work *w, block_fn *fn)
{
	for (const struct attn_keys *kind = w->tile->keys; kind < w->tile->keys + 2; kind++)
		for (int64_t b = kind->begin / ATTN_KEYS; kind->begin < kind->end && b * ATTN_KEYS < kind->end; b++) {
			int64_t j = b * ATTN_KEYS, n = kind->end - j < ATTN_KEYS ? kind->end - j : ATTN_KEYS;

			fn(w, &(struct keys_at){kind, j, n, amx_keys_block(&w->keys, kind, b)});
		}
}

static int64_t strips_of(int64_t n)
{
	return (n + PIECE_TERMS - 1) / PIECE_TERMS * 2;
}

/* s[n, width] = x y^T, of all keys of a step even where n ends within it */
static void scores_of(const struct work *w, float *s, piece *x, piece *y, int64_t n)
{
	const struct piece_operand left = {x, w->steps, 1}, right = {y, 1, LANE_STRIPS};

	piece_product(s, ATTN_LANES, left, right, w->steps, strips_of(n), w->width / PIECE_SIDE, false);
}

/* Row i of s, NULL from n on. */
static void key_rows(const float *rows[ATTN_KEYS], const float *s, int64_t n)
{
	for (int64_t i = 0; i < ATTN_KEYS; i++)
		rows[i] = i < n ? s + i * ATTN_LANES : NULL;
}

/* s[n, width], right: terms are keys */
static void lay_right(const struct work *w, piece *out, const float *const rows[ATTN_KEYS], int64_t n)
{
	for (int64_t t = 0; t < strips_of(n) / 2; t++)
		for (int64_t j = 0; j < w->width / PIECE_SIDE; j++)
			piece_pairs(out[t * LANE_STRIPS + j], rows + t * PIECE_TERMS, j * PIECE_SIDE, PIECE_SIDE);
}

/* s[n, width], left: terms are lanes */
static void lay_left(const struct work *w, piece *out, const float *const rows[ATTN_KEYS], int64_t n)
{
	for (int64_t i = 0; i < strips_of(n); i++)
		for (int64_t p = 0; p < w->width / PIECE_TERMS; p++)
			piece_rows(out[i * LANE_STEPS + p], rows + i * PIECE_SIDE, p * PIECE_TERMS, PIECE_TERMS);
}

/* sum_t[D, width] += x^T s, x of the block's keys */
static void add_up(const struct work *w, piece *x_t, piece *s, int64_t n)
{
	const struct piece_operand left = {x_t, KEY_STEPS, 1}, right = {s, 1, LANE_STRIPS};

	piece_product(w->sum_t, ATTN_LANES, left, right, strips_of(n) / 2, w->strips, w->width / PIECE_SIDE, true);
}

/* ---- forward ---------------------------------------------------------------------- */

/* o so far, by what the new maximum takes from it; mostly by 1 */
static void shrink(const struct work *w)
{
	bool some = false;

	for (int64_t lane = 0; lane < w->width; lane++)
		some |= w->shrink[lane] != 1.0f;
	for (int64_t d = 0; some && d < w->tile->head_dim; d++)
#pragma omp simd
		for (int64_t lane = 0; lane < w->width; lane++)
			w->sum_t[d * ATTN_LANES + lane] *= w->shrink[lane];
}

static void forward_block(struct work *w, const struct keys_at *at)
{
	const float *rows[ATTN_KEYS];

	scores_of(w, w->s, at->block, w->q_t, at->n);
	hide(w->s, at->kind, at->j, at->n, w->width);
	tile_softmax(w->s, w->max, w->sum, w->shrink, at->n, w->width);
	shrink(w);
	key_rows(rows, w->s, at->n);
	lay_right(w, w->p, rows, at->n);
	add_up(w, at->block + amx_keys_operand(w->steps), w->p, at->n);
}

static void forward(const struct attn_tile *tile, float *scratch)
{
	struct work w;

	scratch = amx_keys_at(&w.keys, tile, false, scratch);
	if (tile->lanes <= ATTN_NARROW) {
		tile_forward_narrow(tile, scratch);
		return;
	}
	begin(&w, tile, scratch);
	for (int64_t lane = 0; lane < ATTN_LANES; lane++) {
		w.max[lane] = ATTN_NOTHING;
		w.sum[lane] = 0.0f;
	}
	lay_lanes(&w, w.q_t, NULL);
	each_block(&w, forward_block);
	amx_end();
	tile_forward_end(tile, w.sum_t, w.max, w.sum, w.shrink, w.width);
}

/* ---- backward ------------------------------------------------------------------------ */

/* d[n, D] += s x, s of the block's keys */
static void add_to_keys(const struct work *w, float *d, int64_t ld, int64_t n, piece *s, piece *x)
{
	const struct piece_operand left = {s, LANE_STEPS, 1}, right = {x, 1, w->strips};

	piece_product_into(d, ld, n, w->tile->head_dim, left, right, w->width / PIECE_TERMS);
}

static void backward_block(struct work *w, const struct keys_at *at)
{
	const struct attn_tile *tile = w->tile;
	int64_t operand = amx_keys_operand(w->steps);
	float *dk = tile->dk + (at->kind->row + at->j) * tile->ld_dk;
	float *dv = tile->dv + (at->kind->row + at->j) * tile->ld_dv;
	const float *p[ATTN_KEYS], *ds[ATTN_KEYS];

	scores_of(w, w->s, at->block, w->q_t, at->n);
	scores_of(w, w->ds, at->block + operand, w->do_t, at->n);
	hide(w->s, at->kind, at->j, at->n, w->width);
	tile_softmax_backward(w->s, w->ds, w->max, w->sum, at->n, w->width);
	key_rows(p, w->s, at->n);
	key_rows(ds, w->ds, at->n);
	lay_left(w, w->p, p, at->n);
	lay_left(w, w->ds_left, ds, at->n);
	lay_right(w, w->ds_right, ds, at->n);
	add_to_keys(w, dv, tile->ld_dv, at->n, w->p, w->do_rows);
	add_to_keys(w, dk, tile->ld_dk, at->n, w->ds_left, w->q_rows);
	add_up(w, at->block + 2 * operand, w->ds_right, at->n);
}

static void backward(const struct attn_tile *tile, float *scratch)
{
	struct work w;

	begin(&w, tile, amx_keys_at(&w.keys, tile, true, scratch));
	for (int64_t lane = 0; lane < w.width; lane++) {
		w.max[lane] = *tile->lse[lane];
		w.sum[lane] = tile_delta(tile, lane);
		w.shrink[lane] = tile->scale;
	}
	lay_lanes(&w, w.q_t, NULL);
	lay_terms(&w, w.q_rows, NULL);
	lay_lanes(&w, w.do_t, tile->d_o);
	lay_terms(&w, w.do_rows, tile->d_o);
	each_block(&w, backward_block);
	amx_end();
	transpose_out(tile->dq, w.sum_t, w.shrink, tile->head_dim, w.width);
}

const struct vec_attention vec_attention_amx;
const struct vec_attention vec_attention_amx = {.scratch = scratch, .reads_half = true, .forward = forward, .backward = backward};
