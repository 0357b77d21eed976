// SPDX-License-Identifier: Apache-2.0
/* The product with sums in registers, in f32 (vec_tile.h). */
#include "backends/cpu/vec_tile.h"

#if defined(__AVX512F__)
enum { VECTORS = 4 };
#else
enum { VECTORS = 2 };
#endif

/* c[rows, vectors] (+)= a[rows, depth] b[depth, vectors] */
static inline __attribute__((always_inline)) void product(float *c, int64_t ldc, const float *a, int64_t row,
							  int64_t col, const float *b, int64_t ldb, int64_t depth,
							  int rows, int vectors, bool add)
{
	vf sum[12][4];

	for (int r = 0; r < rows; r++)
		for (int x = 0; x < vectors; x++)
			sum[r][x] = add ? load(c + r * ldc + x * WIDTH) : (vf){0};
	for (int64_t p = 0; p < depth; p++, a += col, b += ldb) {
		vf line[4];

		for (int x = 0; x < vectors; x++)
			line[x] = load(b + x * WIDTH);
		for (int r = 0; r < rows; r++)
			for (int x = 0; x < vectors; x++)
				sum[r][x] += a[r * row] * line[x];
	}
	for (int r = 0; r < rows; r++)
		for (int x = 0; x < vectors; x++)
			store(c + r * ldc + x * WIDTH, sum[r][x]);
}

#define ROWS(rows, vectors)                                                                                            \
	for (; i + (rows) <= m; i += (rows))                                                                           \
		product(c + i * ldc, ldc, a.at + i * a.row, a.row, a.col, b, ldb, depth, rows, vectors, add);

#define STRIP(vectors, rows)                                                                                           \
	static void strip##vectors(float *c, int64_t ldc, struct strided a, const float *b, int64_t ldb,              \
				   int64_t depth, int64_t m, bool add)                                                 \
	{                                                                                                              \
		int64_t i = 0;                                                                                         \
                                                                                                                       \
		ROWS(rows, vectors)                                                                                    \
		ROWS(4, vectors)                                                                                       \
		ROWS(2, vectors)                                                                                       \
		ROWS(1, vectors)                                                                                       \
	}

typedef void strip(float *c, int64_t ldc, struct strided a, const float *b, int64_t ldb, int64_t depth, int64_t m,
		   bool add);

/* Sums in registers: 24 of 32, or 12 of 16. */
STRIP(1, 12)
#if defined(__AVX512F__)
STRIP(2, 12)
STRIP(3, 8)
STRIP(4, 6)
static strip *const strips[] = {strip1, strip2, strip3, strip4};
#else
STRIP(2, 6)
static strip *const strips[] = {strip1, strip2};
#endif

void multiply(float *c, int64_t ldc, struct strided a, const float *b, int64_t ldb, int64_t depth, int64_t m,
	      int64_t n, bool add)
{
	int64_t j = 0;

	while (j + WIDTH <= n) {
		int64_t vectors = (n - j) / WIDTH < VECTORS ? (n - j) / WIDTH : VECTORS;

		strips[vectors - 1](c + j, ldc, a, b + j, ldb, depth, m, add);
		j += vectors * WIDTH;
	}
	for (int64_t i = 0; j < n && i < m; i++)
		for (int64_t x = j; x < n; x++) {
			float sum = add ? c[i * ldc + x] : 0.0f;

			for (int64_t p = 0; p < depth; p++)
				sum += a.at[i * a.row + p * a.col] * b[p * ldb + x];
			c[i * ldc + x] = sum;
		}
}
