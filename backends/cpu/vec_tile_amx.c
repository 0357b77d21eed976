// SPDX-License-Identifier: Apache-2.0
/*
 * The product of vec_tile.h on AMX's tiles: operands rounded to bf16, sums in f32.
 *
 * Own, as the f32 one: the library multiplies no matrix this small without more
 * cost around it than in it. Two by two tiles of c are summed at once; both
 * operands are rounded into whole tiles first, zeros in what is left over, at
 * most DEPTH of the sum at a time.
 */
#include "backends/cpu/amx.h"
#include "backends/cpu/vec_tile.h"

enum {
	SIDE = 16,       /* of a tile of c, and dwords of a row */
	STEP = 2 * SIDE, /* of the sum, in one product of tiles */
	STEPS = 4,
	DEPTH = STEPS * STEP,
	STRIPS = 8, /* of 16 rows */
	ROWS = STRIPS * SIDE,
	BLOCK = 2 * SIDE /* rows and columns of c at once */
};

typedef uint32_t pairs[SIDE][SIDE]; /* one tile of bf16 */

struct operands {
	pairs a[STRIPS][STEPS], b[2][STEPS];
};

#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define UNINITIALIZED __attribute__((uninitialized)) /* not zeroed each time, as the program's flags would have it */
#endif
#endif
#ifndef UNINITIALIZED
#define UNINITIALIZED
#endif

static inline int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Rows 2 i and 2 i + 1 of x [depth, n], n up to 16, side by side in row i of a tile. */
static void round_down(pairs tile, const float *x, int64_t ld, int64_t depth, int64_t n)
{
	for (int64_t i = 0; i < SIDE; i++)
		amx_round_lines(tile[i], x + 2 * i * ld, ld, depth - 2 * i, n);
}

