// SPDX-License-Identifier: Apache-2.0
/*
 * The gradient of attention_mma.cu (Dao 2023, algorithm 2), as two kernels
 * without atomics: one walks over keys for a tile of queries, the other over
 * queries for a tile of keys. Both recompute p = e^(scale q.k - lse) and take
 * ds = p (d_o.v - delta), delta = d_o.o (attention.cu).
 */
#include "backends/cuda/attention_mma.cuh"

/* ---- dq = scale * sum_j ds_j k_j ------------------------------------------------------------------------ */

/* Shared memory: q, d_o of the block's rows, two stages of K rows of k, v. */
template <int D, int K> static constexpr size_t mma_query_bytes()
{
	return (size_t)(2 * MMA_KEYS + 4 * K) * (D + 8) * 2;
}

/* Of the warp's rows g and g + 8: lse log2 e and delta. */
struct mma_query_rows {
	float lse2[2], delta[2];
};

static __device__ __forceinline__ struct mma_query_rows mma_query_rows_of(const struct att_call &c,
									  const struct att_span &a, int t, int h)
{
	struct mma_query_rows rows;
	EACH(2, half)
	{
		int64_t row = a.q + min(t + MMA_LANE / 4 + 8 * half, a.n - 1);
		rows.lse2[half] = element(c.lse, row, h) * MMA_LOG2E;
		rows.delta[half] = element(c.delta, row, h);
	}
	return rows;
}

/* ds into dp, from scores s and dp = d_o v^T. */
template <int N>
static __device__ __forceinline__ void mma_query_ds(float (&dp)[1][N][4], const float (&s)[1][N][4],
						    const struct mma_query_rows &rows, float scale2)
{
	EACH(N, n)
	EACH(4, i) dp[0][n][i] = mma_exp2(s[0][n][i] * scale2 - rows.lse2[i / 2]) * (dp[0][n][i] - rows.delta[i / 2]);
}

/* One stage: keys j …, K of them; 16 by a warp. */
template <int D, int K>
static __device__ __forceinline__ void mma_query_keys(uint16_t *to, const struct att_call &c, const struct att_span &a,
						      int j, int last, int64_t column)
{
	uint16_t *k = to + MMA_WARP * 16 * (D + 8);
	if (K == MMA_KEYS || MMA_WARP < K / 16)
		mma_fetch_keys<D>(k, k + K * (D + 8), c, a, j + MMA_WARP * 16, last, column);
}

/* One block: 64 queries of one head of one segment. */
template <int D, int K>
__global__ void __launch_bounds__(MMA_THREADS) mma_backward_query(struct att_call c, int tiles)
{
	if (*c.fault)
		return;
	int h = (int)blockIdx.x % c.heads, t0 = (tiles - 1 - (int)blockIdx.x / c.heads) * MMA_KEYS;
	struct att_span a = att_span_of(c.seg, (int)blockIdx.y);
	if (t0 >= a.n)
		return;
	SHARED(uint16_t, shared);
	const int tile = MMA_KEYS * (D + 8), part = K * (D + 8);
	uint16_t *query = shared + MMA_WARP * 16 * (D + 8), *d_o = query + tile, *stages = shared + 2 * tile;
	int t = t0 + MMA_WARP * 16, end = min(t0 + MMA_KEYS, a.n), last = mma_high(a, end - 1);
	int j = mma_first(c.seg, a, t0, end);
	int64_t column = (int64_t)(h / (c.heads / c.kv_heads)) * D;
	struct mma_query_rows rows = mma_query_rows_of(c, a, t, h);
	float dq[1][D / 8][4];
	mma_clear(dq);
	mma_fetch<D>(query, c.q, a.q + t, a.n - t, (int64_t)h * D);
	mma_fetch<D>(d_o, c.d_o, a.q + t, a.n - t, (int64_t)h * D);
	mma_query_keys<D, K>(stages, c, a, j, last, column);
	mma_commit();
	for (int stage = 0; j <= last; j += K, stage ^= 1) {
		uint16_t *k = stages + stage * 2 * part;
		mma_wait<0>();
		__syncthreads(); /* this tile has come, the one before has been read */
		if (j + K <= last)
			mma_query_keys<D, K>(stages + (stage ^ 1) * 2 * part, c, a, j + K, last, column);
		mma_commit();
		if (j > mma_high(a, t + 15))
			continue;
		float s[1][K / 8][4], dp[1][K / 8][4];
		mma_clear(s);
		mma_clear(dp);
		mma_rows<D, 1, K / 8>(s, query, k);
		if (c.seg.window > 0 || j + K - 1 > mma_high(a, min(t, a.n - 1)))
			mma_hide(s, c.seg, a, t, j);
		mma_rows<D, 1, K / 8>(dp, d_o, k + part);
		mma_query_ds(dp, s, rows, c.scale * MMA_LOG2E);
		mma_weigh<D, 1, K / 8>(dq, dp, k);
	}
	const float factor[1][2] = {{c.scale, c.scale}};
	mma_store<D, 1>(c.dq, a.q + t, a.n - t, (int64_t)h * D, dq, factor, query);
}

