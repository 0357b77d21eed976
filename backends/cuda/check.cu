// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of segments whose arrays lie on the device (reference/check_layer.c
 * says the same of arrays on the host). Nothing is read through a number that
 * has not been checked before.
 */
#include "backends/cuda/attention.cuh"

struct check_bounds {
	struct att_segments seg;
	int64_t max_queries, max_keys, queries, keys, pages, users; /* pages: columns of the table */
	bool backward;
	enum op op;
	int32_t *fault;
};

/* Every row that segment s names lies inside q and k; its pages apart. */
static __device__ bool check_rows_of(const struct check_bounds &b, int s)
{
	int64_t from = b.seg.q_begin[s], to = b.seg.q_begin[s + 1], own = b.seg.own_len[s];
	int64_t prefix = b.seg.prefix_len[s], at = b.seg.prefix_begin[s];
	if (from < 0 || from > to || to > b.queries || own < to - from || prefix < 0 || to - from > b.max_queries ||
	    own + prefix > b.max_keys || own + prefix > INT32_MAX)
		return false;
	if (prefix && (at < 0 || at + prefix > b.keys))
		return false;
	if (b.seg.pages)
		return b.seg.page_size > 0 && (own + b.seg.page_size - 1) / b.seg.page_size <= b.pages;
	return !own || (b.seg.own_begin[s] >= 0 && b.seg.own_begin[s] + own <= b.keys);
}

/* Pages of segment s, shared out among the block's threads. */
static __device__ bool check_pages(const struct check_bounds &b, int s)
{
	const int32_t *page = b.seg.pages + (int64_t)s * b.seg.pages_ld;
	bool good = true;
	for (int64_t p = threadIdx.x; p * b.seg.page_size < b.seg.own_len[s]; p += blockDim.x)
		good = good && page[p] >= 0 && (page[p] + (int64_t)1) * b.seg.page_size <= b.keys;
	return good;
}

/* Does segment u's prefix lie in the own rows of segment s, which stands before it? */
static __device__ bool check_uses(const struct att_segments &seg, int u, int s)
{
	int64_t begin = seg.prefix_begin[u], end = begin + seg.prefix_len[u];
	return u > s && u < seg.count && begin < end && begin >= seg.own_begin[s] &&
	       end <= (int64_t)seg.own_begin[s] + seg.own_len[s];
}

/* The backward's rules: queries and own keys the same rows, users listed ascending. */
static __device__ bool check_users_of(const struct check_bounds &b, int s)
{
	const struct att_segments &seg = b.seg;
	int begin = seg.user_begin[s], end = seg.user_begin[s + 1], len = seg.own_len[s];
	if (begin < 0 || begin > end || end > b.users || (s == 0 && begin != 0))
		return false;
	if (seg.q_begin[s + 1] - seg.q_begin[s] != len || (len && seg.q_begin[s] != seg.own_begin[s]))
		return false;
	bool good = true;
	for (int i = begin + (int)threadIdx.x; i < end; i += (int)blockDim.x) {
		int u = seg.user[i];
		good = good && u >= 0 && u < seg.count && check_uses(seg, u, s) && (i == begin || u > seg.user[i - 1]);
	}
	return good;
}

/* As many users listed as segments with a prefix: none is forgotten. By the whole block. */
static __device__ bool check_user_count(const struct check_bounds &b)
{
	int prefixes = 0;
	for (int s = (int)threadIdx.x; s < b.seg.count; s += (int)blockDim.x)
		prefixes += b.seg.prefix_len[s] > 0;
	return block_sum(prefixes) == b.seg.user_begin[b.seg.count];
}

__global__ void check_segments_kernel(struct check_bounds b)
{
	int s = (int)blockIdx.x;
	bool good = check_rows_of(b, s);
	if (good && b.seg.pages)
		good = check_pages(b, s);
	if (good && b.backward)
		good = check_users_of(b, s);
	if (s == 0 && b.backward && !check_user_count(b))
		good = false;
	if (!good)
		note_fault(b.fault, b.op);
}

void cuda_check_segments(struct device *dev, enum op op, const struct segments *seg, int64_t queries, int64_t keys,
			 bool backward)
{
	struct check_bounds b = {att_segments_of(seg), seg->max_queries, seg->max_keys, queries, keys,
				 seg->pages.cols,      seg->user.cols,   backward,      op,      cuda_of(dev)->fault};
	LAUNCH(dev, op_name(op), check_segments_kernel, dim3((unsigned)seg->count), dim3(32), 0, b);
}
