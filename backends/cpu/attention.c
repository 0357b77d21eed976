// SPDX-License-Identifier: Apache-2.0
/* Segment attention: a thread runs its stretch of tiles (attention.h); a tile's arithmetic is vec_attention.c. */
#include "backends/cpu/attention.h"
#include "backends/cpu/team.h"
#include "reference/check.h"

static void stretch_forward(const struct attn_work *work, int t, int threads)
{
	int64_t end, first = attn_stretch(work, t, threads, &end);
	struct attn_tile tile;

	for (int64_t number = first; number < end; number += tile.heads) {
		attn_fill(&tile, work, number, number == first);
		if (work->heads_inside && tile.lanes <= ATTN_NARROW)
			tile.heads = (int)at_most(end - number, work->dims->kv_heads - attn_at(work, number).head);
		work->vec->forward(&tile, work->scratch + (size_t)t * work->scratch_each);
	}
}

/* q and o in f32; k and v too, or both as a cache of this device holds them. */
static bool stored_so(struct device *dev, struct view o, struct view q, struct view k, struct view v)
{
	bool cached = k.dtype == dev->cache_dtype && v.dtype == dev->cache_dtype;

	return attn_f32(dev, "attention", (struct view[]){o, q, k, v}, cached ? 2 : 4);
}

static void attention(struct device *dev, struct view o, struct view lse, struct view q, struct view k, struct view v,
		      const struct segments *seg, const struct attn_dims *dims)
{
	struct attn_work work = {.seg = seg, .dims = dims, .q = q, .k = k, .v = v, .o = o, .lse = lse,
				 .heads_inside = seg->max_queries * dims->heads <= ATTN_LANES * dims->kv_heads};
	size_t mark = dev->scratch_used;

	if (!check_attention(dev, o, lse, q, k, v, seg, dims) || !stored_so(dev, o, q, k, v))
		return;
	if (attn_begin(dev, "attention", &work)) {
		attn_zero_outside(o, seg);
		if (view_present(lse))
			attn_zero_outside(lse, seg);
#pragma omp parallel for num_threads(dev->threads) schedule(static, 1)
		for (int t = 0; t < dev->threads; t++)
			stretch_forward(&work, t, dev->threads);
	}
	dev->scratch_used = mark;
}

void cpu_override_attention(struct kernels *table)
{
	table->attention = attention;
	table->attention_backward = cpu_attention_backward;
}

size_t cpu_attention_scratch(const struct device *dev, enum op op, const struct shape *shape)
{
	if (op == OP_attention)
		return attn_scratch(dev, shape);
	return op == OP_attention_backward ? attn_backward_scratch(dev, shape) : 0;
}
