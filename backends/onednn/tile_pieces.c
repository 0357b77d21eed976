// SPDX-License-Identifier: Apache-2.0
/* Weights in pieces (backends/cpu/pieces.h), and products with them. */
#include <omp.h>
#include <stdlib.h>

#include "backends/onednn/internal.h"

int tile_pieces_fill(struct tile *tile, int threads, const void *w, int64_t ld, bool transposed)
{
	if (!tile->data) {
		tile->bytes = pieces_bytes(tile->n, tile->k);
		tile->data = aligned_alloc(64, tile->bytes);
	}
	if (!tile->data)
		return -1;
#pragma omp parallel for num_threads(threads) schedule(static)
	for (int64_t strip = 0; strip < pieces_strips(tile->n); strip++)
		tile->pieces->lay_right(tile->data, w, ld, transposed, tile->n, tile->k, strip, strip + 1);
	return 0;
}

void tile_pieces_run(const struct tile *tile, int threads, float *y, int64_t ldy, const void *x, int64_t rows, bool add)
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
}
