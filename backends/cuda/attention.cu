// SPDX-License-Identifier: Apache-2.0
/*
 * Segment attention of any shape and type in f32, and the choice between it
 * and attention_mma.cu. A block has one query or key row of one head and walks
 * over the other side in chunks: first a thread per key (or query) for the
 * products of rows, then a thread per feature for the sums. Every sum has one
 * order: keys ascending; for a key the queries ascending, of each the heads of
 * the group, own segment first and then the prefix's users.
 */
#include "backends/cuda/attention.cuh"
#include "reference/check.h"

enum { ATT_CHUNK = 128, ATT_THREADS = 128 };

/* x . row i of a, columns from j on. */
template <int N> static __device__ float att_dot(const float *x, const struct array &a, int64_t i, int64_t j, int n)
{
	float sum = 0;
	for (int c = 0; c < n; c += N) {
		float y[N];
		load<N>(y, a, i, j + c);
		EACH(N, e) sum += x[c + e] * y[e];
	}
	return sum;
}

/* Row i of a, n columns from j on, into shared memory; the caller's barrier follows. */
static __device__ void att_fetch(float *x, const struct array &a, int64_t i, int64_t j, int n)
{
	for (int c = (int)threadIdx.x; c < n; c += (int)blockDim.x)
		x[c] = element(a, i, j + c);
}

static __device__ void att_clear(float *x, int n)
{
	for (int c = (int)threadIdx.x; c < n; c += (int)blockDim.x)
		x[c] = 0;
}

/* Row i of a, n columns from j on, becomes scale * x. */
static __device__ void att_put(const struct array &a, int64_t i, int64_t j, const float *x, int n, float scale)
{
	for (int c = (int)threadIdx.x; c < n; c += (int)blockDim.x)
		put(a, i, j + c, scale * x[c]);
}

/* ---- forward: online softmax (Milakov and Gimelshein 2018) -------------------------------- */

/* score[i] = scale q . k of key j0 + i and its row, -inf and -1 where unseen. Returns the thread's largest. */
template <int N>
static __device__ float att_scores(const struct att_call &c, const struct att_span &a, const struct att_sight &see,
				   int head, int j0, int n, const float *query, float *score, int *row)
{
	float most = -INFINITY;
	for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) {
		row[i] = att_sees(see, a, j0 + i) ? att_key_row(c.seg, a, j0 + i) : -1;
		score[i] = -INFINITY;
		if (row[i] >= 0)
			score[i] = c.scale * att_dot<N>(query, c.k, row[i], (int64_t)head * c.head_dim, c.head_dim);
		most = score[i] > most ? score[i] : most;
	}
	return most;
}

/* sum = decay * sum + weight . rows; a thread per feature. */
static __device__ void att_weigh(float *sum, float decay, const float *weight, const int *row, int n,
				 const struct array &a, int64_t column, int head_dim)
{
	for (int c = (int)threadIdx.x; c < head_dim; c += (int)blockDim.x) {
		float total = decay * sum[c];
		for (int i = 0; i < n; i++)
			if (row[i] >= 0)
				total += weight[i] * element(a, row[i], column + c);
		sum[c] = total;
	}
}

static __device__ float att_exponentials(float *score, int n, float most)
{
	float sum = 0;
	for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x)
		sum += score[i] = expf(score[i] - most);
	return sum;
}

template <int N> __global__ void att_forward(struct att_call c)
{
	if (*c.fault)
		return;
	SHARED(float, query);
	float *sum = query + c.head_dim, *score = sum + c.head_dim;
	int *row = (int *)(score + ATT_CHUNK);
	int q = (int)blockIdx.x, h = (int)blockIdx.y, s = att_segment_of(c.seg, q), g = h / (c.heads / c.kv_heads);
	att_clear(sum, c.head_dim);
	att_fetch(query, c.q, q, (int64_t)h * c.head_dim, c.head_dim);
	__syncthreads();
	float most = -INFINITY, total = s < 0 ? 1.0f : 0.0f; /* a row of no segment: 0 / 1 */
	if (s >= 0) {
		struct att_span a = att_span_of(c.seg, s);
		struct att_sight see = att_sight_of(c.seg, a, q - a.q);
		for (int j = att_first(see, a); j <= see.high; j += ATT_CHUNK) {
			int n = min(ATT_CHUNK, see.high + 1 - j);
			float top = block_max(att_scores<N>(c, a, see, g, j, n, query, score, row));
			top = top > most ? top : most;
			float decay = expf(most - top);
			total = decay * total + block_sum(att_exponentials(score, n, top));
			att_weigh(sum, decay, score, row, n, c.v, (int64_t)g * c.head_dim, c.head_dim);
			most = top;
			__syncthreads();
		}
	}
	att_put(c.o, q, (int64_t)h * c.head_dim, sum, c.head_dim, 1 / total);
	if (c.lse.p && threadIdx.x == 0)
		put(c.lse, q, h, s < 0 ? 0 : most + logf(total));
}