/* Exchange blocks of `size` dwords across the diagonal of blocks of twice that. */
#define EXCHANGE(size, ...)                                                                                            \
	for (int i = 0; i < SIDE; i++)                                                                                 \
		if (!(i & (size))) {                                                                                   \
			line upper = PICK(row[i], row[i + (size)], __VA_ARGS__);                                       \
			line lower = PICK(row[i], row[i + (size)], EXCHANGE_LOWER_##size);                             \
			row[i] = upper;                                                                                \
			row[i + (size)] = lower;                                                                       \
		}
#define EXCHANGE_LOWER_1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define EXCHANGE_LOWER_2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define EXCHANGE_LOWER_4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define EXCHANGE_LOWER_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31

static void transpose(pairs tile)
{
	typedef int32_t line __attribute__((vector_size(SIDE * 4)));
	line row[SIDE];

	memcpy(row, tile, sizeof row);
	EXCHANGE(1, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30)
	EXCHANGE(2, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
	EXCHANGE(4, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27)
	EXCHANGE(8, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
	memcpy(tile, row, sizeof row);
}

/* A tile of the left operand: up to 16 rows of up to 32. */
static void round_left(pairs tile, struct strided a, int64_t m, int64_t depth)
{
	if (a.col == 1) {
		for (int64_t i = 0; i < SIDE; i++)
			amx_round_row(tile[i], a.at + (i < m ? i * a.row : 0), i < m ? depth : 0);
		return;
	}
	round_down(tile, a.at, a.col, depth, m);
	transpose(tile);
}

static void round_a(struct operands *x, struct strided a, int64_t m, int64_t depth)
{
	for (int64_t i = 0; i < (m + BLOCK - 1) / BLOCK * BLOCK; i += SIDE)
		for (int64_t p = 0; p < depth; p += STEP)
			round_left(x->a[i / SIDE][p / STEP],
				   (struct strided){a.at + i * a.row + p * a.col, a.row, a.col}, m - i, depth - p);
}

static void round_b(struct operands *x, const float *b, int64_t ldb, int64_t depth, int64_t n)
{
	for (int64_t j = 0; j < BLOCK; j += SIDE)
		for (int64_t p = 0; p < depth; p += STEP)
			round_down(x->b[j / SIDE][p / STEP], b + p * ldb + j, ldb, depth - p, n - j);
}

/* c[32, 32] (+)= two strips of a times the two of b. Tiles 0 to 3 are c by rows, 4 and 5 of a, 6 and 7 of b. */
static void block(float *c, int64_t ldc, pairs (*a)[STEPS], pairs (*b)[STEPS], int64_t depth, bool add)
{
	const int64_t stride = ldc * (int64_t)sizeof *c;

	if (add) {
		amx_load(0, c, stride);
		amx_load(1, c + SIDE, stride);
		amx_load(2, c + SIDE * ldc, stride);
		amx_load(3, c + SIDE * ldc + SIDE, stride);
	} else {
		amx_zero(0);
		amx_zero(1);
		amx_zero(2);
		amx_zero(3);
	}
	for (int64_t p = 0; p * STEP < depth; p++) {
		amx_load(4, a[0][p], sizeof(pairs) / SIDE);
		amx_load(6, b[0][p], sizeof(pairs) / SIDE);
		amx_product(0, 4, 6);
		amx_load(7, b[1][p], sizeof(pairs) / SIDE);
		amx_product(1, 4, 7);
		amx_load(5, a[1][p], sizeof(pairs) / SIDE);
		amx_product(2, 5, 6);
		amx_product(3, 5, 7);
	}
	amx_store(0, c, stride);
	amx_store(1, c + SIDE, stride);
	amx_store(2, c + SIDE * ldc, stride);
	amx_store(3, c + SIDE * ldc + SIDE, stride);
}

static void copy(float *to, int64_t ld_to, const float *from, int64_t ld_from, int64_t m, int64_t n)
{
	for (int64_t i = 0; i < m; i++)
		memcpy(to + i * ld_to, from + i * ld_from, (size_t)n * sizeof *to);
}

/* c[m, n], at an edge smaller than the block */
static void part(float *c, int64_t ldc, pairs (*a)[STEPS], pairs (*b)[STEPS], int64_t depth, int64_t m, int64_t n,
		 bool add)
{
	float whole[BLOCK * BLOCK] UNINITIALIZED;

	if (m >= BLOCK && n >= BLOCK) {
		block(c, ldc, a, b, depth, add);
		return;
	}
	if (add)
		copy(whole, BLOCK, c, ldc, least(m, BLOCK), least(n, BLOCK));
	block(whole, BLOCK, a, b, depth, add);
	copy(c, ldc, whole, BLOCK, least(m, BLOCK), least(n, BLOCK));
}

/* As multiply, of no more than ROWS rows and DEPTH terms. */
static void panel(float *c, int64_t ldc, struct strided a, const float *b, int64_t ldb, int64_t depth, int64_t m,
		  int64_t n, bool add)
{
	struct operands x UNINITIALIZED;

	round_a(&x, a, m, depth);
	for (int64_t j = 0; j < n; j += BLOCK) {
		round_b(&x, b + j, ldb, depth, n - j);
		for (int64_t i = 0; i < m; i += BLOCK)
			part(c + i * ldc + j, ldc, x.a + i / SIDE, x.b, depth, m - i, n - j, add);
	}
}

void multiply(float *c, int64_t ldc, struct strided a, const float *b, int64_t ldb, int64_t depth, int64_t m, int64_t n,
	      bool add)
{
	static const struct amx_shapes whole = {
		.palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

	amx_begin(&whole);
	for (int64_t p = 0; p < depth; p += DEPTH)
		for (int64_t i = 0; i < m; i += ROWS)
			panel(c + i * ldc, ldc, (struct strided){a.at + i * a.row + p * a.col, a.row, a.col},
			      b + p * ldb, ldb, least(depth - p, DEPTH), least(m - i, ROWS), n, add || p > 0);
	amx_end();
}
