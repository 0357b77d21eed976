// SPDX-License-Identifier: Apache-2.0
/* Weights in pieces (backends/cpu/pieces.h), and products with them. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "backends/onednn/internal.h"

int tile_pieces_fill(struct tile *tile, const void *w, int64_t ld, bool transposed)
{
	if (!tile->data) {
		tile->bytes = pieces_bytes(tile->n, tile->k);
		tile->data = aligned_alloc(64, tile->bytes);
	}
	if (!tile->data)
		return -1;
#pragma omp parallel for schedule(static)
	for (int64_t strip = 0; strip < pieces_strips(tile->n); strip++)
		tile->pieces->lay_right(tile->data, w, ld, transposed, tile->n, tile->k, strip, strip + 1);
	return 0;
}

int tile_pieces_run(const struct tile *tile, int threads, float *y, int64_t ldy, const void *x, int64_t rows, bool add)
{
	const int64_t unit = 2 * PIECE_SIDE, units = (tile->n + unit - 1) / unit, steps = pieces_steps(tile->k);
	piece *left = (piece *)(uintptr_t)x, *right = tile->data;

#pragma omp parallel num_threads(threads) if (threads > 1)
	{
		int64_t own = omp_get_thread_num(), team = omp_get_num_threads();
		int64_t begin = units * own / team * unit, end = units * (own + 1) / team * unit;

		if (begin < end)
			tile->pieces->multiply(y, ldy, rows, left, right, steps, begin, end < tile->n ? end : tile->n,
					       add);
	}
	return 0;
}

/* A copy of a[n, n] in pieces. */
piece *tile_pieces_copy(const uint16_t *a, int64_t n)
{
	int64_t steps = pieces_steps(n);
	piece *out = aligned_alloc(64, pieces_bytes(n, n));

	if (!out)
		return NULL;
#pragma omp parallel for schedule(static)
	for (int64_t t = 0; t < n; t++)
		for (int64_t p = 0; p < steps; p++) {
			int64_t at = p * PIECE_TERMS, left = n - at < PIECE_TERMS ? n - at : PIECE_TERMS;
			uint32_t *row = out[t / PIECE_SIDE * steps + p][t % PIECE_SIDE];

			memset(row, 0, sizeof(piece) / PIECE_SIDE);
			memcpy(row, a + t * n + at, (size_t)left * sizeof *a);
		}
	return out;
}
