// SPDX-License-Identifier: Apache-2.0
/*
 * vec_amx.h - what attention and products on AMX's tiles share: operands laid
 * out in pieces (pieces.h), and blocks of products of them. Private to vec_amx*.c,
 * vec_attention_amx.c and vec_pieces.c.
 *
 *     amx_prepare();
 *     piece_rows(a + …, …);  piece_pairs(b + …, …);       // each operand once, in one of two forms
 *     piece_product(c, ldc, left, right, steps, rows, cols, true);
 *     amx_end();
 *
 * A piece of the left operand is 16 of its rows by 32 terms of the sum, one of
 * the right operand 32 terms by 16 of its columns; both hold dwords of two
 * neighbouring terms. Rows of a matrix in memory give the first where their
 * columns are the terms (piece_rows) and the second where the rows are
 * (piece_pairs); piece_transpose makes either into the other operand.
 *
 * Own, as the product of vec_tile.h: the library multiplies no matrix as small as
 * attention's without more cost around it than in it; for the others see pieces.h.
 */
#ifndef BALDISTILL_BACKENDS_CPU_VEC_AMX_H
#define BALDISTILL_BACKENDS_CPU_VEC_AMX_H

#include "backends/cpu/amx.h"
#include "backends/cpu/pieces.h"

enum { PIECE_BLOCK = 2 * PIECE_SIDE /* rows and columns of a product at once */ };

/* Piece p of strip i is at[i * strip + p * step]. */
struct piece_operand {
	piece *at;
	int64_t strip, step;
};

/* All eight tiles whole; amx_end() of amx.h follows. */
void amx_prepare(void);

/* Row i of the piece: the first n of 32 floats at rows[i], then zeros; all zeros where rows[i] is NULL. */
void piece_rows(piece out, const float *const rows[PIECE_SIDE], int64_t offset, int64_t n);
/* Row i of the piece: the first n of 16 columns of rows[2 i] and rows[2 i + 1], which may be NULL as above. */
void piece_pairs(piece out, const float *const rows[PIECE_TERMS], int64_t offset, int64_t n);
void piece_transpose(piece out);

/* c[16 rows, 16 cols] (+)= A B; rows and cols are strips, even */
void piece_product(float *c, int64_t ldc, struct piece_operand a, struct piece_operand b, int64_t steps, int64_t rows,
		   int64_t cols, bool add);
/* c[m, n] += A B, nothing written beyond */
void piece_product_into(float *c, int64_t ldc, int64_t m, int64_t n, struct piece_operand a, struct piece_operand b,
			int64_t steps);

/*
 * c[32, 32] (+)= the first two strips of A times those of B. Tiles 0 to 3 are c by rows, 4 and 5 of A, 6 and 7 of B.
 * ahead: so many steps before it is read a piece of B is asked for; 0: it is in the cache.
 */
static inline __attribute__((always_inline)) void piece_block(float *c, int64_t ldc, struct piece_operand a,
							      struct piece_operand b, int64_t steps, int ahead,
							      bool add)
{
	const int64_t stride = ldc * (int64_t)sizeof *c, own = sizeof(piece) / PIECE_SIDE;
	float *below = c + PIECE_SIDE * ldc;

	if (add) {
		amx_load(0, c, stride);
		amx_load(1, c + PIECE_SIDE, stride);
		amx_load(2, below, stride);
		amx_load(3, below + PIECE_SIDE, stride);
	} else {
		amx_zero(0);
		amx_zero(1);
		amx_zero(2);
		amx_zero(3);
	}
	for (int64_t p = 0; p < steps; p++, a.at += a.step, b.at += b.step) {
		amx_load(6, b.at, own);
		amx_load(4, a.at, own);
		amx_product(0, 4, 6);
		amx_load(7, b.at + b.strip, own);
		amx_product(1, 4, 7);
		amx_load(5, a.at + a.strip, own);
		amx_product(2, 5, 6);
		amx_product(3, 5, 7);
		for (int i = 0; ahead && i < PIECE_SIDE; i++) {
			__builtin_prefetch((const char *)(b.at + ahead * b.step) + i * own);
			__builtin_prefetch((const char *)(b.at + b.strip + ahead * b.step) + i * own);
		}
	}
	amx_store(0, c, stride);
	amx_store(1, c + PIECE_SIDE, stride);
	amx_store(2, below, stride);
	amx_store(3, below + PIECE_SIDE, stride);
}

/* piece_block of c[m, n]; where that is smaller, by way of a copy. */
static inline __attribute__((always_inline)) void piece_part(float *c, int64_t ldc, int64_t m, int64_t n,
							     struct piece_operand a, struct piece_operand b,
							     int64_t steps, int ahead, bool add)
{
	float whole[PIECE_BLOCK][PIECE_BLOCK];

	if (m >= PIECE_BLOCK && n >= PIECE_BLOCK) {
		piece_block(c, ldc, a, b, steps, ahead, add);
		return;
	}
	piece_block(whole[0], PIECE_BLOCK, a, b, steps, ahead, false);
	for (int64_t i = 0; i < (m < PIECE_BLOCK ? m : PIECE_BLOCK); i++)
		for (int64_t j = 0; j < (n < PIECE_BLOCK ? n : PIECE_BLOCK); j++)
			c[i * ldc + j] = (add ? c[i * ldc + j] : 0.0f) + whole[i][j];
}

#endif
