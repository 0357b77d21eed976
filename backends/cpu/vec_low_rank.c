// SPDX-License-Identifier: Apache-2.0
/* Low-rank products (vec.h), sums in registers. */
#include "backends/cpu/vec_parts.h"

#include "backends/cpu/vec_width.h"

enum {
	RANKS = 8,          /* rows of out at a time */
	FULL = WIDTH == 16, /* registers for twice the tiles */
};

/*
 * Both low-rank products, y += a b with few rows of y at a time: y[R,n] += s[R,r] b[r,n], and its transpose's
 * out[r,n] += g[R,r]^T x[R,n]. Element (i, k) of a is a[i * row + k * col], one of the strides 1.
 */

/* A tile of rows x cols vectors of y, depth products each. */
static inline __attribute__((always_inline)) void outer_tile(float *y, int64_t ldy, const float *a, int64_t row,
							     int64_t col, const float *b, int64_t ldb, int64_t depth,
							     int rows, int cols)
{
	vf sum[RANKS][4];

	for (int r = 0; r < rows; r++)
		for (int c = 0; c < cols; c++)
			sum[r][c] = load(y + r * ldy + c * WIDTH);
	for (int64_t k = 0; k < depth; k++)
		for (int c = 0; c < cols; c++) {
			vf part = load(b + k * ldb + c * WIDTH);

			for (int r = 0; r < rows; r++)
				sum[r][c] += part * a[r * row + k * col];
		}
	for (int r = 0; r < rows; r++)
		for (int c = 0; c < cols; c++)
			store(y + r * ldy + c * WIDTH, sum[r][c]);
}

/* `rows` rows of y in tiles of `wide` vectors, then of one, then element by element. */
static inline __attribute__((always_inline)) void outer_rows(float *y, int64_t ldy, const float *a, int64_t row,
							     int64_t col, const float *b, int64_t ldb, int64_t depth,
							     int64_t n, int rows, int wide)
{
	int64_t j = 0;

	for (; j + wide * WIDTH <= n; j += wide * WIDTH)
		outer_tile(y + j, ldy, a, row, col, b + j, ldb, depth, rows, wide);
	for (; j + WIDTH <= n; j += WIDTH)
		outer_tile(y + j, ldy, a, row, col, b + j, ldb, depth, rows, 1);
	for (; j < n; j++)
		for (int r = 0; r < rows; r++)
			for (int64_t k = 0; k < depth; k++)
				y[r * ldy + j] += a[r * row + k * col] * b[k * ldb + j];
}

void row_rank_expand(float *y, int64_t ldy, const float *s, int64_t lds, const float *b, int64_t ldb, int64_t rank,
		     int64_t rows, int64_t n)
{
	int64_t t = 0;

	for (; t + 4 <= rows; t += 4)
		outer_rows(y + t * ldy, ldy, s + t * lds, lds, 1, b, ldb, rank, n, 4, FULL ? 4 : 2);
	for (; t < rows; t++)
		outer_rows(y + t * ldy, ldy, s + t * lds, lds, 1, b, ldb, rank, n, 1, FULL ? 4 : 2);
}

void row_rank_outer(float *out, int64_t ldo, const float *g, int64_t ldg, const float *x, int64_t ldx, int64_t rank,
		    int64_t rows, int64_t n)
{
	int64_t k = 0;

	for (; k + RANKS <= rank; k += RANKS)
		outer_rows(out + k * ldo, ldo, g + k, 1, ldg, x, ldx, rows, n, RANKS, FULL ? 2 : 1);
	for (; k < rank; k++)
		outer_rows(out + k * ldo, ldo, g + k, 1, ldg, x, ldx, rows, n, 1, FULL ? 2 : 1);
}
