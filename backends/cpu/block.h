// SPDX-License-Identifier: Apache-2.0
/*
 * block.h - what attn_in, attn_out and mlp share: parts of their saved areas,
 * and the low-rank products of a piece of a block's rows.
 */
#ifndef BALDISTILL_BACKENDS_CPU_BLOCK_H
#define BALDISTILL_BACKENDS_CPU_BLOCK_H

#include "backends/cpu/low_rank.h"

/* The next floats of a saved area; NULL, and nothing carved, where there is none. */
static inline float *saved_carve(char **at, int64_t floats)
{
	float *out = (float *)(void *)*at;

	if (out)
		*at += round_up_to(floats * (int64_t)sizeof(float), 64);
	return out;
}

static inline size_t saved_bytes(int64_t floats)
{
	return (size_t)round_up_to(floats * (int64_t)sizeof(float), 64);
}

/* One adapter of a composite. */
struct block_adapter {
	struct low_rank lr;         /* lr.lora is NULL where there is none */
	float *saved;               /* xa of all rows of the call, or NULL */
	struct low_rank_sums *sums; /* backward: of each lane */
};

/* Floats of `work` for pieces of at most `rows` rows. */
int64_t block_adapt_work(int64_t rows, int64_t rank);

/* y += low rank of x, for `count` rows from `first` of the call on; pointers are to row `first`. */
void block_adapt(const struct block_adapter *a, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t first,
		 int64_t count, float *work);
/* Its gradients; dx may be NULL. */
void block_adapt_backward(const struct block_adapter *a, int lane, float *dx, int64_t lddx, const float *dy,
			  int64_t ldy, const float *x, int64_t ldx, int64_t first, int64_t count, float *work);

/* Take the lanes' sums from the scratch, zeroed; add them to the gradients at the end. */
void block_adapt_sums(struct device *dev, const char *op, struct block_adapter *a, const struct lora *lora,
		      const struct dropout *drop);
void block_adapt_collect(const struct block_adapter *a);
size_t block_sums_bytes(const struct device *dev, int64_t in, int64_t out, int64_t rank);

#endif
