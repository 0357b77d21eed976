// SPDX-License-Identifier: Apache-2.0
/*
 * pieces.h - products in bf16 on AMX's tiles, f32 sums, from operands laid out
 * in pieces: 16 rows of x, or columns of B, by 32 terms of the sum.
 *
 *     const struct pieces *p = pieces_bf16();              // NULL: not on this CPU
 *     piece *b = aligned_alloc(64, pieces_bytes(n, k));    // once
 *     p->lay_right(b, w, ld, transposed, n, k, 0, pieces_strips(n));
 *     piece *a = …pieces_bytes(rows, k);                   // for each x
 *     p->lay_row(a, pieces_steps(k), t, x + t * ldx, k);   // every row t
 *     p->multiply(y, ldy, rows, a, b, pieces_steps(k), 0, n, add);
 *
 * Own: on the first CPUs with AMX 1.25 to 1.45 times as fast as the library's
 * (oneDNN 2.6) at a layer's shapes, and rounding x lays it out. Calls may run side
 * by side on parts of y, of B and of x. vec_pieces.c.
 */
#ifndef BALDISTILL_BACKENDS_CPU_PIECES_H
#define BALDISTILL_BACKENDS_CPU_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PIECE_SIDE = 16,             /* rows or columns */
	PIECE_TERMS = 2 * PIECE_SIDE /* of the sum */
};

/* As a tile of AMX holds it (amx.h). */
typedef uint32_t piece[PIECE_SIDE][PIECE_SIDE];

/* Steps of a sum of k terms, and strips of 16 of n rows or columns, always two at a time. */
static inline int64_t pieces_steps(int64_t k)
{
	return (k + PIECE_TERMS - 1) / PIECE_TERMS;
}

static inline int64_t pieces_strips(int64_t n)
{
	return (n + 2 * PIECE_SIDE - 1) / (2 * PIECE_SIDE) * 2;
}

static inline size_t pieces_bytes(int64_t n, int64_t k)
{
	return (size_t)(pieces_strips(n) * pieces_steps(k)) * sizeof(piece);
}

struct pieces {
	/* Row `row` of x, n floats rounded to bf16; what is left of its last step becomes zero. */
	void (*lay_row)(piece *x, int64_t steps, int64_t row, const float *from, int64_t n);
	/*
	 * Strips [first, last) of B [k, n]: B[i, j] = w[i * ld + j], or w[j * ld + i] where transposed, zero beyond.
	 */
	void (*lay_right)(piece *b, const uint16_t *w, int64_t ld, bool transposed, int64_t n, int64_t k,
			  int64_t first, int64_t last);
	/* y[rows, j] (+)= x B of the columns [begin, end), begin a multiple of 32. */
	void (*multiply)(float *y, int64_t ldy, int64_t rows, piece *x, piece *b, int64_t steps, int64_t begin,
			 int64_t end, bool add);
};

/* vec_level.c; asks Linux for the tiles. */
const struct pieces *pieces_bf16(void);

#endif
