// SPDX-License-Identifier: Apache-2.0
/*
 * cuda_host.h - enough of CUDA for backends/cuda to be compiled by a host
 * compiler and run without a GPU. Device memory is host memory.
 *
 * LAUNCH runs every block as one thread, which the kernels must stand.
 * LAUNCH_WARPS (and LAUNCH too, after cuda_host_threads(true)) runs the blocks
 * as they are: each thread is a fiber, which gives way at barriers, so that
 * shuffles, barriers and products of warps mean what they mean on a GPU.
 * Blocks run one after the other; each finds its shared memory full of NaN.
 *
 * After cuda_host_capture(CUDA_HOST_CAPTURED) what lies between the begin and
 * the end of a capture is recorded, and runs when the graph does. Meanwhile to
 * allocate, to free, to wait or to copy from or to the host fails, and spoils
 * the capture. Memory that is new or was freed is full of NaN.
 */
#ifndef BALDISTILL_TESTS_CUDA_HOST_H
#define BALDISTILL_TESTS_CUDA_HOST_H

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "backends/cuda/cuda.h"

#define __host__
#define __device__
#define __global__ static
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__ __restrict

struct dim3 {
	unsigned x, y, z;
	dim3(int64_t x = 1, int64_t y = 1, int64_t z = 1) : x((unsigned)x), y((unsigned)y), z((unsigned)z)
	{
	}
};
/* As strict as a GPU, which takes no load or store of them from elsewhere. */
struct __attribute__((aligned(16), may_alias)) uint4 {
	uint32_t x, y, z, w;
};
struct __attribute__((aligned(16), may_alias)) float4 {
	float x, y, z, w;
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;
extern char *cuda_host_shared; /* of the launch, aligned to 16 bytes */
#define SHARED(type, name) type *name = (type *)(void *)cuda_host_shared

/* ---- running ------------------------------------------------------------------ */

void cuda_host_threads(bool all); /* fibers for every launch from now on, or for LAUNCH_WARPS alone */
/*
 * Threads and blocks run first to last, or from now on last to first. Where two of them share memory without a barrier
 * between, the two orders disagree: so a kernel is looked at for races.
 */
void cuda_host_backwards(bool backwards);

enum { CUDA_HOST_SHARED = 227 << 10 };  /* compute capability 9.0 */
void cuda_host_shared_limit(int bytes); /* the most shared memory of a block from now on */

/* How steps run from now on. BROKEN: they are captured, but to run what was captured fails. */
enum cuda_host_steps { CUDA_HOST_DIRECT, CUDA_HOST_CAPTURED, CUDA_HOST_BROKEN };
void cuda_host_capture(enum cuda_host_steps how);
int cuda_host_graphs(void);  /* how many of either kind are kept */
int cuda_host_replays(void); /* how often one ran since cuda_host_capture */
/* `work` now, or where a step is captured, whenever it is replayed. */
void cuda_host_do(std::function<void()> work);
/* Ends the program if memory was written after it was freed; so does its end. */
void cuda_host_check_freed(void);

/* Fails where a GPU would refuse: too large a grid or block, more shared memory than there is, or than was asked for. */
void cuda_host_run(struct device *dev, bool single, const void *kernel, dim3 grid, dim3 block, size_t shared,
		   const std::function<void()> &body);

template <typename... P, typename... A>
static void cuda_host_launch(struct device *dev, bool single, void (*kernel)(P...), dim3 grid, dim3 block,
			     size_t shared, A... args)
{
	cuda_host_run(dev, single, (const void *)kernel, grid, block, shared, [=] { kernel(args...); });
}

void __syncthreads();
void __syncwarp(unsigned mask = 0xffffffffu);
/* Gives every lane of the warp what each has put there: 32 entries of `size` bytes, valid until the next call. */
const void *cuda_host_exchange(const void *mine, size_t size);
/* Ends the program where `p` is no multiple of `size`, which a GPU takes for an error. */
void cuda_host_aligned(const void *p, size_t size);

template <typename T> T __shfl_sync(unsigned, T v, int lane)
{
	T got;
	memcpy(&got, (const char *)cuda_host_exchange(&v, sizeof v) + (size_t)(lane & 31) * sizeof v, sizeof v);
	return got;
}

template <typename T> T __shfl_xor_sync(unsigned mask, T v, int lanes)
{
	return __shfl_sync(mask, v, (int)(threadIdx.x & 31) ^ lanes);
}

template <typename T> T __shfl_down_sync(unsigned mask, T v, unsigned by)
{
	unsigned lane = threadIdx.x & 31;
	return __shfl_sync(mask, v, (int)(lane + by < 32 ? lane + by : lane));
}

/* ---- arithmetic ------------------------------------------------------------------- */

float f16_to_float(uint16_t h);
uint16_t float_to_f16(float f);

#define __expf expf /* the C library has the name for itself */

static inline float rsqrtf(float x)
{
	return 1 / sqrtf(x);
}

static inline float __fdividef(float a, float b)
{
	return a / b;
}

template <typename T> T __ldg(const T *p)
{
	return *p;
}

static inline int max(int a, int b)
{
	return a > b ? a : b;
}

static inline int min(int a, int b)
{
	return a < b ? a : b;
}

/* ---- the runtime -------------------------------------------------------------------- */

typedef int cudaError_t;
typedef void *cudaStream_t;
typedef void *cudaGraph_t;
typedef void *cudaGraphExec_t;
enum {
	cudaSuccess = 0,
	cudaErrorInvalidValue = 1,
	cudaErrorMemoryAllocation = 2,
	cudaErrorNoDevice = 100,
	cudaErrorNotSupported = 801,
	cudaErrorStreamCaptureUnsupported = 900,
	cudaErrorStreamCaptureInvalidated = 901
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum { cudaStreamNonBlocking = 1, cudaHostAllocDefault = 0, cudaStreamCaptureModeThreadLocal = 1 };
enum cudaDeviceAttr {
	cudaDevAttrMultiProcessorCount,
	cudaDevAttrComputeCapabilityMajor,
	cudaDevAttrMaxSharedMemoryPerBlockOptin
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };

cudaError_t cudaMalloc(void **p, size_t bytes);
cudaError_t cudaFree(void *p);
cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void *p);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total);
cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t rows,
			      enum cudaMemcpyKind kind, cudaStream_t stream);
static inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
	*stream = NULL;
	return cudaSuccess;
}
static inline cudaError_t cudaStreamDestroy(cudaStream_t)
{
	return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
static inline cudaError_t cudaGetLastError()
{
	return cudaSuccess;
}
static inline const char *cudaGetErrorString(cudaError_t code)
{
	return code == cudaErrorMemoryAllocation ? "out of memory" : code ? "an error of the runtime" : "no error";
}
static inline cudaError_t cudaGetDeviceCount(int *n)
{
	*n = 1;
	return cudaSuccess;
}
static inline cudaError_t cudaSetDevice(int)
{
	return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device);
cudaError_t cuda_host_ask_shared(const void *kernel, int bytes);
template <typename F> cudaError_t cudaFuncSetAttribute(F kernel, enum cudaFuncAttribute, int bytes)
{
	return cuda_host_ask_shared((const void *)kernel, bytes);
}
static inline cudaError_t cudaRuntimeGetVersion(int *version)
{
	*version = 0;
	return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, int mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);

#endif
