// SPDX-License-Identifier: Apache-2.0
/* Device memory, transfers, captured steps. */
#include "backends/cuda/array.cuh"

#include <stdlib.h>
#include <string.h>

#include "reference/check.h"

/* A ring of pinned memory: small uploads are copied into it and do not wait for the device. */
enum { STAGING = 4 << 20, STAGED_AT_MOST = 64 << 10, ALIGNMENT = 256 };

bool cuda_good(struct device *dev, const char *op, int code)
{
	if (code != (int)cudaSuccess)
		device_fail(dev, op, "CUDA: %s", cudaGetErrorString((cudaError_t)code));
	return code == (int)cudaSuccess;
}

static cudaStream_t stream_of(struct device *dev)
{
	return (cudaStream_t)cuda_of(dev)->stream;
}

static size_t round_up(size_t bytes)
{
	return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- arrays --------------------------------------------------------------------- */

static void fail_memory(struct device *dev, const char *op, size_t bytes)
{
	size_t left = 0, total = 0;
	cudaGetLastError(); /* an allocation that fails leaves its code behind */
	cudaMemGetInfo(&left, &total);
	device_fail(dev, op, "out of memory for %zu MiB: the GPU has %zu of %zu MiB free (%zu MiB held by this program); "
		    "--memory (in a plan student.memory) makes calls and slots smaller",
		    (bytes >> 20) + 1, left >> 20, total >> 20, (dev->allocated + dev->prepared) >> 20);
}

void *cuda_bytes(struct device *dev, const char *op, size_t bytes)
{
	void *data = NULL;
	if (dev->failure[0])
		return NULL;
	const bool fits = bytes <= SIZE_MAX - ALIGNMENT;
	const cudaError_t code = fits ? cudaMalloc(&data, round_up(bytes ? bytes : 1)) : cudaErrorMemoryAllocation;
	if (code == cudaErrorMemoryAllocation)
		fail_memory(dev, op, bytes);
	if (code == cudaErrorMemoryAllocation || !cuda_good(dev, op, (int)code)) /* a GPU at fault allocates nothing either */
		return NULL;
	if (!cuda_good(dev, op, (int)cudaMemsetAsync(data, 0, round_up(bytes ? bytes : 1), stream_of(dev)))) {
		cudaFree(data);
		return NULL;
	}
	dev->allocated += bytes;
	return data;
}

void cuda_bytes_free(struct device *dev, void *data, size_t bytes)
{
	if (!data)
		return;
	dev->allocated -= bytes;
	cudaFree(data); /* waits for what still uses it */
}

static struct buffer *memory_alloc(struct device *dev, size_t bytes)
{
	struct buffer *buffer = (struct buffer *)malloc(sizeof *buffer);
	void *data = buffer ? cuda_bytes(dev, "alloc", bytes) : NULL;
	if (!data) {
		device_fail(dev, "alloc", "out of memory");
		free(buffer);
		return NULL;
	}
	buffer->data = data;
	buffer->bytes = bytes;
	return buffer;
}

static void memory_free(struct device *dev, struct buffer *buffer)
{
	if (!buffer)
		return;
	cuda_bytes_free(dev, buffer->data, buffer->bytes);
	free(buffer);
}

static void memory_reserve(struct device *dev, size_t bytes)
{
	if (bytes <= dev->scratch.bytes || dev->failure[0])
		return;
	cuda_bytes_free(dev, dev->scratch.data, dev->scratch.bytes);
	dev->scratch.data = NULL;
	dev->scratch.bytes = 0;
	dev->scratch.data = cuda_bytes(dev, "reserve", bytes);
	dev->scratch.bytes = dev->scratch.data ? bytes : 0;
}

size_t cuda_array_bytes(int64_t rows, int64_t cols, enum dtype dtype)
{
	return round_up((size_t)rows * (size_t)cols * dtype_size(dtype));
}

/* device_scratch aligns to 64 bytes; rounding every array to 256 keeps all of them there. */
struct view cuda_scratch(struct device *dev, const char *op, int64_t rows, int64_t cols, enum dtype dtype)
{
	struct view v = view_of(&dev->scratch, rows, cols, dtype);
	v.offset = (int64_t)(dev->scratch_used / dtype_size(dtype));
	return device_scratch(dev, op, cuda_array_bytes(rows, cols, dtype)) ? v : view_none();
}

struct view cuda_carve(struct view saved, size_t *at, int64_t rows, int64_t cols, enum dtype dtype)
{
	struct view v = view_of(saved.buffer, rows, cols, dtype);
	v.offset = (int64_t)(((size_t)saved.offset + *at) / dtype_size(dtype));
	*at += cuda_array_bytes(rows, cols, dtype);
	return v;
}

/* ---- transfers -------------------------------------------------------------------- */

/* Room in the ring; once round, what was staged before must have gone. */
static char *stage(struct device *dev, size_t bytes)
{
	struct cuda_device *cuda = cuda_of(dev);
	if (cuda->staged + bytes > STAGING) {
		if (!cuda_good(dev, "upload", (int)cudaStreamSynchronize(stream_of(dev))))
			return NULL;
		cuda->staged = 0;
	}
	char *at = cuda->staging + cuda->staged;
	cuda->staged += round_up(bytes);
	return at;
}

static void copy_rows(struct device *dev, const char *op, void *to, size_t to_pitch, const void *from,
		      size_t from_pitch, size_t width, size_t rows, enum cudaMemcpyKind kind)
{
	if (!width || !rows)
		return;
	if ((to_pitch == width && from_pitch == width) || rows == 1)
		cuda_good(dev, op, (int)cudaMemcpyAsync(to, from, width * rows, kind, stream_of(dev)));
	else
		cuda_good(dev, op, (int)cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, width, rows, kind, stream_of(dev)));
}