/* ---- dk = scale * sum ds q, dv = sum p d_o --------------------------------------------------------------- */

/* Shared memory: k, v of the block's rows, two stages of Q rows of q and d_o, lse and delta. */
template <int D, int Q> static constexpr size_t mma_key_bytes()
{
	return (size_t)(2 * MMA_KEYS + 4 * Q) * (D + 8) * 2 + 4 * Q * sizeof(float);
}

/*
 * Where a block of keys stands: at queries t … of head h of a segment that sees
 * it, its own (u one below its users) or user u. Own queries first, then users
 * in order; of each the heads of the group, of each the queries.
 */
struct mma_walk {
	struct att_span a;
	int u, h, t, first, end; /* queries first … end - 1 of the segment */
	int j;                   /* the segment's number for the block's first key */
	bool own;
};

/* The segment's queries that may see one of the block's keys. */
static __device__ __forceinline__ void mma_walk_range(const struct att_call &c, struct mma_walk &w)
{
	w.first = w.own ? w.j - w.a.prefix_len : 0; /* query t sees own keys up to t */
	w.end = w.a.n;
	if (w.own && c.seg.window > 0 && w.end - w.first > c.seg.window + MMA_KEYS - 1)
		w.end = w.first + (int)c.seg.window + MMA_KEYS - 1;
	if (!w.own && (w.j + MMA_KEYS <= 0 || w.j >= w.a.prefix_len))
		w.end = 0;
}

/* The next tile of queries; false at the end. row: of the block's first key, in segment s. */
static __device__ __forceinline__ bool mma_walk_on(const struct att_call &c, struct mma_walk &w, int s, int row,
						   int tile)
{
	w.t += tile;
	if (w.t < w.end)
		return true;
	w.t = w.first;
	if (++w.h < c.heads / c.kv_heads && w.first < w.end)
		return true;
	w.h = 0;
	while (++w.u < c.seg.user_begin[s + 1]) {
		w.a = att_span_of(c.seg, c.seg.user[w.u]);
		w.own = false;
		w.j = row - w.a.prefix;
		mma_walk_range(c, w);
		w.t = w.first;
		if (w.first < w.end)
			return true;
	}
	return false;
}

static __device__ __forceinline__ struct mma_walk mma_walk_begin(const struct att_call &c, const struct att_span &a,
								 int key)
{
	struct mma_walk w;
	w.a = a;
	w.u = c.seg.user_begin[a.s] - 1;
	w.h = 0;
	w.j = a.prefix_len + key;
	w.own = true;
	mma_walk_range(c, w);
	w.t = w.first;
	return w;
}

/* One stage: Q rows of q, of d_o, their lse, their delta. */
template <int D, int Q>
static __device__ __forceinline__ void mma_fetch_queries(uint16_t *to, float *numbers, const struct att_call &c,
							 const struct mma_walk &w, int g)
{
	int h = g * (c.heads / c.kv_heads) + w.h, i = (int)threadIdx.x;
	EACH(2 * Q / MMA_KEYS, round)
	{
		int piece = MMA_WARP + round * MMA_WARPS, t = w.t + piece % (Q / 16) * 16;
		mma_fetch<D>(to + piece * 16 * (D + 8), piece < Q / 16 ? c.q : c.d_o, w.a.q + t, w.a.n - t,
			     (int64_t)h * D);
	}
	if (i < 2 * Q) {
		const struct array &from = i < Q ? c.lse : c.delta;
		bool real = w.t + i % Q < w.a.n;
		mma_copy4(numbers + i, (const float *)from.p + (real ? w.a.q + w.t + i % Q : 0) * from.ld + h, real);
	}
}