/* ---- backward: p = e^(scale q.k - lse), ds = p (d_o.v - delta) ------------------------------ */

/* delta[R,H] = d_o . o, of each head */
template <int N> __global__ void att_delta(struct array delta, struct array d_o, struct array o, int head_dim)
{
	int64_t step = (int64_t)gridDim.x * blockDim.x;
	for (int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; at < delta.rows * delta.cols; at += step) {
		int64_t i = at / delta.cols, h = at % delta.cols;
		float sum = 0;
		for (int c = 0; c < head_dim; c += N) {
			float x[N], y[N];
			load<N>(x, d_o, i, h * head_dim + c);
			load<N>(y, o, i, h * head_dim + c);
			EACH(N, e) sum += x[e] * y[e];
		}
		put(delta, i, h, sum);
	}
}

struct att_pair {
	float p, ds;
};

/* One side's row of q and d_o, or of k and v, lies in x and y, the other's is row i, column j of xs and ys. */
template <int N>
static __device__ struct att_pair att_pair_of(const struct att_call &c, const float *x, const float *y,
					      const struct array &xs, const struct array &ys, int64_t i, int64_t j,
					      int64_t query, int head)
{
	struct att_pair pair;
	pair.p = expf(c.scale * att_dot<N>(x, xs, i, j, c.head_dim) - element(c.lse, query, head));
	pair.ds = pair.p * (att_dot<N>(y, ys, i, j, c.head_dim) - element(c.delta, query, head));
	return pair;
}

/* dq = scale * sum_j ds_j k_j */
template <int N> __global__ void att_backward_query(struct att_call c)
{
	if (*c.fault)
		return;
	SHARED(float, query);
	float *d_o = query + c.head_dim, *sum = d_o + c.head_dim, *ds = sum + c.head_dim;
	int *row = (int *)(ds + ATT_CHUNK);
	int q = (int)blockIdx.x, h = (int)blockIdx.y, s = att_segment_of(c.seg, q);
	int64_t column = (int64_t)(h / (c.heads / c.kv_heads)) * c.head_dim;
	att_clear(sum, c.head_dim);
	att_fetch(query, c.q, q, (int64_t)h * c.head_dim, c.head_dim);
	att_fetch(d_o, c.d_o, q, (int64_t)h * c.head_dim, c.head_dim);
	__syncthreads();
	if (s >= 0) {
		struct att_span a = att_span_of(c.seg, s);
		struct att_sight see = att_sight_of(c.seg, a, q - a.q);
		for (int j = att_first(see, a); j <= see.high; j += ATT_CHUNK) {
			int n = min(ATT_CHUNK, see.high + 1 - j);
			for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) {
				row[i] = att_sees(see, a, j + i) ? att_key_row(c.seg, a, j + i) : -1;
				if (row[i] >= 0)
					ds[i] = att_pair_of<N>(c, query, d_o, c.k, c.v, row[i], column, q, h).ds;
			}
			__syncthreads();
			att_weigh(sum, 1, ds, row, n, c.k, column, c.head_dim);
			__syncthreads();
		}
	}
	att_put(c.dq, q, (int64_t)h * c.head_dim, sum, c.head_dim, c.scale);
}

/* The shared memory of a key's block. */
struct att_key {
	float *k, *v, *dk, *dv, *p, *ds;
};

