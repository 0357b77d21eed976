// SPDX-License-Identifier: Apache-2.0
/* The host's stand-in for CUDA: captured steps, memory. */
#include "tests/cuda_host.h"

#include <cstdio>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

/* ---- captured steps ---------------------------------------------------------------- */

typedef std::vector<std::function<void()>> Tape;

static enum cuda_host_steps steps;
static Tape *tape;   /* of the capture under way */
static bool spoiled; /* something was called that cannot be captured */
static int graphs, replays;

void cuda_host_capture(enum cuda_host_steps how)
{
	steps = how;
	replays = 0;
}

int cuda_host_graphs(void)
{
	return graphs;
}

int cuda_host_replays(void)
{
	return replays;
}

void cuda_host_do(std::function<void()> work)
{
	if (tape)
		tape->push_back(std::move(work));
	else
		work();
}

/* As on a GPU the call fails, and so does the end of the capture. */
static bool refused_while_captured()
{
	spoiled = spoiled || tape;
	return tape;
}

static void *new_graph(Tape recorded)
{
	graphs++;
	return new Tape(std::move(recorded));
}

static cudaError_t drop_graph(void *graph)
{
	graphs--;
	delete (Tape *)graph;
	return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, int)
{
	if (steps == CUDA_HOST_DIRECT)
		return cudaErrorNotSupported;
	tape = new Tape;
	spoiled = false;
	return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *graph)
{
	if (steps == CUDA_HOST_DIRECT)
		return cudaErrorNotSupported;
	if (!tape)
		return cudaErrorInvalidValue;
	std::unique_ptr<Tape> recorded(std::exchange(tape, nullptr));
	*graph = spoiled ? NULL : new_graph(*recorded);
	return spoiled ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
	*exec = new_graph(*(const Tape *)graph);
	return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t)
{
	if (steps == CUDA_HOST_BROKEN)
		return cudaErrorNotSupported;
	replays++;
	for (const auto &work : *(const Tape *)exec)
		work();
	return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
	return drop_graph(graph);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
	return drop_graph(exec);
}

/* ---- memory -------------------------------------------------------------------- */

/* Before what cudaMalloc gives stands its size. All bytes are POISON before it is written and after it was freed. */
enum { HEAD = 256, POISON = 0xff, HELD = 64 << 20 };

static size_t &size_of(char *block)
{
	return *(size_t *)(void *)block;
}

/* What was freed stays for a while: who reads it gets NaN, who writes it is found when it goes. */
struct Freed {
	std::deque<char *> blocks;
	size_t bytes = 0;

	void add(char *block)
	{
		memset(block + HEAD, POISON, size_of(block));
		blocks.push_back(block);
		bytes += size_of(block);
		drop_to(HELD);
	}
	void drop_to(size_t most)
	{
		for (; bytes > most || (!most && !blocks.empty()); blocks.pop_front()) {
			char *block = blocks.front();
			bytes -= size_of(block);
			for (size_t i = 0; i < size_of(block); i++)
				if (block[HEAD + i] != (char)POISON) {
					fprintf(stderr, "cuda_host: memory was written after it was freed\n");
					abort();
				}
			free(block);
		}
	}
	~Freed()
	{
		drop_to(0);
	}
};
static Freed freed;

void cuda_host_check_freed(void)
{
	freed.drop_to(0);
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
	if (refused_while_captured())
		return cudaErrorStreamCaptureUnsupported;
	char *block =
		bytes < SIZE_MAX / 2 ? (char *)aligned_alloc(HEAD, HEAD + (bytes + HEAD - 1) / HEAD * HEAD) : NULL;
	if (!block)
		return cudaErrorMemoryAllocation;
	size_of(block) = bytes;
	*p = memset(block + HEAD, POISON, bytes);
	return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
	if (refused_while_captured())
		return cudaErrorStreamCaptureUnsupported;
	if (p)
		freed.add((char *)p - HEAD);
	return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned)
{
	return cudaMalloc(p, bytes);
}

cudaError_t cudaFreeHost(void *p)
{
	return cudaFree(p);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
	*free_bytes = *total = (size_t)1 << 33;
	return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t)
{
	return refused_while_captured() ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t)
{
	cuda_host_do([=] { memset(p, value, bytes); });
	return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
	return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, stream);
}

/* A copy from or to the host could be captured, but would be replayed with what the host's memory holds then. */
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t rows,
			      enum cudaMemcpyKind kind, cudaStream_t)
{
	if (kind != cudaMemcpyDeviceToDevice && refused_while_captured())
		return cudaErrorStreamCaptureUnsupported;
	cuda_host_do([=] {
		for (size_t i = 0; i < rows; i++)
			memmove((char *)to + i * to_pitch, (const char *)from + i * from_pitch, width);
	});
	return cudaSuccess;
}
