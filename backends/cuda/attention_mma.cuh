// SPDX-License-Identifier: Apache-2.0
/*
 * attention_mma.cuh - private to attention_mma*.cu: bf16 tiles in shared
 * memory and products of warps on them.
 *
 * The instructions are those of the PTX ISA: mma.m16n8k16 (bf16, sums in f32),
 * ldmatrix, cp.async. Lane l of a warp, g = l / 4, t = l % 4, holds of
 *
 *     a sum C [16, 8]      c0, c1: (g, 2t), (g, 2t + 1);    c2, c3: the same of row g + 8
 *     the left A [16, 16]  a0: (g, 2t …), a1: (g + 8, 2t …), a2: (g, 2t + 8 …), a3: (g + 8, 2t + 8 …)
 *     the right B [16, 8]  b0: (2t …, g), b1: (2t + 8 …, g)
 *
 * two elements a register. So two neighbouring sums, rounded, are the left
 * side of the next product, and everything else comes by ldmatrix from rows of D
 * elements, D + 8 apart (an odd number of 16 bytes: no two of eight rows share banks).
 */
#ifndef BALDISTILL_BACKENDS_CUDA_ATTENTION_MMA_CUH
#define BALDISTILL_BACKENDS_CUDA_ATTENTION_MMA_CUH

#include "backends/cuda/attention.cuh"

enum { MMA_WARPS = 4, MMA_THREADS = 32 * MMA_WARPS, MMA_KEYS = 16 * MMA_WARPS };

#define MMA_LOG2E 1.4426950408889634f
#define MMA_LANE  ((int)(threadIdx.x & 31))
#define MMA_WARP  ((int)(threadIdx.x >> 5))

/* Head sizes that have kernels: multiples of 16. */
#define MMA_DIMS(X) X(64) X(80) X(96) X(128)

/* ---- instructions --------------------------------------------------------------------------- */

#ifndef CUDA_ON_HOST

__device__ __forceinline__ uint32_t mma_shared(const void *p)
{
	return (uint32_t)__cvta_generic_to_shared(p);
}

/* Four 8 x 8 matrices; lane 8 i + j gives the address of row j of matrix i. turned: each transposed. */
__device__ __forceinline__ void mma_load(uint32_t (&x)[4], const uint16_t *row)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
		     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
		     : "r"(mma_shared(row))
		     : "memory");
}

__device__ __forceinline__ void mma_load_turned(uint32_t (&x)[4], const uint16_t *row)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
		     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
		     : "r"(mma_shared(row))
		     : "memory");
}

__device__ __forceinline__ void mma_multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
	asm volatile(
		"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
		"{%0, %1, %2, %3};"
		: "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* Starts a copy into shared memory, of zeros unless `real`; from must be a good address either way. */
__device__ __forceinline__ void mma_copy16(void *to, const void *from, bool real)
{
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(mma_shared(to)), "l"(from),
		     "r"(real ? 16 : 0)
		     : "memory");
}

__device__ __forceinline__ void mma_copy4(void *to, const void *from, bool real)
{
	asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(mma_shared(to)), "l"(from), "r"(real ? 4 : 0)
		     : "memory");
}

