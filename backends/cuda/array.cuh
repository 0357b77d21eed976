// SPDX-License-Identifier: Apache-2.0
/*
 * array.cuh - for kernels: elements of views, launches, sums over a block.
 *
 *     template <int N> __global__ void twice(struct array y, struct array x)
 *     {
 *             int64_t i = blockIdx.x;
 *             for (int64_t j = threadIdx.x * N; j < x.cols; j += blockDim.x * N) {
 *                     float v[N];
 *                     load<N>(v, x, i, j);
 *                     EACH(N, n) v[n] *= 2;
 *                     store<N>(y, i, j, v);
 *             }
 *     }
 *     …
 *     struct array a = array_of(y), b = array_of(x);
 *     if (wide(a) && wide(b))
 *             LAUNCH(dev, "twice", twice<8>, x.rows, 256, 0, a, b);
 *     else
 *             LAUNCH(dev, "twice", twice<1>, x.rows, 256, 0, a, b);
 *
 * A kernel is right for any block size, also of one thread: on the host
 * (tests/cuda_host.h) blocks are one thread, or fibers in LAUNCH_WARPS.
 */
#ifndef BALDISTILL_BACKENDS_CUDA_ARRAY_CUH
#define BALDISTILL_BACKENDS_CUDA_ARRAY_CUH

#ifndef CUDA_ON_HOST /* whoever compiles for the host brings a stand-in of these (tests/cuda_host_backend.cc) */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

#include "backends/cuda/cuda.h"

/* A view as kernels take it; p NULL: absent. Element (i, j) at p + (i * ld + j) * size of its dtype. */
struct array {
	char *p;
	int64_t rows, cols, ld;
	int dtype;
};

static inline struct array array_of(struct view v)
{
	struct array a = {NULL, v.rows, v.cols, v.ld, (int)v.dtype};
	if (view_present(v))
		a.p = (char *)v.buffer->data + (size_t)v.offset * dtype_size(v.dtype);
	return a;
}

static inline const int32_t *i32_of(struct view v)
{
	return (const int32_t *)(void *)array_of(v).p;
}

static inline const uint64_t *u64_of(struct view v)
{
	return (const uint64_t *)(void *)array_of(v).p;
}

static inline float *f32_of(struct view v)
{
	return (float *)(void *)array_of(v).p;
}

/* Can rows be read eight elements at a time? An absent array hinders nobody. */
static inline bool wide(struct array a)
{
	size_t size = a.dtype == DTYPE_F32 ? 4 : 2;
	return !a.p || (((uintptr_t)a.p & 15) == 0 && (size_t)a.ld * size % 16 == 0 && a.cols % 8 == 0);
}

#ifdef CUDA_ON_HOST
#define EACH(N, n) for (int n = 0; n < (N); n++)
#else
#define EACH(N, n) _Pragma("unroll") for (int n = 0; n < (N); n++)
#endif

/* ---- storage types as f32; rounding to nearest even ---------------------------------- */

__host__ __device__ __forceinline__ float word_float(uint32_t w)
{
	union {
		uint32_t w;
		float f;
	} u = {w};
	return u.f;
}

__host__ __device__ __forceinline__ uint32_t float_word(float f)
{
	union {
		float f;
		uint32_t w;
	} u = {f};
	return u.w;
}

__host__ __device__ __forceinline__ float from_bf16(uint16_t h)
{
	return word_float((uint32_t)h << 16);
}