static void memory_upload(struct device *dev, struct view dst, const void *host)
{
	if (!check_view(dev, "upload", "dst", dst, CHECK_ANY))
		return;
	size_t size = dtype_size(dst.dtype), width = (size_t)dst.cols * size, bytes = width * (size_t)dst.rows;
	if (!bytes)
		return;
	const void *from = host;
	if (bytes <= STAGED_AT_MOST) {
		char *staged = stage(dev, bytes);
		if (!staged)
			return;
		memcpy(staged, host, bytes);
		from = staged;
	}
	copy_rows(dev, "upload", array_of(dst).p, (size_t)dst.ld * size, from, width, width, (size_t)dst.rows,
		  cudaMemcpyHostToDevice);
	if (from == host) /* pageable memory: the caller may change it when we return */
		cuda_good(dev, "upload", (int)cudaStreamSynchronize(stream_of(dev)));
}

static void memory_download(struct device *dev, void *host, struct view src)
{
	if (!check_view(dev, "download", "src", src, CHECK_ANY))
		return;
	size_t size = dtype_size(src.dtype), width = (size_t)src.cols * size;
	copy_rows(dev, "download", host, width, array_of(src).p, (size_t)src.ld * size, width, (size_t)src.rows,
		  cudaMemcpyDeviceToHost);
	cuda_good(dev, "download", (int)cudaStreamSynchronize(stream_of(dev)));
}

/* Wait, and ask the device whether an operation met a wrong index. */
static void memory_sync(struct device *dev)
{
	struct cuda_device *cuda = cuda_of(dev);
	int32_t *fault = (int32_t *)(void *)(cuda->staging + STAGING); /* the word behind the ring */
	if (!cuda_good(dev, "sync", (int)cudaMemcpyAsync(fault, cuda->fault, sizeof *fault, cudaMemcpyDeviceToHost,
							 stream_of(dev))) ||
	    !cuda_good(dev, "sync", (int)cudaStreamSynchronize(stream_of(dev))))
		return;
	cuda->staged = 0;
	if (!*fault)
		return;
	device_fail(dev, op_name((enum op)(*fault - 1)), "an index lies outside its table or segment");
	cuda_good(dev, "sync", (int)cudaMemsetAsync(cuda->fault, 0, sizeof *fault, stream_of(dev)));
}

/* ---- captured steps ------------------------------------------------------------------ */

