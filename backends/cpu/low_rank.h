// SPDX-License-Identifier: Apache-2.0
/*
 * low_rank.h - the low-rank products of some rows on the caller's thread.
 *
 * All pointers are to the first of `count` rows; `first` is its number in the
 * call, for the row key. Composites that walk a wide input or output in parts
 * name the part: features [col, col + cols) of x, columns [row, row + n) of y.
 */
#ifndef BALDISTILL_BACKENDS_CPU_LOW_RANK_H
#define BALDISTILL_BACKENDS_CPU_LOW_RANK_H

#include "backends/cpu/team.h"

/* One adapter in one call; lora is NULL where there is none. */
struct low_rank {
	const struct device *dev;
	const struct lora *lora;
	int64_t rank;
	bool drops;           /* x is masked */
	struct vec_mask mask; /* without row and first */
	const uint64_t *row_key;
};

/* Gradients that one lane sums up, dense: da [r, M], and db [r, N], transposed and not yet scaled. */
struct low_rank_sums {
	float *da, *db;
};

struct low_rank low_rank_of(const struct device *dev, const struct lora *lora, const struct dropout *drop);

/* Floats of `work` below, for at most `rows` rows. */
int64_t low_rank_work(int64_t rows, int64_t rank);

/* xa[count, r] (+)= drop(x) A^T */
void low_rank_down(const struct low_rank *lr, float *xa, const float *x, int64_t ldx, int64_t first, int64_t count,
		   int64_t col, int64_t cols, bool add, float *work);
/* y += scale * xa B^T */
void low_rank_up(const struct low_rank *lr, float *y, int64_t ldy, const float *xa, int64_t count, int64_t row,
		 int64_t n, float *work);

/* g[count, r] (+)= scale * dy B;  db += scale * dy^T xa where it is trained */
void low_rank_up_backward(const struct low_rank *lr, const struct low_rank_sums *sums, float *g, const float *dy,
			  int64_t ldy, const float *xa, int64_t count, int64_t row, int64_t n, bool add, float *work);
/* da += g^T drop(x) where it is trained, x may be NULL where not;  dx += mask / (1 - p) * (g A), dx may be NULL */
void low_rank_down_backward(const struct low_rank *lr, const struct low_rank_sums *sums, float *dx, int64_t lddx,
			    const float *g, const float *x, int64_t ldx, int64_t first, int64_t count, int64_t col,
			    int64_t cols, float *work);

/* Floats of one lane's sums, [out, in] the adapted matrix; carve them, zeroed, and add all lanes' to the gradients. */
int64_t low_rank_sums_size(int64_t out, int64_t in, int64_t rank);
struct low_rank_sums low_rank_sums_at(const struct low_rank *lr, float **at);
void low_rank_collect(const struct low_rank *lr, const struct low_rank_sums *sums);

#endif
