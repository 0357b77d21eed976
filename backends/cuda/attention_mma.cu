// SPDX-License-Identifier: Apache-2.0
/*
 * Segment attention on tensor cores in bf16, after FlashAttention-2 (Dao 2023):
 * a warp has 16 M query rows of one head and walks over tiles of keys, which
 * come into shared memory while the tile before is worked on. Scores, their
 * running maximum and all sums are f32, e^x is 2^(x log2 e).
 *
 * For few queries a segment (decoding) the rows of the product are the queries
 * of all heads that share a key head, so each key is read once; the warps of a
 * block share its keys and add up in warp order.
 */
#include "backends/cuda/attention_mma.cuh"

/* Of the rows g and g + 8 of each of M times 16 rows: largest score, sum of e^(scale (score - largest)). */
template <int M> struct mma_softmax {
	float most[M][2], total[M][2];
};

template <int M> static __device__ __forceinline__ void mma_begin(struct mma_softmax<M> &x)
{
	EACH(M, m) EACH(2, half) x.most[m][half] = -INFINITY, x.total[m][half] = 0;
}

/* Largest of a row, which four lanes have. */
static __device__ __forceinline__ float mma_row_max(float v)
{
	v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
	return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

static __device__ __forceinline__ float mma_row_sum(float v)
{
	v += __shfl_xor_sync(0xffffffffu, v, 1);
	return v + __shfl_xor_sync(0xffffffffu, v, 2);
}

/* Scores become e^(scale (s - largest)); what was summed before decays. total stays a lane's own share. */
template <int M, int N, int C>
static __device__ __forceinline__ void mma_exponentials(struct mma_softmax<M> &x, float (&s)[M][N][4],
							float (&sum)[M][C][4], float scale2)
{
	EACH(M, m) EACH(2, half)
	{
		float top = x.most[m][half], share = 0;
		EACH(N, n) top = fmaxf(top, fmaxf(s[m][n][2 * half], s[m][n][2 * half + 1]));
		top = mma_row_max(top);
		float shift = top == -INFINITY ? 0 : top; /* nothing seen yet: -inf - -inf is no number */
		float base = shift * scale2;
		/* The difference first, so that this is 1 where top stays: most * scale2 - base, fused, is not 0 then. */
		float decay = mma_exp2((x.most[m][half] - shift) * scale2);
		EACH(N, n) EACH(2, e)
		{
			float &p = s[m][n][2 * half + e];
			p = mma_exp2(p * scale2 - base);
			share += p;
		}
		EACH(C, i) sum[m][i][2 * half] *= decay, sum[m][i][2 * half + 1] *= decay;
		x.total[m][half] = decay * x.total[m][half] + share;
		x.most[m][half] = top;
	}
}

/* ---- many queries ------------------------------------------------------------------------------------ */

/* Shared memory: the block's queries, two stages of keys and values. */
template <int D, int M> static constexpr size_t mma_forward_bytes()
{
	return (size_t)(MMA_KEYS * M + 4 * MMA_KEYS) * (D + 8) * 2;
}

/* o and lse of a warp's rows t …, those that exist. */
template <int D, int M>
static __device__ __forceinline__ void mma_finish(const struct att_call &c, const struct att_span &a, int t, int h,
						  const struct mma_softmax<M> &x, const float (&sum)[M][D / 8][4],
						  uint16_t *shared)
{
	float factor[M][2];
	EACH(M, m) EACH(2, half)
	{
		float total = mma_row_sum(x.total[m][half]);
		int query = t + m * 16 + half * 8 + MMA_LANE / 4;
		factor[m][half] = 1 / total;
		if (c.lse.p && MMA_LANE % 4 == 0 && query < a.n)
			put(c.lse, a.q + query, h, x.most[m][half] * c.scale + logf(total));
	}
	mma_store<D, M>(c.o, a.q + t, a.n - t, (int64_t)h * D, sum, factor, shared);
}

/* One block: 64 M queries of one head of one segment, the last of the segment first (they see the most keys). */
template <int D, int M>
__global__ void __launch_bounds__(MMA_THREADS, D > 64 ? 2 : 5 - M) mma_forward(struct att_call c, int tiles)
{
	if (*c.fault)
		return;
	int h = (int)blockIdx.x % c.heads, t0 = (tiles - 1 - (int)blockIdx.x / c.heads) * MMA_KEYS * M;
	struct att_span a = att_span_of(c.seg, (int)blockIdx.y);
	if (t0 >= a.n || mma_few(c, a))
		return;
	SHARED(uint16_t, shared);
	uint16_t *query = shared + MMA_WARP * 16 * M * (D + 8), *stages = shared + MMA_KEYS * M * (D + 8);
	const int tile = MMA_KEYS * (D + 8), piece = MMA_WARP * 16 * (D + 8);
	int t = t0 + MMA_WARP * 16 * M, end = min(t0 + MMA_KEYS * M, a.n), last = mma_high(a, end - 1);
	int64_t column = (int64_t)(h / (c.heads / c.kv_heads)) * D;
	float scale2 = c.scale * MMA_LOG2E, sum[M][D / 8][4];
	struct mma_softmax<M> x;
	mma_begin(x);
	mma_clear(sum);
	int j = mma_first(c.seg, a, t0, end);
	EACH(M, m) mma_fetch<D>(query + m * 16 * (D + 8), c.q, a.q + t + m * 16, a.n - t - m * 16, (int64_t)h * D);
	mma_fetch_keys<D>(stages + piece, stages + tile + piece, c, a, j + MMA_WARP * 16, last, column);
	mma_commit();
	for (int stage = 0; j <= last; j += MMA_KEYS, stage ^= 1) {
		uint16_t *k = stages + stage * 2 * tile, *next = stages + (stage ^ 1) * 2 * tile + piece;
		mma_wait<0>();
		__syncthreads(); /* this tile has come, the one before has been read */
		if (j + MMA_KEYS <= last)
			mma_fetch_keys<D>(next, next + tile, c, a, j + MMA_KEYS + MMA_WARP * 16, last, column);
		mma_commit();
		if (j > mma_high(a, t + 16 * M - 1))
			continue;
		float s[M][MMA_KEYS / 8][4];
		mma_clear(s);
		mma_rows<D, M, MMA_KEYS / 8>(s, query, k);
		if (c.seg.window > 0 || j + MMA_KEYS - 1 > mma_high(a, min(t, a.n - 1)))
			mma_hide(s, c.seg, a, t, j);
		mma_exponentials(x, s, sum, scale2);
		mma_weigh<D, M, MMA_KEYS / 8>(sum, s, k + tile);
	}
	if (t < a.n)
		mma_finish<D, M>(c, a, t, h, x, sum, query);
}

/* ---- few queries --------------------------------------------------------------------------------------- */

enum { MMA_STAGES = 3 }; /* of 16 keys, for each warp; S: as many as there is room for */

/* Shared memory: 16 query rows, of each row and warp largest score and sum, each warp's stages. */
template <int D, int S> static constexpr size_t mma_decode_bytes()
{
	return (size_t)16 * (D + 8) * 2 + 32 * MMA_WARPS * sizeof(float) + (size_t)MMA_WARPS * S * 32 * (D + 8) * 2;
}

/* Row r of the product is query r / group, head r % group of key head g. */
template <int D>
static __device__ void mma_decode_queries(uint16_t *query, const struct att_call &c, const struct att_span &a, int g)
{
	int group = c.heads / c.kv_heads;
	for (int chunk = (int)threadIdx.x; chunk < 2 * D; chunk += MMA_THREADS) {
		int r = chunk / (D / 8), at = chunk % (D / 8) * 8;
		bool real = r < a.n * group;
		mma_copy16(query + r * (D + 8) + at,
			   mma_element(c.q, real ? a.q + r / group : 0,
				       (int64_t)(g * group + (real ? r % group : 0)) * D + at),
			   real);
	}
}

/* The warp's share of the keys: tiles of 16, every fourth. */
template <int D, int S>
static __device__ __forceinline__ void mma_decode_keys(const struct att_call &c, const struct att_span &a, int g,
						       const uint16_t *query, uint16_t *stages,
						       struct mma_softmax<1> &x, float (&sum)[1][D / 8][4])
{
	const int tile = 16 * (D + 8), step = 16 * MMA_WARPS;
	int last = mma_high(a, a.n - 1), j = mma_first(c.seg, a, 0, a.n) + MMA_WARP * 16;
	struct att_sight see[2];
	EACH(2, half)
	see[half] = att_sight_of(c.seg, a, min((MMA_LANE / 4 + 8 * half) / (c.heads / c.kv_heads), a.n - 1));
	EACH(S - 1, i)
	{
		uint16_t *to = stages + i * 2 * tile;
		if (j + i * step <= last)
			mma_fetch_keys<D>(to, to + tile, c, a, j + i * step, last, (int64_t)g * D);
		mma_commit();
	}
	int row = mma_key_row(c, a, j + (S - 1) * step, last); /* read a turn before it is needed */
	mma_wait<S - 1>();
	__syncthreads(); /* the queries have come */
	for (int stage = 0; j <= last; j += step, stage = (stage + 1) % S) {
		uint16_t *k = stages + stage * 2 * tile, *to = stages + (stage + S - 1) % S * 2 * tile;
		mma_wait<S - 2>();
		__syncwarp();
		if (j + (S - 1) * step <= last)
			mma_fetch_rows<D>(to, to + tile, c, row, (int64_t)g * D);
		mma_commit();
		row = mma_key_row(c, a, j + S * step, last);
		float s[1][2][4];
		mma_clear(s);
		mma_rows<D, 1, 2>(s, query, k);
		EACH(2, n)
		EACH(4, i) if (!att_sees(see[i / 2], a, j + n * 8 + MMA_LANE % 4 * 2 + i % 2)) s[0][n][i] = -INFINITY;
		mma_exponentials(x, s, sum, c.scale * MMA_LOG2E);
		mma_weigh<D, 1, 2>(sum, s, k + tile);
	}
	__syncwarp();
}

/* A warp's sums as f32 rows, D + 4 apart, and its (largest, sum) pairs. */
template <int D>
static __device__ __forceinline__ void mma_decode_show(float *part, float *pairs, const struct mma_softmax<1> &x,
						       const float (&sum)[1][D / 8][4])
{
	EACH(2, half)
	{
		int r = MMA_LANE / 4 + 8 * half;
		float total = mma_row_sum(x.total[0][half]);
		EACH(D / 8, i) EACH(2, e) part[r * (D + 4) + i * 8 + MMA_LANE % 4 * 2 + e] = sum[0][i][2 * half + e];
		if (MMA_LANE % 4 == 0)
			pairs[2 * r] = x.most[0][half], pairs[2 * r + 1] = total;
	}
}

/* Eight elements of row r: o = sum_w e^(m_w - m) o_w / sum_w e^(m_w - m) l_w, warps in order. */
template <int D>
static __device__ void mma_decode_join(const struct att_call &c, const struct att_span &a, int g, int r, int at,
				       const float *part, size_t stride, const float *pairs)
{
	int group = c.heads / c.kv_heads, h = g * group + r % group;
	float most = -INFINITY, total = 0, o[8] = {0, 0, 0, 0, 0, 0, 0, 0};
	EACH(MMA_WARPS, w) most = fmaxf(most, pairs[32 * w + 2 * r]);
	EACH(MMA_WARPS, w)
	{
		float share = mma_exp2((pairs[32 * w + 2 * r] - most) * c.scale * MMA_LOG2E);
		total += share * pairs[32 * w + 2 * r + 1];
		EACH(8, e) o[e] += share * part[w * stride + r * (D + 4) + at + e];
	}
	EACH(8, e) o[e] /= total;
	store<8>(c.o, a.q + r / group, (int64_t)h * D + at, o);
	if (c.lse.p && at == 0)
		put(c.lse, a.q + r / group, h, most * c.scale + logf(total));
}

/* One block: a segment's queries of the heads of one key head, 16 rows at most. */
template <int D, int S> __global__ void __launch_bounds__(MMA_THREADS) mma_decode(struct att_call c)
{
	if (*c.fault)
		return;
	int g = (int)blockIdx.x;
	struct att_span a = att_span_of(c.seg, (int)blockIdx.y);
	if (a.n == 0 || !mma_few(c, a))
		return;
	SHARED(uint16_t, query);
	float *pairs = (float *)(void *)(query + 16 * (D + 8)), sum[1][D / 8][4];
	uint16_t *stages = (uint16_t *)(void *)(pairs + 32 * MMA_WARPS);
	const int mine = S * 32 * (D + 8); /* elements of a warp's stages */
	struct mma_softmax<1> x;
	mma_begin(x);
	mma_clear(sum);
	mma_decode_queries<D>(query, c, a, g);
	mma_commit();
	mma_decode_keys<D, S>(c, a, g, query, stages + MMA_WARP * mine, x, sum);
	mma_decode_show<D>((float *)(void *)(stages + MMA_WARP * mine), pairs + 32 * MMA_WARP, x, sum);
	__syncthreads();
	for (int i = (int)threadIdx.x; i < a.n * (c.heads / c.kv_heads) * (D / 8); i += MMA_THREADS)
		mma_decode_join<D>(c, a, g, i / (D / 8), i % (D / 8) * 8, (const float *)(const void *)stages,
				   (size_t)mine / 2, pairs);
}

/* ---- entry ------------------------------------------------------------------------------------------------ */

template <int D, int S> static void mma_launch_decode(struct device *dev, const struct att_call &c)
{
	const size_t bytes = mma_decode_bytes<D, S>();
	if constexpr (bytes > MMA_LEAST_SHARED)
		if (!mma_fits(dev, bytes))
			return mma_launch_decode<D, S - 1>(dev, c);
	void (*kernel)(struct att_call) = mma_decode<D, S>;
	dim3 grid((unsigned)c.kv_heads, (unsigned)c.seg.count);
	if (mma_room(dev, "attention", kernel, bytes))
		LAUNCH_WARPS(dev, "attention", kernel, grid, dim3(MMA_THREADS), bytes, c);
}

template <int D, int M> static void mma_launch_forward(struct device *dev, const struct att_call &c, int64_t queries)
{
	const size_t bytes = mma_forward_bytes<D, M>();
	if constexpr (bytes > MMA_LEAST_SHARED)
		if (!mma_fits(dev, bytes))
			return mma_launch_forward<D, M - 1>(dev, c, queries);
	void (*kernel)(struct att_call, int) = mma_forward<D, M>;
	int tiles = (int)blocks_for(queries, MMA_KEYS * M);
	dim3 grid((unsigned)(tiles * c.heads), (unsigned)c.seg.count);
	if (mma_room(dev, "attention", kernel, bytes))
		LAUNCH_WARPS(dev, "attention", kernel, grid, dim3(MMA_THREADS), bytes, c, tiles);
}

/* Segments of few queries have a kernel of their own, whatever stands beside them in the call. */
template <int D> static void mma_launch(struct device *dev, const struct att_call &c, int64_t queries)
{
	mma_launch_decode<D, MMA_STAGES>(dev, c);
	if (queries * (c.heads / c.kv_heads) <= 16)
		return;
	if (queries <= MMA_KEYS && !dev->batch_invariant) /* the larger tile would stay empty */
		mma_launch_forward<D, 1>(dev, c, queries);
	else
		mma_launch_forward<D, 2>(dev, c, queries);
}

bool cuda_attention_mma(struct device *dev, struct view o, struct view lse, struct view q, struct view k, struct view v,
			const struct segments *seg, const struct attn_dims *dims)
{
	struct att_call c = att_call_of(dev, seg, dims);
	c.o = array_of(o), c.lse = array_of(lse), c.q = array_of(q), c.k = array_of(k), c.v = array_of(v);
	if (!mma_usable(dev, seg, dims) || !mma_bf16(c.o) || !mma_bf16(c.q) || !mma_bf16(c.k) || !mma_bf16(c.v))
		return false;
	void (*launch)(struct device *, const struct att_call &, int64_t) = NULL;
#define MMA_LAUNCH(D)                                                                                                  \
	if (dims->head_dim == D)                                                                                       \
		launch = mma_launch<D>;
	MMA_DIMS(MMA_LAUNCH)
#undef MMA_LAUNCH
	if (!launch)
		return false;
	att_zero_outside(dev, "attention", o, lse, view_none(), seg);
	launch(dev, c, seg->max_queries);
	return true;
}