/* The copies started since the last commit are one group; wait until all but the last N groups have come. */
__device__ __forceinline__ void mma_commit()
{
	asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int N> __device__ __forceinline__ void mma_wait()
{
	asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

__device__ __forceinline__ float mma_exp2(float x)
{
	float y;
	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}

__device__ __forceinline__ uint32_t mma_pack(float low, float high)
{
	uint32_t w;
	asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(high), "f"(low));
	return w;
}

#else /* the same on the host, through what the lanes of a warp show each other */

#include <deque>
#include <vector>

static inline const uint16_t *const *mma_rows_of_lanes(const uint16_t *row)
{
	cuda_host_aligned(row, 16);
	return (const uint16_t *const *)cuda_host_exchange(&row, sizeof row);
}

static inline void mma_load(uint32_t (&x)[4], const uint16_t *row)
{
	const uint16_t *const *rows = mma_rows_of_lanes(row);
	for (int i = 0; i < 4; i++)
		memcpy(&x[i], rows[8 * i + MMA_LANE / 4] + 2 * (MMA_LANE % 4), 4);
}

static inline void mma_load_turned(uint32_t (&x)[4], const uint16_t *row)
{
	const uint16_t *const *rows = mma_rows_of_lanes(row);
	for (int i = 0; i < 4; i++) {
		const uint16_t *const *two = rows + 8 * i + 2 * (MMA_LANE % 4);
		x[i] = two[0][MMA_LANE / 4] | (uint32_t)two[1][MMA_LANE / 4] << 16;
	}
}

struct mma_sides {
	uint32_t a[4], b[2];
};

static inline float mma_half(uint32_t w, int high)
{
	return from_bf16((uint16_t)(high ? w >> 16 : w));
}

static inline void mma_multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
	struct mma_sides mine = {{a[0], a[1], a[2], a[3]}, {b0, b1}};
	const struct mma_sides *all = (const struct mma_sides *)cuda_host_exchange(&mine, sizeof mine);
	for (int i = 0; i < 4; i++) {
		int row = MMA_LANE / 4 + 8 * (i / 2), col = 2 * (MMA_LANE % 4) + i % 2;
		for (int k = 0; k < 16; k++) {
			const struct mma_sides *left = &all[row % 8 * 4 + k % 8 / 2],
					       *right = &all[col * 4 + k % 8 / 2];
			c[i] += mma_half(left->a[row / 8 + k / 8 * 2], k & 1) * mma_half(right->b[k / 8], k & 1);
		}
	}
}

/* Copies happen when they are waited for, at the latest possible time. */
struct mma_copy {
	void *to;
	const void *from;
	size_t size;
};
static std::deque<std::vector<mma_copy>> mma_groups[MMA_THREADS];
static std::vector<mma_copy> mma_started[MMA_THREADS];

static inline void mma_start(void *to, const void *from, bool real, size_t size)
{
	cuda_host_aligned(to, size);
	cuda_host_aligned(from, size);
	mma_started[threadIdx.x].push_back({to, real ? from : NULL, size});
}

static inline void mma_copy16(void *to, const void *from, bool real)
{
	mma_start(to, from, real, 16);
}

static inline void mma_copy4(void *to, const void *from, bool real)
{
	mma_start(to, from, real, 4);
}

static inline void mma_commit()
{
	mma_groups[threadIdx.x].push_back(mma_started[threadIdx.x]);
	mma_started[threadIdx.x].clear();
}

template <int N> static inline void mma_wait()
{
	std::deque<std::vector<mma_copy>> &groups = mma_groups[threadIdx.x];
	for (; groups.size() > N; groups.pop_front())
		for (const mma_copy &c : groups.front())
			c.from ? (void)memcpy(c.to, c.from, c.size) : (void)memset(c.to, 0, c.size);
}

static inline float mma_exp2(float x)
{
	return exp2f(x);
}

static inline uint32_t mma_pack(float low, float high)
{
	return to_bf16(low) | (uint32_t)to_bf16(high) << 16;
}

#endif

/* ---- products of a warp ------------------------------------------------------------------------ */

/* c [16 M, 8 N] += a b^T; a and b are rows in shared memory. */
template <int D, int M, int N>
__device__ __forceinline__ void mma_rows(float (&c)[M][N][4], const uint16_t *a, const uint16_t *b)
{
	int lane = MMA_LANE;
	a += (lane & 15) * (D + 8) + (lane >> 4) * 8;
	b += ((lane & 7) + (lane >> 4) * 8) * (D + 8) + (lane >> 3 & 1) * 8;
	EACH(D / 16, k)
	{
		uint32_t x[M][4], y[4];
		EACH(M, m) mma_load(x[m], a + m * 16 * (D + 8) + k * 16);
		EACH(N / 2, n)
		{
			mma_load(y, b + n * 16 * (D + 8) + k * 16);
			EACH(M, m)
			{
				mma_multiply(c[m][2 * n], x[m], y[0], y[1]);
				mma_multiply(c[m][2 * n + 1], x[m], y[2], y[3]);
			}
		}
	}
}

