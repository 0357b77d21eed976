// SPDX-License-Identifier: Apache-2.0
/*
 * attention.cuh - struct segments (kernel.h) as kernels take it, and what a query sees.
 *
 * The keys of a segment are numbered through: its prefix 0 … prefix_len - 1,
 * its own keys behind. Query t then sees the keys low < j <= high, where high is
 * its own key and low, -1 without a window, may differ between prefix and own
 * keys because positions come from outside.
 */
#ifndef BALDISTILL_BACKENDS_CUDA_ATTENTION_CUH
#define BALDISTILL_BACKENDS_CUDA_ATTENTION_CUH

#include "backends/cuda/array.cuh"

struct att_segments {
	const int32_t *q_begin, *own_begin, *own_len, *prefix_begin, *prefix_len, *pos;
	const int32_t *user_begin, *user;
	const int32_t *pages; /* NULL: none */
	int64_t pages_ld, page_size, window;
	int count;
};

static inline struct att_segments att_segments_of(const struct segments *seg)
{
	struct att_segments a = {
		i32_of(seg->q_begin),    i32_of(seg->own_begin), i32_of(seg->own_len),    i32_of(seg->prefix_begin),
		i32_of(seg->prefix_len), i32_of(seg->pos),       i32_of(seg->user_begin), i32_of(seg->user),
		i32_of(seg->pages),      seg->pages.ld,          seg->page_size,          seg->window,
		(int)seg->count};
	return a;
}

/* Arguments of every attention kernel; those of the backward are absent in the forward. */
struct att_call {
	struct array o, lse, q, k, v, d_o, delta, dq, dk, dv;
	struct att_segments seg;
	int heads, kv_heads, head_dim;
	float scale;
	const int32_t *fault; /* set: the segments are not to be followed */
};

static inline struct att_call att_call_of(struct device *dev, const struct segments *seg, const struct attn_dims *dims)
{
	struct att_call c = {};
	c.seg = att_segments_of(seg);
	c.heads = dims->heads, c.kv_heads = dims->kv_heads, c.head_dim = dims->head_dim;
	c.scale = dims->scale;
	c.fault = cuda_of(dev)->fault;
	return c;
}

/* Segment s as numbers. */
struct att_span {
	int s, q, n; /* queries: rows q … q + n - 1 */
	int own, own_len, prefix, prefix_len;
};

__device__ __forceinline__ struct att_span att_span_of(const struct att_segments &seg, int s)
{
	struct att_span a;
	a.s = s;
	a.q = seg.q_begin[s];
	a.n = seg.q_begin[s + 1] - a.q;
	a.own = seg.pages ? 0 : seg.own_begin[s];
	a.own_len = seg.own_len[s];
	a.prefix = seg.prefix_begin[s];
	a.prefix_len = seg.prefix_len[s];
	return a;
}

/* The segment that query row i belongs to, -1: none. Queries of all segments are consecutive. */
__device__ __forceinline__ int att_segment_of(const struct att_segments &seg, int i)
{
	int low = 0, high = seg.count + 1; /* the first entry of q_begin above i */
	while (low < high) {
		int middle = (low + high) / 2;
		if (seg.q_begin[middle] > i)
			high = middle;
		else
			low = middle + 1;
	}
	return low == seg.count + 1 ? -1 : low - 1;
}

struct att_sight {
	int low_prefix, low_own, high;
};

__device__ __forceinline__ int att_low(int64_t at, int64_t window)
{
	return window > 0 && at >= window ? (int)(at - window) : -1;
}

__device__ __forceinline__ struct att_sight att_sight_of(const struct att_segments &seg, const struct att_span &a,
							 int t)
{
	struct att_sight see;
	see.high = a.prefix_len + a.own_len - a.n + t;
	see.low_own = att_low(see.high, seg.window);
	see.low_prefix = seg.window > 0 ? att_low(seg.pos[a.q + t], seg.window) : -1;
	return see;
}

__device__ __forceinline__ bool att_sees(const struct att_sight &see, const struct att_span &a, int j)
{
	return j <= see.high && j > (j < a.prefix_len ? see.low_prefix : see.low_own);
}

/* The first key that may be seen. */
__device__ __forceinline__ int att_first(const struct att_sight &see, const struct att_span &a)
{
	if (see.low_prefix + 1 < a.prefix_len)
		return see.low_prefix + 1;
	return see.low_own + 1 > a.prefix_len ? see.low_own + 1 : a.prefix_len;
}

/* Row of k and v. */
__device__ __forceinline__ int att_key_row(const struct att_segments &seg, const struct att_span &a, int j)
{
	if (j < a.prefix_len)
		return a.prefix + j;
	unsigned own = (unsigned)(j - a.prefix_len), size = (unsigned)seg.page_size;
	if (!seg.pages)
		return a.own + (int)own;
	return seg.pages[(int64_t)a.s * seg.pages_ld + own / size] * (int)size + (int)(own % size);
}

/* attention.cu: 0 in the rows of no segment, of three arrays that may be absent. */
void att_zero_outside(struct device *dev, const char *op, struct view x, struct view y, struct view z,
		      const struct segments *seg);

#endif
