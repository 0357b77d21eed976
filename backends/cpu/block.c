// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/block.h"

int64_t block_adapt_work(int64_t rows, int64_t rank)
{
	return rank ? round_up_to(rows * rank, 16) + low_rank_work(rows, rank) : 0;
}

void block_adapt(const struct block_adapter *a, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t first,
		 int64_t count, float *work)
{
	int64_t rank = a->lr.rank;

	if (!a->lr.lora)
		return;
	float *xa = a->saved ? a->saved + first * rank : lane_carve(&work, count * rank);

	low_rank_down(&a->lr, xa, x, ldx, first, count, 0, a->lr.lora->a.cols, false, work);
	low_rank_up(&a->lr, y, ldy, xa, count, 0, a->lr.lora->b.rows, work);
}

void block_adapt_backward(const struct block_adapter *a, int lane, float *dx, int64_t lddx, const float *dy,
			  int64_t ldy, const float *x, int64_t ldx, int64_t first, int64_t count, float *work)
{
	int64_t rank = a->lr.rank;

	if (!a->lr.lora)
		return;
	float *g = lane_carve(&work, count * rank);

	low_rank_up_backward(&a->lr, &a->sums[lane], g, dy, ldy, a->saved + first * rank, count, 0,
			     a->lr.lora->b.rows, false, work);
	low_rank_down_backward(&a->lr, &a->sums[lane], dx, lddx, g, x, ldx, first, count, 0, a->lr.lora->a.cols,
			       work);
}

void block_adapt_sums(struct device *dev, const char *op, struct block_adapter *a, const struct lora *lora,
		      const struct dropout *drop)
{
	a->lr = low_rank_of(dev, lora, drop);
	if (!lora)
		return;
	int64_t floats = low_rank_sums_size(lora->b.rows, lora->a.cols, a->lr.rank);
	struct lanes lanes = lanes_take(dev, op, dev->threads, floats);

	a->sums = device_scratch(dev, op, (size_t)dev->threads * sizeof *a->sums);
	if (!lanes.at)
		a->sums = NULL;
	for (int lane = 0; a->sums && lane < dev->threads; lane++) {
		float *at = lane_of(&lanes, lane);

		a->sums[lane] = low_rank_sums_at(&a->lr, &at);
	}
}

void block_adapt_collect(const struct block_adapter *a)
{
	if (a->sums)
		low_rank_collect(&a->lr, a->sums);
}

size_t block_sums_bytes(const struct device *dev, int64_t in, int64_t out, int64_t rank)
{
	return lanes_bytes(dev->threads, low_rank_sums_size(out, in, rank)) +
	       (size_t)round_up_to((int64_t)sizeof(struct low_rank_sums) * dev->threads, 64);
}