/* c [16 M, D] += p b; p [16 M, 8 N] is rounded to bf16, b are 8 N rows in shared memory. */
template <int D, int M, int N>
__device__ __forceinline__ void mma_weigh(float (&c)[M][D / 8][4], const float (&p)[M][N][4], const uint16_t *b)
{
	int lane = MMA_LANE;
	b += (lane & 15) * (D + 8) + (lane >> 4) * 8;
	EACH(N / 2, k)
	{
		uint32_t x[M][4], y[4];
		EACH(M, m)
		EACH(4, i) x[m][i] = mma_pack(p[m][2 * k + i / 2][i % 2 * 2], p[m][2 * k + i / 2][i % 2 * 2 + 1]);
		EACH(D / 16, n)
		{
			mma_load_turned(y, b + k * 16 * (D + 8) + n * 16);
			EACH(M, m)
			{
				mma_multiply(c[m][2 * n], x[m], y[0], y[1]);
				mma_multiply(c[m][2 * n + 1], x[m], y[2], y[3]);
			}
		}
	}
}

template <int M, int N> __device__ __forceinline__ void mma_clear(float (&c)[M][N][4])
{
	EACH(M, m) EACH(N, n) EACH(4, i) c[m][n][i] = 0;
}

/* ---- rows between global and shared memory, 16 of them by a warp -------------------------------- */

__device__ __forceinline__ const uint16_t *mma_element(const struct array &a, int64_t row, int64_t column)
{
	return (const uint16_t *)a.p + row * a.ld + column;
}

/* Rows row … row + 15, D columns from `column` on; zeros behind the first n. */
template <int D>
__device__ __forceinline__ void mma_fetch(uint16_t *to, const struct array &a, int64_t row, int n, int64_t column)
{
	EACH(D / 16, i)
	{
		int chunk = MMA_LANE + 32 * i, r = chunk / (D / 8), c = chunk % (D / 8) * 8;
		mma_copy16(to + r * (D + 8) + c, mma_element(a, r < n ? row + r : 0, column + c), r < n);
	}
}

/* The row of key j + lane % 16 of a segment, -1 behind key `last`. */
__device__ __forceinline__ int mma_key_row(const struct att_call &c, const struct att_span &a, int j, int last)
{
	int mine = j + (MMA_LANE & 15);
	return mine <= last ? att_key_row(c.seg, a, mine) : -1;
}

/* The same of the 16 keys whose rows the lanes hold, in k and v; zeros where there is none. */
template <int D>
__device__ __forceinline__ void mma_fetch_rows(uint16_t *k, uint16_t *v, const struct att_call &c, int row,
					       int64_t column)
{
	EACH(D / 16, i)
	{
		int chunk = MMA_LANE + 32 * i, r = chunk / (D / 8), at = chunk % (D / 8) * 8;
		int from = __shfl_sync(0xffffffffu, row, r);
		mma_copy16(k + r * (D + 8) + at, mma_element(c.k, from < 0 ? 0 : from, column + at), from >= 0);
		mma_copy16(v + r * (D + 8) + at, mma_element(c.v, from < 0 ? 0 : from, column + at), from >= 0);
	}
}

/* Of keys j … j + 15; zeros behind key `last`. */
template <int D>
__device__ __forceinline__ void mma_fetch_keys(uint16_t *k, uint16_t *v, const struct att_call &c,
					       const struct att_span &a, int j, int last, int64_t column)
{
	mma_fetch_rows<D>(k, v, c, mma_key_row(c, a, j, last), column);
}