/* dk += ds q, dv += p d_o over n (query, head) pairs, the first at `from`; a thread per feature. */
static __device__ void att_key_sums(const struct att_call &c, const struct att_key &key, const struct att_span &a,
				    int g, int64_t from, int n)
{
	int group = c.heads / c.kv_heads;
	for (int f = (int)threadIdx.x; f < c.head_dim; f += (int)blockDim.x) {
		float dk = key.dk[f], dv = key.dv[f];
		for (int i = 0; i < n; i++) {
			int64_t row = a.q + (from + i) / group;
			int64_t column = (g * group + (from + i) % group) * c.head_dim + f;
			if (key.p[i] == 0 && key.ds[i] == 0)
				continue; /* unseen */
			dk += key.ds[i] * element(c.q, row, column);
			dv += key.p[i] * element(c.d_o, row, column);
		}
		key.dk[f] = dk, key.dv[f] = dv;
	}
}

/* What the queries of segment a give to its key j. */
template <int N>
static __device__ void att_key_gradient(const struct att_call &c, const struct att_key &key, const struct att_span &a,
					int j, int g)
{
	int group = c.heads / c.kv_heads;
	int64_t first = j < a.prefix_len ? 0 : j - a.prefix_len; /* queries and own keys are the same rows */
	for (int64_t from = first * group; from < (int64_t)a.n * group; from += ATT_CHUNK) {
		int64_t left = (int64_t)a.n * group - from;
		int n = left < ATT_CHUNK ? (int)left : ATT_CHUNK;
		for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) {
			int t = (int)((from + i) / group), h = g * group + (int)((from + i) % group);
			struct att_pair pair = {0, 0};
			if (att_sees(att_sight_of(c.seg, a, t), a, j))
				pair = att_pair_of<N>(c, key.k, key.v, c.q, c.d_o, a.q + t, (int64_t)h * c.head_dim,
						      a.q + t, h);
			key.p[i] = pair.p, key.ds[i] = pair.ds;
		}
		__syncthreads();
		att_key_sums(c, key, a, g, from, n);
		__syncthreads();
	}
}

template <int N> __global__ void att_backward_key(struct att_call c)
{
	if (*c.fault)
		return;
	SHARED(float, at);
	int D = c.head_dim, row = (int)blockIdx.x, g = (int)blockIdx.y, s = att_segment_of(c.seg, row);
	struct att_key key = {at, at + D, at + 2 * D, at + 3 * D, at + 4 * D, at + 4 * D + ATT_CHUNK};
	att_fetch(key.k, c.k, row, (int64_t)g * D, D);
	att_fetch(key.v, c.v, row, (int64_t)g * D, D);
	att_clear(key.dk, D);
	att_clear(key.dv, D);
	__syncthreads();
	if (s >= 0) {
		struct att_span own = att_span_of(c.seg, s);
		att_key_gradient<N>(c, key, own, own.prefix_len + row - own.own, g);
		for (int u = c.seg.user_begin[s]; u < c.seg.user_begin[s + 1]; u++) {
			struct att_span user = att_span_of(c.seg, c.seg.user[u]);
			int j = row - user.prefix;
			if (j >= 0 && j < user.prefix_len)
				att_key_gradient<N>(c, key, user, j, g);
		}
	}
	att_put(c.dk, row, (int64_t)g * D, key.dk, D, c.scale);
	att_put(c.dv, row, (int64_t)g * D, key.dv, D, 1);
}

/* ---- entries ---------------------------------------------------------------------------------- */

/* Row i of those before the first and behind the last segment. */
__global__ void att_zero_kernel(struct array x, struct array y, struct array z, int64_t rows, struct att_segments seg,
				const int32_t *fault)
{
	if (*fault)
		return;
	int64_t before = seg.q_begin[0], end = seg.q_begin[seg.count], outside = before + rows - end;
	const struct array list[] = {x, y, z};
	for (int64_t i = blockIdx.x; i < outside; i += gridDim.x)
		EACH(3, a)
	for (int64_t j = threadIdx.x; list[a].p && j < list[a].cols; j += blockDim.x)
		put(list[a], i < before ? i : end + i - before, j, 0);
}

