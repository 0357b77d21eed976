// SPDX-License-Identifier: Apache-2.0
/* The device, its table, and what it says of itself. */
#include "backends/cuda/array.cuh"

#include <stdio.h>
#include <stdlib.h>

static size_t larger_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

#define SCRATCH_OF(file) cuda_scratch_##file,

static size_t scratch_bytes(const struct device *dev, enum op op, const struct shape *shape)
{
	static size_t (*const files[])(const struct device *, enum op, const struct shape *) = {CUDA_FILES(SCRATCH_OF)};
	size_t bytes = 0;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		bytes = larger_size(bytes, files[i](dev, op, shape));
	return bytes;
}

static size_t saved_bytes(const struct device *dev, enum op op, const struct shape *shape)
{
	return cuda_saved_attn(dev, op, shape) + cuda_saved_mlp(dev, op, shape);
}

#define OVERRIDE(file) cuda_override_##file(&kernels);

/* Starts from the reference's table like every backend, and overrides all of it. */
static const struct kernels *cuda_table(void)
{
	static struct kernels kernels;
	if (kernels.name)
		return &kernels;
	kernels = *kernels_reference();
	CUDA_FILES(OVERRIDE)
	kernels.scratch_bytes = scratch_bytes;
	kernels.saved_bytes = saved_bytes;
	kernels.name = "cuda";
	return &kernels;
}

/* ---- what is here ------------------------------------------------------------------------------ */

#ifndef CUDA_ON_HOST
static __global__ void any_kernel(void)
{
}
#endif

/*
 * The first GPU's name, processors and compute capability; NULL, or why there is none. Not that there is none is broken:
 * a driver too old, a device that is not let into a container, a fault of the GPU.
 */
static const char *look(char *name, size_t size, int *processors, int *major, bool *broken)
{
	int n = 0;
	cudaError_t code = cudaGetDeviceCount(&n);
	*broken = code != cudaSuccess && code != cudaErrorNoDevice;
	if (code != cudaSuccess || n < 1)
		return code == cudaSuccess ? "there is no NVIDIA GPU" : cudaGetErrorString(code);
	if (cudaDeviceGetAttribute(processors, cudaDevAttrMultiProcessorCount, 0) != cudaSuccess ||
	    cudaDeviceGetAttribute(major, cudaDevAttrComputeCapabilityMajor, 0) != cudaSuccess)
		return "the GPU does not answer";
#ifdef CUDA_ON_HOST
	snprintf(name, size, "host");
#else
	struct cudaDeviceProp properties;
	if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess)
		return "the GPU does not answer";
	snprintf(name, size, "%s", properties.name);
#endif
	return *major < 8 ? "the GPU is older than compute capability 8.0 (bfloat16 products)" : NULL;
}

/* Asked when the device is opened: it takes a context, which a probe has not. */
static const char *look_for_code(void)
{
#ifndef CUDA_ON_HOST
	struct cudaFuncAttributes attributes;
	cudaError_t code = cudaFuncGetAttributes(&attributes, (const void *)any_kernel);
	if (code == cudaErrorNoKernelImageForDevice || code == cudaErrorInvalidDeviceFunction)
		return "this program has no code for the GPU; configure it with --with-cuda-arch for that one";
#endif
	return NULL;
}

void cuda_probe(struct backend_info *info)
{
	int processors = 0, major = 0, version = 0;
	char name[sizeof info->core];
	const char *missing = look(name, sizeof name, &processors, &major, &info->broken);
	snprintf(info->library, sizeof info->library, "%s", cuda_blas_version());
	snprintf(info->dtypes, sizeof info->dtypes, "float32 bfloat16");
	snprintf(info->reason, sizeof info->reason, "%s", missing ? missing : "");
	info->usable = !missing;
	if (missing)
		return;
	cudaRuntimeGetVersion(&version);
	snprintf(info->core, sizeof info->core, "%s", name);
	snprintf(info->threading, sizeof info->threading, "cuda");
	snprintf(info->level, sizeof info->level, "CUDA %d.%d", version / 1000, version % 1000 / 10);
	info->threads = processors;
}

/* ---- opening -------------------------------------------------------------------------------------- */

static bool open_parts(struct cuda_device *cuda)
{
	struct device *dev = &cuda->dev;
	return cuda_good(dev, "open", (int)cudaSetDevice(0)) &&
	       cuda_good(dev, "open",
			 (int)cudaDeviceGetAttribute(&cuda->shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0)) &&
	       cuda_memory_open(cuda) && cuda_blas_open(cuda);
}

struct device *cuda_open(const struct device_options *options, struct err *err)
{
	int major = 0;
	bool broken;
	struct cuda_device *cuda = (struct cuda_device *)calloc(1, sizeof *cuda);
	if (!cuda) {
		err_set(err, ERR_MEMORY, "no memory for the CUDA device");
		return NULL;
	}
	const char *missing = look(cuda->name, sizeof cuda->name, &cuda->processors, &major, &broken);
	missing = missing ? missing : look_for_code();
	enum dtype dtype = options && options->dtype == DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F32;
	struct device *dev = &cuda->dev;
	dev->k = cuda_table();
	dev->name = "cuda";
	dev->threads = 1;
	dev->remote = true;
	dev->resid_dtype = dev->act_dtype = dev->cache_dtype = dtype;
	dev->batch_invariant = options && options->batch_invariant;
	dev->backend = &cuda_backend;
	cuda->matrix_units = dtype == DTYPE_BF16;
	if (missing)
		device_fail(dev, "open", "%s", missing);
	if (missing || !open_parts(cuda)) {
		err_set(err, missing ? ERR_UNAVAILABLE : ERR_MEMORY, "backend 'cuda': %s", dev->failure);
		cuda_close(dev);
		return NULL;
	}
	return dev;
}

void cuda_close(struct device *dev)
{
	if (!dev)
		return;
	cuda_blas_close(cuda_of(dev));
	cuda_memory_close(cuda_of(dev));
	free(dev);
}

const struct backend cuda_backend = CUDA_BACKEND;