__host__ __device__ __forceinline__ uint16_t to_bf16(float f)
{
#ifdef __CUDA_ARCH__
	return __bfloat16_as_ushort(__float2bfloat16_rn(f));
#else
	uint32_t w = float_word(f);
	if ((w & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(w >> 16 | 0x40);
	return (uint16_t)((w + 0x7fff + (w >> 16 & 1)) >> 16);
#endif
}

__device__ __forceinline__ float from_f16(uint16_t h)
{
#ifdef CUDA_ON_HOST
	return f16_to_float(h);
#else
	return __half2float(__ushort_as_half(h));
#endif
}

__device__ __forceinline__ uint16_t to_f16(float f)
{
#ifdef CUDA_ON_HOST
	return float_to_f16(f);
#else
	return __half_as_ushort(__float2half_rn(f));
#endif
}

/* What a value becomes when it is stored. */
__device__ __forceinline__ float rounded(float f, int dtype)
{
	return dtype == DTYPE_F32 ? f : dtype == DTYPE_BF16 ? from_bf16(to_bf16(f)) : from_f16(to_f16(f));
}

/* Two 16-bit elements of a word. */
__device__ __forceinline__ void unpack(float *out, uint32_t w, int dtype)
{
	out[0] = dtype == DTYPE_BF16 ? word_float(w << 16) : from_f16((uint16_t)w);
	out[1] = dtype == DTYPE_BF16 ? word_float(w & 0xffff0000u) : from_f16((uint16_t)(w >> 16));
}

__device__ __forceinline__ uint16_t narrow(float f, int dtype)
{
	return dtype == DTYPE_BF16 ? to_bf16(f) : to_f16(f);
}

__device__ __forceinline__ uint32_t pack(const float *v, int dtype)
{
	return narrow(v[0], dtype) | (uint32_t)narrow(v[1], dtype) << 16;
}

__device__ __forceinline__ void load8(float *out, const char *p, int dtype)
{
	if (dtype == DTYPE_F32) {
		float4 a = ((const float4 *)p)[0], b = ((const float4 *)p)[1];
		out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
		out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
		return;
	}
	uint4 w = *(const uint4 *)p;
	unpack(out, w.x, dtype);
	unpack(out + 2, w.y, dtype);
	unpack(out + 4, w.z, dtype);
	unpack(out + 6, w.w, dtype);
}

__device__ __forceinline__ void store8(char *p, const float *v, int dtype)
{
	if (dtype == DTYPE_F32) {
		float4 a = {v[0], v[1], v[2], v[3]}, b = {v[4], v[5], v[6], v[7]};
		((float4 *)p)[0] = a;
		((float4 *)p)[1] = b;
		return;
	}
	uint4 w = {pack(v, dtype), pack(v + 2, dtype), pack(v + 4, dtype), pack(v + 6, dtype)};
	*(uint4 *)p = w;
}

/* N (1, or 8 where wide) elements of row i from column j on. */
template <int N> __device__ __forceinline__ void load(float *out, const struct array &a, int64_t i, int64_t j)
{
	const char *p = a.p + (i * a.ld + j) * (a.dtype == DTYPE_F32 ? 4 : 2);
	if (N == 8)
		load8(out, p, a.dtype);
	else if (a.dtype == DTYPE_F32)
		*out = *(const float *)p;
	else
		*out = a.dtype == DTYPE_BF16 ? from_bf16(*(const uint16_t *)p) : from_f16(*(const uint16_t *)p);
}

template <int N> __device__ __forceinline__ void store(const struct array &a, int64_t i, int64_t j, const float *v)
{
	char *p = a.p + (i * a.ld + j) * (a.dtype == DTYPE_F32 ? 4 : 2);
	if (N == 8)
		store8(p, v, a.dtype);
	else if (a.dtype == DTYPE_F32)
		*(float *)p = *v;
	else
		*(uint16_t *)p = narrow(*v, a.dtype);
}

__device__ __forceinline__ float element(const struct array &a, int64_t i, int64_t j)
{
	float v;
	load<1>(&v, a, i, j);
	return v;
}

__device__ __forceinline__ void put(const struct array &a, int64_t i, int64_t j, float v)
{
	store<1>(a, i, j, &v);
}

/* ---- sums and largest over a block, the same for every thread of it -------------------- */

/* One order of adding for one block size: lanes of a warp by halves, then warps in order. */
template <typename T, typename F> __device__ __forceinline__ T block_fold(T v, F f)
{
	if (blockDim.x == 1)
		return v;
	__shared__ T part[32];
	int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = (blockDim.x + 31) >> 5;
	for (int o = 16; o; o >>= 1)
		v = f(v, (T)__shfl_xor_sync(0xffffffffu, v, o));
	__syncthreads(); /* the last call's part has been read */
	if (lane == 0)
		part[warp] = v;
	__syncthreads();
	v = part[0];
	for (int w = 1; w < warps; w++)
		v = f(v, part[w]);
	return v;
}

struct plus {
	template <typename T> __device__ __forceinline__ T operator()(T a, T b) const
	{
		return a + b;
	}
};

struct larger {
	template <typename T> __device__ __forceinline__ T operator()(T a, T b) const
	{
		return a > b ? a : b;
	}
};

template <typename T> __device__ __forceinline__ T block_sum(T v)
{
	return block_fold(v, plus());
}

template <typename T> __device__ __forceinline__ T block_max(T v)
{
	return block_fold(v, larger());
}

/* ---- launches --------------------------------------------------------------------------- */

/* An index outside its table: the device fails at its next sync, naming the operation. */
__device__ __forceinline__ void note_fault(int32_t *fault, enum op op)
{
	if (*fault == 0)
		*fault = 1 + (int32_t)op;
}

static inline int64_t blocks_for(int64_t n, int64_t each)
{
	return (n + each - 1) / each;
}

/*
 * kernel<<<grid, block, shared>>>(...) on the device's stream; nothing where
 * the device has failed or the grid is empty. Blocks of plain kernels are of a
 * multiple of 32 threads.
 */
#ifdef CUDA_ON_HOST
#define LAUNCH(dev, op, kernel, grid, block, shared, ...)                                                              \
	((void)(op), cuda_host_launch(dev, true, kernel, grid, block, shared, __VA_ARGS__))
#define LAUNCH_WARPS(dev, op, kernel, grid, block, shared, ...)                                                        \
	((void)(op), cuda_host_launch(dev, false, kernel, grid, block, shared, __VA_ARGS__))
#else
template <typename... P, typename... A>
static inline void cuda_launch(struct device *dev, const char *op, void (*kernel)(P...), dim3 grid, dim3 block,
			       size_t shared, A... args)
{
	if (dev->failure[0] || !grid.x || !grid.y || !grid.z)
		return;
	kernel<<<grid, block, shared, (cudaStream_t)cuda_of(dev)->stream>>>(args...);
	cuda_good(dev, op, (int)cudaGetLastError());
}
#define LAUNCH(dev, op, kernel, grid, block, shared, ...) cuda_launch(dev, op, kernel, grid, block, shared, __VA_ARGS__)
#define LAUNCH_WARPS LAUNCH
#endif

/* Shared memory of the launch's size, as an array. */
#ifndef CUDA_ON_HOST
#define SHARED(type, name)                                                                                             \
	extern __shared__ __align__(16) char shared_bytes[];                                                           \
	type *name = (type *)shared_bytes
#endif

/* Eight elements at a time where all arrays allow it. */
#define LAUNCH_WIDE(all_wide, dev, op, kernel, grid, block, shared, ...)                                               \
	do {                                                                                                           \
		if (all_wide)                                                                                          \
			LAUNCH(dev, op, kernel<8>, grid, block, shared, __VA_ARGS__);                                  \
		else                                                                                                   \
			LAUNCH(dev, op, kernel<1>, grid, block, shared, __VA_ARGS__);                                  \
	} while (0)

#endif