void att_zero_outside(struct device *dev, const char *op, struct view x, struct view y, struct view z,
		      const struct segments *seg)
{
	(void)op; /* named by LAUNCH on a GPU */
	LAUNCH(dev, op, att_zero_kernel, dim3(64), dim3(128), 0, array_of(x), array_of(y), array_of(z), x.rows,
	       att_segments_of(seg), cuda_of(dev)->fault);
}

/* Rows of all arrays can be read eight elements of one head at a time. */
static bool att_wide(const struct att_call *c)
{
	return c->head_dim % 8 == 0 && wide(c->o) && wide(c->q) && wide(c->k) && wide(c->v) && wide(c->d_o);
}

static size_t att_shared(const struct att_call *c, int rows, int chunks)
{
	return ((size_t)rows * (size_t)c->head_dim + (size_t)chunks * ATT_CHUNK) * sizeof(float);
}

static void att_attention(struct device *dev, struct view o, struct view lse, struct view q, struct view k,
			  struct view v, const struct segments *seg, const struct attn_dims *dims)
{
	if (!check_attention(dev, o, lse, q, k, v, seg, dims))
		return;
	cuda_check_segments(dev, OP_attention, seg, q.rows, k.rows, false);
	if (cuda_attention_mma(dev, o, lse, q, k, v, seg, dims))
		return;
	struct att_call c = att_call_of(dev, seg, dims);
	c.o = array_of(o), c.lse = array_of(lse), c.q = array_of(q), c.k = array_of(k), c.v = array_of(v);
	dim3 grid((unsigned)q.rows, (unsigned)dims->heads);
	LAUNCH_WIDE(att_wide(&c), dev, "attention", att_forward, grid, dim3(ATT_THREADS), att_shared(&c, 2, 2), c);
}

static void att_plain_backward(struct device *dev, const struct att_call *call)
{
	struct att_call c = *call;
	dim3 queries((unsigned)c.q.rows, (unsigned)c.heads), keys((unsigned)c.q.rows, (unsigned)c.kv_heads);
	LAUNCH_WIDE(att_wide(&c), dev, "attention_backward", att_backward_query, queries, dim3(ATT_THREADS),
		    att_shared(&c, 3, 2), c);
	LAUNCH_WIDE(att_wide(&c), dev, "attention_backward", att_backward_key, keys, dim3(ATT_THREADS),
		    att_shared(&c, 4, 2), c);
}

static void att_attention_backward(struct device *dev, struct view dq, struct view dk, struct view dv, struct view d_o,
				   struct view o, struct view lse, struct view q, struct view k, struct view v,
				   const struct segments *seg, const struct attn_dims *dims)
{
	const char *op = "attention_backward";
	if (!check_attention_backward(dev, dq, dk, dv, d_o, o, lse, q, k, v, seg, dims))
		return;
	size_t used = dev->scratch_used;
	struct view delta = cuda_scratch(dev, op, q.rows, dims->heads, DTYPE_F32);
	if (!view_present(delta))
		return;
	cuda_check_segments(dev, OP_attention_backward, seg, q.rows, k.rows, true);
	struct att_call c = att_call_of(dev, seg, dims);
	c.o = array_of(o), c.lse = array_of(lse), c.q = array_of(q), c.k = array_of(k), c.v = array_of(v);
	c.d_o = array_of(d_o), c.delta = array_of(delta);
	c.dq = array_of(dq), c.dk = array_of(dk), c.dv = array_of(dv);
	unsigned blocks = (unsigned)blocks_for(delta.rows * delta.cols, ATT_THREADS);
	LAUNCH_WIDE(att_wide(&c), dev, op, att_delta, dim3(blocks), dim3(ATT_THREADS), 0, c.delta, c.d_o, c.o,
		    c.head_dim);
	if (!cuda_attention_mma_backward(dev, dq, dk, dv, d_o, lse, delta, q, k, v, seg, dims))
		att_plain_backward(dev, &c);
	dev->scratch_used = used;
}

void cuda_override_attention(struct kernels *table)
{
	table->attention = att_attention;
	table->attention_backward = att_attention_backward;
}

size_t cuda_scratch_attention(const struct device *, enum op op, const struct shape *shape)
{
	return op == OP_attention_backward ? cuda_array_bytes(shape->rows, shape->heads, DTYPE_F32) : 0;
}
