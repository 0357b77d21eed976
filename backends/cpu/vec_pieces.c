// SPDX-License-Identifier: Apache-2.0
/* Products with prepared weights on AMX's tiles (pieces.h). */
#include <string.h>

#include "backends/cpu/vec_amx.h"

enum {
	MOST_STEPS = 20, /* of a sum at a time: two strips of x stay in the first-level cache */
	PANEL = 512,     /* columns at a time: so much of B stays in the second level while rows go by */
	AHEAD = 2        /* steps from a piece of B to the one asked for, which comes from the second level */
};

static int64_t at_most(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void lay_row(piece *x, int64_t steps, int64_t row, const float *from, int64_t n)
{
	piece *strip = x + row / PIECE_SIDE * steps;

	for (int64_t p = 0; p < steps; p++)
		amx_round_row(strip[p][row % PIECE_SIDE], from + p * PIECE_TERMS, n - p * PIECE_TERMS);
}

/* 16 rows of w, one for each column of B, then turned */
static void lay_turned(piece out, const uint16_t *w, int64_t ld, int64_t cols, int64_t terms)
{
	memset(out, 0, sizeof(piece));
	for (int64_t j = 0; j < at_most(cols, PIECE_SIDE); j++)
		memcpy(out[j], w + j * ld, (size_t)at_most(terms, PIECE_TERMS) * sizeof *w);
	piece_transpose(out);
}

/* Two rows of w, side by side, in each of the 16 */
static void lay_straight(piece out, const uint16_t *w, int64_t ld, int64_t cols, int64_t terms)
{
	memset(out, 0, sizeof(piece));
	for (int64_t i = 0; i < at_most(terms, PIECE_TERMS); i++, w += ld)
		for (int64_t j = 0; j < at_most(cols, PIECE_SIDE); j++)
			out[i / 2][j] |= (uint32_t)w[j] << i % 2 * 16;
}

static void lay_right(piece *b, const uint16_t *w, int64_t ld, bool transposed, int64_t n, int64_t k, int64_t first,
		      int64_t last)
{
	int64_t steps = pieces_steps(k);

	for (int64_t strip = first; strip < last; strip++)
		for (int64_t p = 0; p < steps; p++) {
			int64_t j = strip * PIECE_SIDE, i = p * PIECE_TERMS;

			if (j >= n)
				memset(b[strip * steps + p], 0, sizeof(piece));
			else if (transposed)
				lay_turned(b[strip * steps + p], w + j * ld + i, ld, n - j, k - i);
			else
				lay_straight(b[strip * steps + p], w + i * ld + j, ld, n - j, k - i);
		}
}

/* One product: y[rows, …] (+)= x B. */
struct product {
	float *y;
	int64_t ldy, rows;
	piece *x, *b;
	int64_t steps;
};

/* Of the columns [begin, end) the steps [p, p + n). */
static void panel(const struct product *c, int64_t begin, int64_t end, int64_t p, int64_t n, bool add)
{
	for (int64_t i = 0; i < c->rows; i += PIECE_BLOCK)
		for (int64_t j = begin; j < end; j += PIECE_BLOCK) {
			const struct piece_operand left = {c->x + i / PIECE_SIDE * c->steps + p, c->steps, 1};
			const struct piece_operand right = {c->b + j / PIECE_SIDE * c->steps + p, c->steps, 1};

			piece_part(c->y + i * c->ldy + j, c->ldy, c->rows - i, end - j, left, right, n, AHEAD, add);
		}
}

static void multiply(float *y, int64_t ldy, int64_t rows, piece *x, piece *b, int64_t steps, int64_t begin, int64_t end,
		     bool add)
{
	const struct product c = {y, ldy, rows, x, b, steps};
	int64_t parts = (steps + MOST_STEPS - 1) / MOST_STEPS, part = parts ? (steps + parts - 1) / parts : 1;

	amx_prepare();
	for (int64_t j = begin; j < end; j += PANEL)
		for (int64_t p = 0; p < steps; p += part)
			panel(&c, j, at_most(j + PANEL, end), p, at_most(part, steps - p), add || p);
	amx_end();
}

const struct pieces pieces_amx;
const struct pieces pieces_amx = {.lay_row = lay_row, .lay_right = lay_right, .multiply = multiply};