struct graph {
	cudaGraphExec_t exec;
};

static void memory_capture_begin(struct device *dev)
{
	if (dev->failure[0])
		return;
	cudaError_t code = cudaStreamBeginCapture(stream_of(dev), cudaStreamCaptureModeThreadLocal);
	if (code != cudaErrorNotSupported) /* what follows is run at once */
		cuda_good(dev, "capture", (int)code);
}

static bool memory_replay(struct device *dev, struct graph *graph)
{
	if (!graph || dev->failure[0])
		return false;
	return cuda_good(dev, "replay", (int)cudaGraphLaunch(graph->exec, stream_of(dev)));
}

static void memory_graph_free(struct device *dev, struct graph *graph)
{
	(void)dev;
	if (!graph)
		return;
	if (graph->exec)
		cudaGraphExecDestroy(graph->exec);
	free(graph);
}

/* What was recorded becomes a graph, which runs once. */
static struct graph *make_graph(struct device *dev, cudaGraph_t recorded)
{
	struct graph *graph = (struct graph *)calloc(1, sizeof *graph);
	if (!graph) {
		device_fail(dev, "capture", "out of memory");
		return NULL;
	}
	if (cuda_good(dev, "capture", (int)cudaGraphInstantiateWithFlags(&graph->exec, recorded, 0)) && memory_replay(dev, graph))
		return graph;
	memory_graph_free(dev, graph);
	return NULL;
}

static struct graph *memory_capture_end(struct device *dev)
{
	cudaGraph_t recorded = NULL;
	cudaError_t code = cudaStreamEndCapture(stream_of(dev), &recorded);
	if (code == cudaErrorNotSupported)
		return NULL; /* was run at once */
	struct graph *graph = NULL;
	if (cuda_good(dev, "capture", (int)code) && !dev->failure[0])
		graph = make_graph(dev, recorded);
	if (recorded)
		cudaGraphDestroy(recorded);
	return graph;
}

/* ---- the device's own ------------------------------------------------------------------- */

bool cuda_memory_open(struct cuda_device *cuda)
{
	struct device *dev = &cuda->dev;
	cudaStream_t stream;
	if (!cuda_good(dev, "open", (int)cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)))
		return false;
	cuda->stream = (void *)stream;
	cuda->fault = (int32_t *)cuda_bytes(dev, "open", sizeof *cuda->fault);
	cuda->partial = (double *)cuda_bytes(dev, "open", CUDA_PARTIALS * sizeof *cuda->partial);
	if (dev->batch_invariant) {
		cuda->block.data = cuda_bytes(dev, "open", CUDA_BLOCK);
		cuda->block.bytes = CUDA_BLOCK;
	}
	return cuda->partial && !dev->failure[0] &&
	       cuda_good(dev, "open", (int)cudaHostAlloc((void **)&cuda->staging, STAGING + ALIGNMENT, cudaHostAllocDefault));
}

void cuda_memory_close(struct cuda_device *cuda)
{
	struct device *dev = &cuda->dev;
	cuda_bytes_free(dev, dev->scratch.data, dev->scratch.bytes);
	cuda_bytes_free(dev, cuda->fault, sizeof *cuda->fault);
	cuda_bytes_free(dev, cuda->partial, CUDA_PARTIALS * sizeof *cuda->partial);
	cuda_bytes_free(dev, cuda->block.data, cuda->block.bytes);
	if (cuda->staging)
		cudaFreeHost(cuda->staging);
	if (cuda->stream)
		cudaStreamDestroy((cudaStream_t)cuda->stream);
}

size_t cuda_scratch_memory(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev, (void)op, (void)shape;
	return 0;
}

void cuda_override_memory(struct kernels *table)
{
	table->alloc = memory_alloc;
	table->free = memory_free;
	table->upload = memory_upload;
	table->download = memory_download;
	table->sync = memory_sync;
	table->reserve = memory_reserve;
	table->capture_begin = memory_capture_begin;
	table->capture_end = memory_capture_end;
	table->replay = memory_replay;
	table->graph_free = memory_graph_free;
}