/* Scores of keys j … by queries t …: -inf where unseen, and where the key is not one of the segment. */
template <int N>
static __device__ __forceinline__ void mma_hide_queries(float (&s)[1][N][4], const struct att_call &c,
							const struct mma_walk &w)
{
	EACH(N, n) EACH(2, e)
	{
		int t = w.t + n * 8 + MMA_LANE % 4 * 2 + e;
		struct att_sight see = att_sight_of(c.seg, w.a, min(t, w.a.n - 1));
		EACH(2, half)
		{
			int j = w.j + MMA_WARP * 16 + MMA_LANE / 4 + 8 * half;
			bool counts = w.own || (j >= 0 && j < w.a.prefix_len);
			if (t >= w.a.n || !counts || !att_sees(see, w.a, j))
				s[0][n][2 * half + e] = -INFINITY;
		}
	}
}

/* Does every query of the tile see every key of the block? */
static __device__ __forceinline__ bool mma_all_seen(const struct att_call &c, const struct mma_walk &w, int tile)
{
	int last = w.j + MMA_KEYS - 1;
	return c.seg.window <= 0 && w.t + tile <= w.a.n &&
	       (w.own ? last <= mma_high(w.a, w.t) : w.j >= 0 && last < w.a.prefix_len);
}

/* p into s, ds into dp; a column is a query. */
template <int N>
static __device__ __forceinline__ void mma_key_ds(float (&s)[1][N][4], float (&dp)[1][N][4], const float *lse,
						  const float *delta, float scale2)
{
	EACH(N, n) EACH(4, i)
	{
		int at = n * 8 + MMA_LANE % 4 * 2 + i % 2;
		s[0][n][i] = mma_exp2(s[0][n][i] * scale2 - lse[at] * MMA_LOG2E);
		dp[0][n][i] = s[0][n][i] * (dp[0][n][i] - delta[at]);
	}
}

/* One block: 64 own keys of one key head of one segment. */
template <int D, int Q> __global__ void __launch_bounds__(MMA_THREADS) mma_backward_key(struct att_call c)
{
	if (*c.fault)
		return;
	int g = (int)blockIdx.x % c.kv_heads, key = (int)blockIdx.x / c.kv_heads * MMA_KEYS, s = (int)blockIdx.y;
	struct att_span a = att_span_of(c.seg, s);
	if (key >= a.own_len)
		return;
	SHARED(uint16_t, shared);
	const int tile = MMA_KEYS * (D + 8), part = Q * (D + 8);
	uint16_t *k = shared + MMA_WARP * 16 * (D + 8), *v = k + tile, *stages = shared + 2 * tile;
	float *numbers = (float *)(void *)(stages + 4 * part), dk[1][D / 8][4], dv[1][D / 8][4];
	int row = a.own + key, mine = key + MMA_WARP * 16;
	mma_clear(dk);
	mma_clear(dv);
	struct mma_walk w = mma_walk_begin(c, a, key);
	mma_fetch<D>(k, c.k, a.own + mine, a.own_len - mine, (int64_t)g * D);
	mma_fetch<D>(v, c.v, a.own + mine, a.own_len - mine, (int64_t)g * D);
	mma_fetch_queries<D, Q>(stages, numbers, c, w, g);
	mma_commit();
	bool more = true;
	for (int stage = 0; more; stage ^= 1) {
		struct mma_walk now = w;
		uint16_t *q = stages + stage * 2 * part, *d_o = q + part;
		float *lse = numbers + stage * 2 * Q;
		mma_wait<0>();
		__syncthreads(); /* this tile has come, the one before has been read */
		more = mma_walk_on(c, w, s, row, Q);
		if (more)
			mma_fetch_queries<D, Q>(stages + (stage ^ 1) * 2 * part, numbers + (stage ^ 1) * 2 * Q, c, w,
						g);
		mma_commit();
		float p[1][Q / 8][4], dp[1][Q / 8][4];
		mma_clear(p);
		mma_clear(dp);
		mma_rows<D, 1, Q / 8>(p, k, q);
		if (!mma_all_seen(c, now, Q))
			mma_hide_queries(p, c, now);
		mma_rows<D, 1, Q / 8>(dp, v, d_o);
		mma_key_ds(p, dp, lse, lse + Q, c.scale * MMA_LOG2E);
		mma_weigh<D, 1, Q / 8>(dv, p, d_o);
		mma_weigh<D, 1, Q / 8>(dk, dp, q);
	}
	const float factor[1][2] = {{c.scale, c.scale}}, one[1][2] = {{1, 1}};
	mma_store<D, 1>(c.dk, a.own + mine, a.own_len - mine, (int64_t)g * D, dk, factor, k);
	mma_store<D, 1>(c.dv, a.own + mine, a.own_len - mine, (int64_t)g * D, dv, one, v);
}

