// SPDX-License-Identifier: Apache-2.0
/*
 * Attention of a tile of few rows, as in decoding: a vector holds keys or
 * elements of a row, where the wide tile would leave most lanes empty.
 */
#include "backends/cpu/vec_half.h"
#include "backends/cpu/vec_tile.h"

#if defined(__AVX512F__)
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif defined(__AVX2__)
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#else
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#endif

enum { CACHE = 128 * 1024 }; /* floats */

/* The rows of one key head. */
struct narrow {
	const struct attn_tile *tile;
	int64_t head;     /* from the tile's first on */
	float *s;         /* [lanes, KEYS] */
	float *o;         /* [lanes, D] */
	float *max, *sum; /* of each lane so far */
	float *wide;      /* [KEYS, D]: rows of k or v that are stored in bf16 */
};

/* s[i] = q . x_i of `n` <= WIDTH rows; their partial sums are added pairwise until vector 0 holds one sum per row */
static void dots(float *s, const float *q, const float *x, int64_t ld, int64_t n, int64_t dim)
{
	vf sum[WIDTH];
	int64_t whole = dim - dim % WIDTH;

	for (int64_t i = 0; i < WIDTH; i++) {
		const float *row = x + (i < n ? i : n - 1) * ld;

		sum[i] = (vf){0};
		for (int64_t d = 0; d < whole; d += WIDTH)
			sum[i] += load(q + d) * load(row + d);
	}
	for (int left = WIDTH / 2; left; left /= 2)
		for (int i = 0; i < left; i++)
			sum[i] = PICK(sum[2 * i], sum[2 * i + 1], EVEN) + PICK(sum[2 * i], sum[2 * i + 1], ODD);
	memcpy(s, &sum[0], (size_t)n * sizeof *s);
	for (int64_t i = 0; whole < dim && i < n; i++)
		for (int64_t d = whole; d < dim; d++)
			s[i] += q[d] * x[i * ld + d];
}

/* Row `lane` of s, as softmax in vec_attention.c; o is multiplied by the factor at once. */
static void softmax(struct narrow *a, const struct attn_keys *keys, int64_t lane, int64_t j, int64_t n)
{
	int64_t dim = a->tile->head_dim, begin = keys->lane_begin[lane] - j, end = keys->lane_end[lane] - j;
	float *s = a->s + lane * ATTN_KEYS, *o = a->o + lane * dim;
	float max = a->max[lane], sum = 0.0f, scale = a->tile->scale, shrink;

#pragma omp simd reduction(max : max)
	for (int64_t i = 0; i < n; i++) {
		s[i] = i >= begin && i < end ? scale * s[i] : -INFINITY;
		max = s[i] > max ? s[i] : max;
	}
#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < n; i++) {
		s[i] = vec_exp(s[i] - max);
		sum += s[i];
	}
	shrink = vec_exp(a->max[lane] - max);
	a->max[lane] = max;
	a->sum[lane] = a->sum[lane] * shrink + sum;
#pragma omp simd
	for (int64_t d = 0; d < dim; d++)
		o[d] *= shrink;
}

/* k or v as stored, one of the two; an element of the key head is number row * ld + head * D + d. */
struct stored {
	const float *x;
	const uint16_t *half;
	int64_t ld;
};

static struct stored stored_k(const struct attn_tile *tile)
{
	return (struct stored){tile->k, tile->k_half, tile->ld_k};
}

static struct stored stored_v(const struct attn_tile *tile)
{
	return (struct stored){tile->v, tile->v_half, tile->ld_v};
}

/* Rows are too short, and too far apart, for the processor to see them coming. */
static void fetch(const struct narrow *a, struct stored x, int64_t row, int64_t n)
{
	int64_t dim = a->tile->head_dim, line = x.half ? 32 : 16;

	for (int64_t i = row; i < row + n; i++)
		for (int64_t d = 0; d < dim; d += line) {
			int64_t at = i * x.ld + a->head * dim + d;

			__builtin_prefetch(x.half ? (const void *)(x.half + at) : (const void *)(x.x + at));
		}
}

/* n rows of the key head in f32, *ld apart. */
static const float *rows_of(const struct narrow *a, struct stored x, int64_t row, int64_t n, int64_t *ld)
{
	int64_t dim = a->tile->head_dim, at = row * x.ld + a->head * dim;

	*ld = x.ld;
	if (!x.half)
		return x.x + at;
	*ld = dim;
	for (int64_t i = 0; i < n; i++)
#pragma omp simd
		for (int64_t d = 0; d < dim; d++)
			a->wide[i * dim + d] = bf16_expand(x.half[at + i * x.ld + d]);
	return a->wide;
}

