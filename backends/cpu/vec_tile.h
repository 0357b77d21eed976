// SPDX-License-Identifier: Apache-2.0
/*
 * vec_tile.h - what the forward and the backward of a tile share: the one
 * product (vec_tile.c), rows to lanes and back (vec_transpose.c), keys in runs.
 * Private to these and vec_attention*.c; the names are those of the CPU level.
 */
#ifndef BALDISTILL_BACKENDS_CPU_VEC_TILE_H
#define BALDISTILL_BACKENDS_CPU_VEC_TILE_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "backends/cpu/vec.h"
#include "backends/cpu/vec_attention.h"
#include "backends/cpu/vec_math.h"
#include "backends/cpu/vec_width.h"

/* Element (i, p) is at[i * row + p * col]. */
struct strided {
	const float *at;
	int64_t row, col;
};

/* c[m, n] (+)= a[m, depth] b[depth, n]; a's elements are broadcast, rows of b and c are vectors */
#define multiply VEC_NAME(tile_multiply)
void multiply(float *c, int64_t ldc, struct strided a, const float *b, int64_t ldb, int64_t depth, int64_t m,
	      int64_t n, bool add);

/* x_t[d, lane] = factor * x[lane][d] of `width` lanes, a multiple of 4; rows of x_t are ATTN_LANES apart */
#define transpose_in VEC_NAME(tile_transpose_in)
void transpose_in(float *x_t, float *const x[], float factor, int64_t dim, int64_t width);

/* x[lane][d] = factor[lane] * x_t[d, lane]; lanes that share a row hold the same */
#define transpose_out VEC_NAME(tile_transpose_out)
void transpose_out(float *const x[], const float *x_t, const float *factor, int64_t dim, int64_t width);

/* vec_attention_narrow.c, vec_attention_backward.c: the tile of few lanes; the backward */
#define tile_forward_narrow VEC_NAME(attn_forward_narrow)
void tile_forward_narrow(const struct attn_tile *tile, float *scratch);
#define tile_backward VEC_NAME(attn_backward)
void tile_backward(const struct attn_tile *tile, float *scratch);

/* Row of key j, and how many of the n keys from it on lie in consecutive rows. */
static inline int64_t key_run(const struct attn_keys *keys, int64_t j, int64_t n, int64_t *run)
{
	int64_t in_page;

	*run = n;
	if (!keys->pages)
		return keys->row + j;
	in_page = j % keys->page_size;
	if (keys->page_size - in_page < n)
		*run = keys->page_size - in_page;
	return keys->pages[j / keys->page_size] * keys->page_size + in_page;
}

/* A maximum before the first key: finite, so that differences are. */
#define ATTN_NOTHING (-1e30f)

static inline int64_t whole_vectors(int lanes)
{
	return (lanes + WIDTH - 1) / WIDTH * WIDTH;
}

/* s[n, width] of the keys j … j + n - 1: products of x, k or v, with x_t [D, width] */
static inline void scores(float *s, const struct attn_tile *tile, const struct attn_keys *keys, int64_t j, int64_t n,
			  const float *x, int64_t ld, const float *x_t, int64_t width)
{
	for (int64_t i = 0, run; i < n; i += run) {
		int64_t row = key_run(keys, j + i, n - i, &run);

		multiply(s + i * ATTN_LANES, ATTN_LANES, (struct strided){x + row * ld, ld, 1}, x_t, ATTN_LANES,
			 tile->head_dim, run, width, false);
	}
}

/* s[i, lane] = -inf where the lane does not see key j + i */
static inline void hide(float *s, const struct attn_keys *keys, int64_t j, int64_t n, int64_t width)
{
	for (int64_t i = 0; i < n; i++, s += ATTN_LANES) {
		int32_t key = (int32_t)(j + i);

		if (key >= keys->all_begin && key < keys->all_end)
			continue;
#pragma omp simd
		for (int64_t lane = 0; lane < width; lane++)
			s[lane] = key >= keys->lane_begin[lane] && key < keys->lane_end[lane] ? s[lane] : -INFINITY;
	}
}

/*
 * Of s[n, width], rows ATTN_LANES apart, after those before: s becomes e^(s - max), max and sum go on, shrink says by
 * what the sums before are to be multiplied.
 */
static inline void tile_softmax(float *s, float *max, float *sum, float *shrink, int64_t n, int64_t width)
{
	memcpy(shrink, max, ATTN_LANES * sizeof *max);
	for (int64_t i = 0; i < n; i++)
#pragma omp simd
		for (int64_t lane = 0; lane < width; lane++)
			max[lane] = s[i * ATTN_LANES + lane] > max[lane] ? s[i * ATTN_LANES + lane] : max[lane];
#pragma omp simd
	for (int64_t lane = 0; lane < width; lane++) {
		shrink[lane] = vec_exp(shrink[lane] - max[lane]);
		sum[lane] *= shrink[lane];
	}
	for (int64_t i = 0; i < n; i++)
#pragma omp simd
		for (int64_t lane = 0; lane < width; lane++) {
			float e = vec_exp(s[i * ATTN_LANES + lane] - max[lane]);

			s[i * ATTN_LANES + lane] = e;
			sum[lane] += e;
		}
}

/* p = e^(s - lse), ds = p * (dp - delta); p holds s before, ds holds dp */
static inline void tile_softmax_backward(float *p, float *ds, const float *lse, const float *delta, int64_t n, int64_t width)
{
	for (int64_t i = 0; i < n; i++, p += ATTN_LANES, ds += ATTN_LANES)
#pragma omp simd
		for (int64_t lane = 0; lane < width; lane++) {
			p[lane] = vec_exp(p[lane] - lse[lane]);
			ds[lane] = p[lane] * (ds[lane] - delta[lane]);
		}
}

/* o = o_t^T / sum, lse = max + log(sum) where it is wanted; inverse [LANES] is scratch */
static inline void tile_forward_end(const struct attn_tile *tile, const float *o_t, const float *max, const float *sum,
				    float *inverse, int64_t width)
{
	for (int64_t lane = 0; lane < width; lane++)
		inverse[lane] = 1.0f / sum[lane];
	transpose_out(tile->o, o_t, inverse, tile->head_dim, width);
	for (int64_t lane = 0; tile->lse[0] && lane < tile->lanes; lane++)
		*tile->lse[lane] = max[lane] + logf(sum[lane]);
}

/* Sum of d_o * o over a row. */
static inline float tile_delta(const struct attn_tile *tile, int64_t lane)
{
	const float *o = tile->o[lane], *d_o = tile->d_o[lane];
	float delta = 0.0f;

#pragma omp simd reduction(+ : delta)
	for (int64_t d = 0; d < tile->head_dim; d++)
		delta += d_o[d] * o[d];
	return delta;
}

#endif