/* ---- entry ------------------------------------------------------------------------------------------------ */

template <int D, int K> static void mma_launch_query(struct device *dev, const struct att_call &c, int tiles)
{
	const char *op = "attention_backward";
	const size_t bytes = mma_query_bytes<D, K>();
	if constexpr (bytes > MMA_LEAST_SHARED)
		if (!mma_fits(dev, bytes))
			return mma_launch_query<D, K / 2>(dev, c, tiles);
	void (*kernel)(struct att_call, int) = mma_backward_query<D, K>;
	dim3 grid((unsigned)(tiles * c.heads), (unsigned)c.seg.count);
	if (mma_room(dev, op, kernel, bytes))
		LAUNCH_WARPS(dev, op, kernel, grid, dim3(MMA_THREADS), bytes, c, tiles);
}

template <int D> static void mma_launch_key(struct device *dev, const struct att_call &c, int tiles)
{
	const char *op = "attention_backward";
	const int Q = D > 64 ? 32 : 64; /* as many as registers hold */
	const size_t bytes = mma_key_bytes<D, Q>();
	static_assert(bytes <= MMA_LEAST_SHARED, "fits every GPU");
	void (*kernel)(struct att_call) = mma_backward_key<D, Q>;
	dim3 grid((unsigned)(tiles * c.kv_heads), (unsigned)c.seg.count);
	if (mma_room(dev, op, kernel, bytes))
		LAUNCH_WARPS(dev, op, kernel, grid, dim3(MMA_THREADS), bytes, c);
}

template <int D> static void mma_launch_backward(struct device *dev, const struct att_call &c, int64_t queries)
{
	int tiles = (int)blocks_for(queries, MMA_KEYS);
	mma_launch_query<D, MMA_KEYS>(dev, c, tiles);
	mma_launch_key<D>(dev, c, tiles);
}

bool cuda_attention_mma_backward(struct device *dev, struct view dq, struct view dk, struct view dv, struct view d_o,
				 struct view lse, struct view delta, struct view q, struct view k, struct view v,
				 const struct segments *seg, const struct attn_dims *dims)
{
	struct att_call c = att_call_of(dev, seg, dims);
	c.dq = array_of(dq), c.dk = array_of(dk), c.dv = array_of(dv), c.d_o = array_of(d_o), c.lse = array_of(lse);
	c.delta = array_of(delta), c.q = array_of(q), c.k = array_of(k), c.v = array_of(v);
	if (!mma_usable(dev, seg, dims) || !mma_bf16(c.dq) || !mma_bf16(c.dk) || !mma_bf16(c.dv) || !mma_bf16(c.d_o) ||
	    !mma_bf16(c.q) || !mma_bf16(c.k) || !mma_bf16(c.v))
		return false;
	void (*launch)(struct device *, const struct att_call &, int64_t) = NULL;
#define MMA_LAUNCH(D)                                                                                                  \
	if (dims->head_dim == D)                                                                                       \
		launch = mma_launch_backward<D>;
	MMA_DIMS(MMA_LAUNCH)
#undef MMA_LAUNCH
	if (!launch)
		return false;
	att_zero_outside(dev, "attention_backward", dq, dk, dv, seg);
	launch(dev, c, seg->max_queries);
	return true;
}