static int64_t at_most(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* s of `run` keys in consecutive rows from `row` on, the first being number i of the block */
static void run_scores(struct narrow *a, int64_t i, int64_t row, int64_t run)
{
	const struct attn_tile *tile = a->tile;
	int64_t dim = tile->head_dim, ld;

	for (int64_t part = 0, n; part < run; part += n) {
		n = at_most(run - part, WIDTH);
		fetch(a, stored_k(tile), row + part + n, at_most(run - part - n, WIDTH));
		fetch(a, stored_v(tile), row + part, n);
		const float *k = rows_of(a, stored_k(tile), row + part, n, &ld);

		for (int lane = 0; lane < tile->lanes; lane++)
			dots(a->s + lane * ATTN_KEYS + i + part, tile->q[lane] + a->head * tile->next_row, k, ld, n,
			     dim);
	}
}

static void narrow_block(struct narrow *a, const struct attn_keys *keys, int64_t j, int64_t n)
{
	const struct attn_tile *tile = a->tile;
	int64_t dim = tile->head_dim, run;

	for (int64_t i = 0; i < n; i += run) {
		int64_t row = key_run(keys, j + i, n - i, &run);

		run_scores(a, i, row, run);
	}
	for (int lane = 0; lane < tile->lanes; lane++)
		softmax(a, keys, lane, j, n);
	for (int64_t i = 0; i < n; i += run) {
		int64_t ld, row = key_run(keys, j + i, n - i, &run);
		const float *v = rows_of(a, stored_v(tile), row, run, &ld);

		multiply(a->o, dim, (struct strided){a->s + i, ATTN_KEYS, 1}, v, ld, run, tile->lanes, dim, true);
	}
}

static struct narrow narrow_at(const struct attn_tile *tile, int64_t head, float *scratch)
{
	int64_t lanes = tile->lanes, dim = tile->head_dim;
	float *rows = scratch + ATTN_NARROW * ATTN_KEYS + head * lanes * (dim + 2);

	return (struct narrow){.tile = tile, .head = head, .s = scratch, .o = rows, .max = rows + lanes * dim,
			       .sum = rows + lanes * (dim + 1),
			       .wide = scratch + ATTN_NARROW * ATTN_KEYS + tile->kv_heads * ATTN_NARROW * (dim + 2)};
}

static void narrow_end(const struct narrow *a)
{
	const struct attn_tile *tile = a->tile;
	int64_t next_lse = tile->next_row / tile->head_dim;

	for (int lane = 0; lane < tile->lanes; lane++) {
		float *o = tile->o[lane] + a->head * tile->next_row;

		for (int64_t d = 0; d < tile->head_dim; d++)
			o[d] = a->o[lane * tile->head_dim + d] / a->sum[lane];
		if (tile->lse[0])
			tile->lse[lane][a->head * next_lse] = a->max[lane] + logf(a->sum[lane]);
	}
}

/* Keys of a block: those of all key heads stay in the second-level cache, so that memory is read row by row. */
static int64_t block_keys(const struct attn_tile *tile)
{
	int64_t fit = CACHE / (2 * (int64_t)tile->kv_heads * tile->head_dim) / WIDTH * WIDTH;

	return fit < WIDTH ? WIDTH : at_most(fit, ATTN_KEYS);
}

void tile_forward_narrow(const struct attn_tile *tile, float *scratch)
{
	int64_t step = block_keys(tile);
	struct narrow a;

	for (int64_t head = 0; head < tile->heads; head++) {
		a = narrow_at(tile, head, scratch);
		memset(a.o, 0, (size_t)(tile->lanes * (tile->head_dim + 2)) * sizeof *a.o);
		for (int lane = 0; lane < tile->lanes; lane++)
			a.max[lane] = ATTN_NOTHING;
	}
	for (const struct attn_keys *keys = tile->keys; keys < tile->keys + 2; keys++)
		for (int64_t j = keys->begin; j < keys->end; j += step)
			for (int64_t head = 0; head < tile->heads; head++) {
				a = narrow_at(tile, head, scratch);
				narrow_block(&a, keys, j, at_most(keys->end - j, step));
			}
	for (int64_t head = 0; head < tile->heads; head++) {
		a = narrow_at(tile, head, scratch);
		narrow_end(&a);
	}
}