/* Do a segment's queries, of all heads of a key head, fit the 16 rows of one product? */
__device__ __forceinline__ bool mma_few(const struct att_call &c, const struct att_span &a)
{
	return a.n * (c.heads / c.kv_heads) <= 16;
}

/* Rows row … of a, 16 M of them but at most n, become c, each times its factor; through `shared`, the warp's own. */
template <int D, int M>
__device__ __forceinline__ void mma_store(const struct array &a, int64_t row, int n, int64_t column,
					  const float (&c)[M][D / 8][4], const float (&factor)[M][2], uint16_t *shared)
{
	int lane = MMA_LANE;
	__syncwarp(); /* what lay there has been read */
	EACH(M, m) EACH(D / 8, i) EACH(2, half)
	{
		uint16_t *to = shared + (m * 16 + half * 8 + lane / 4) * (D + 8) + i * 8 + lane % 4 * 2;
		*(uint32_t *)(void *)to =
			mma_pack(c[m][i][2 * half] * factor[m][half], c[m][i][2 * half + 1] * factor[m][half]);
	}
	__syncwarp();
	EACH(M * D / 16, i)
	{
		int chunk = lane + 32 * i, r = chunk / (D / 8), at = chunk % (D / 8) * 8;
		if (r < n)
			*(uint4 *)(void *)mma_element(a, row + r, column + at) =
				*(const uint4 *)(const void *)(shared + r * (D + 8) + at);
	}
}

/* ---- what queries see ------------------------------------------------------------------------------ */

/* The first key that one of the queries t … end - 1 may see; by a whole warp. */
__device__ __forceinline__ int mma_first(const struct att_segments &seg, const struct att_span &a, int t, int end)
{
	if (seg.window <= 0)
		return 0;
	int first = INT32_MAX;
	for (t += MMA_LANE; t < end; t += 32)
		first = min(first, att_first(att_sight_of(seg, a, t), a));
	for (int o = 16; o; o >>= 1)
		first = min(first, __shfl_xor_sync(0xffffffffu, first, o));
	return first;
}

/* Own key of query t. */
__device__ __forceinline__ int mma_high(const struct att_span &a, int t)
{
	return a.prefix_len + a.own_len - a.n + t;
}

/* Scores of queries t …, keys j …: -inf where unseen; queries behind the last stand for the last. */
template <int M, int N>
__device__ __forceinline__ void mma_hide(float (&s)[M][N][4], const struct att_segments &seg, const struct att_span &a,
					 int t, int j)
{
	EACH(M, m) EACH(2, half)
	{
		int query = t + m * 16 + half * 8 + MMA_LANE / 4;
		struct att_sight see = att_sight_of(seg, a, min(query, a.n - 1));
		EACH(N, n)
		EACH(2, e) if (!att_sees(see, a, j + n * 8 + MMA_LANE % 4 * 2 + e)) s[m][n][2 * half + e] = -INFINITY;
	}
}

/* ---- launches ------------------------------------------------------------------------------------- */

/*
 * What a block may have on every GPU from compute capability 8.0 on: 8.6, 8.9 and 12.0 give no more. A launch whose
 * tiles need more takes smaller ones where the GPU has too little.
 */
enum { MMA_LEAST_SHARED = 99 << 10 };

static inline bool mma_fits(struct device *dev, size_t bytes)
{
	return bytes <= (size_t)cuda_of(dev)->shared;
}

/* More than 48 KB of shared memory must be asked for. */
template <typename... P>
static inline bool mma_room(struct device *dev, const char *op, void (*kernel)(P...), size_t bytes)
{
	return cuda_good(dev, op,
			 (int)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes));
}

static inline bool mma_bf16(struct array a)
{
	return a.dtype == DTYPE_BF16 && wide(a);
}

/* Segments are the grid's second dimension. */
static inline bool mma_usable(struct device *dev, const struct segments *seg, const struct attn_dims *dims)
{
	return cuda_of(dev)->matrix_units && seg->count <= 65535 && dims->scale > 0;
}

#endif
