// SPDX-License-Identifier: Apache-2.0
/* Products with sums in registers, and transposes (vec_tile.h). */
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

/* ---- rows to lanes and back ------------------------------------------------- */

typedef float four __attribute__((vector_size(16)));

struct square {
	four row[4];
};

static inline struct square transpose(struct square x)
{
	four low01 = PICK(x.row[0], x.row[1], 0, 4, 1, 5), high01 = PICK(x.row[0], x.row[1], 2, 6, 3, 7);
	four low23 = PICK(x.row[2], x.row[3], 0, 4, 1, 5), high23 = PICK(x.row[2], x.row[3], 2, 6, 3, 7);

	return (struct square){{PICK(low01, low23, 0, 1, 4, 5), PICK(low01, low23, 2, 3, 6, 7),
				PICK(high01, high23, 0, 1, 4, 5), PICK(high01, high23, 2, 3, 6, 7)}};
}

void transpose_in(float *x_t, float *const x[], float factor, int64_t dim, int64_t width)
{
	int64_t whole = dim - dim % 4;

	for (int64_t lane = 0; lane < width; lane += 4)
		for (int64_t d = 0; d < whole; d += 4) {
			struct square part;

			for (int i = 0; i < 4; i++) {
				memcpy(&part.row[i], x[lane + i] + d, sizeof part.row[i]);
				part.row[i] *= (four){factor, factor, factor, factor};
			}
			part = transpose(part);
			for (int i = 0; i < 4; i++)
				memcpy(x_t + (d + i) * ATTN_LANES + lane, &part.row[i], sizeof part.row[i]);
		}
	for (int64_t d = whole; d < dim; d++)
		for (int64_t lane = 0; lane < width; lane++)
			x_t[d * ATTN_LANES + lane] = factor * x[lane][d];
}

void transpose_out(float *const x[], const float *x_t, const float *factor, int64_t dim, int64_t width)
{
	int64_t whole = dim - dim % 4;

	for (int64_t lane = 0; lane < width; lane += 4)
		for (int64_t d = 0; d < whole; d += 4) {
			struct square part;
			four by;

			memcpy(&by, factor + lane, sizeof by);
			for (int i = 0; i < 4; i++) {
				memcpy(&part.row[i], x_t + (d + i) * ATTN_LANES + lane, sizeof part.row[i]);
				part.row[i] *= by;
			}
			part = transpose(part);
			for (int i = 0; i < 4; i++)
				memcpy(x[lane + i] + d, &part.row[i], sizeof part.row[i]);
		}
	for (int64_t d = whole; d < dim; d++)
		for (int64_t lane = 0; lane < width; lane++)
			x[lane][d] = factor[lane] * x_t[d * ATTN_LANES + lane];
}
