// SPDX-License-Identifier: Apache-2.0
/* The host's stand-in for CUDA: memory, launches, fibers. */
#include "tests/cuda_host.h"

#include <ucontext.h>

#include <memory>
#include <vector>

dim3 threadIdx, blockIdx, blockDim, gridDim;
char *cuda_host_shared;

/* ---- memory -------------------------------------------------------------------- */

cudaError_t cudaMalloc(void **p, size_t bytes)
{
	*p = bytes < SIZE_MAX / 2 ? aligned_alloc(256, (bytes + 255) / 256 * 256) : NULL;
	return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void *p)
{
	free(p);
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

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t)
{
	memset(p, value, bytes);
	return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind, cudaStream_t)
{
	memmove(to, from, bytes);
	return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t rows,
			      enum cudaMemcpyKind, cudaStream_t)
{
	for (size_t i = 0; i < rows; i++)
		memmove((char *)to + i * to_pitch, (const char *)from + i * from_pitch, width);
	return cudaSuccess;
}

/* ---- the GPU --------------------------------------------------------------------- */

static int most_shared = CUDA_HOST_SHARED;

void cuda_host_shared_limit(int bytes)
{
	most_shared = bytes;
}

cudaError_t cuda_host_ask_shared(int bytes)
{
	return bytes <= most_shared ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int)
{
	const int values[] = {4, 9, most_shared};
	*value = values[attribute];
	return cudaSuccess;
}

/* ---- captured steps ---------------------------------------------------------------- */

static bool captures;
static int graphs;

void cuda_host_capture(bool on)
{
	captures = on;
}

int cuda_host_graphs(void)
{
	return graphs;
}

/* Nothing is recorded: a graph is an address, and counted. */
static cudaError_t make_graph(void **graph)
{
	if (!captures)
		return cudaErrorNotSupported;
	*graph = &graphs;
	graphs++;
	return cudaSuccess;
}

static cudaError_t drop_graph(void)
{
	graphs--;
	return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, int)
{
	return captures ? cudaSuccess : cudaErrorNotSupported;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *graph)
{
	return make_graph(graph);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t, unsigned long long)
{
	return make_graph(exec);
}

cudaError_t cudaGraphDestroy(cudaGraph_t)
{
	return drop_graph();
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t)
{
	return drop_graph();
}

/* ---- half precision ---------------------------------------------------------------- */

float f16_to_float(uint16_t h)
{
	int exponent = h >> 10 & 31, fraction = h & 1023;
	float sign = h & 0x8000 ? -1.0f : 1.0f;
	if (exponent == 31)
		return fraction ? NAN : sign * INFINITY;
	return sign * (exponent ? ldexpf(1024.0f + (float)fraction, exponent - 25) : ldexpf((float)fraction, -24));
}

/* The fraction counted in units of the last place, rounded to even by nearbyint; a carry runs into the exponent. */
uint16_t float_to_f16(float f)
{
	uint16_t sign = std::signbit(f) ? 0x8000 : 0;
	int e;
	if (std::isnan(f))
		return sign | 0x7e00;
	if (std::isinf(f))
		return sign | 0x7c00;
	frexpf(f, &e);
	e = e - 1 < -14 || f == 0 ? -14 : e - 1;
	int64_t bits = ((int64_t)(e + 14) << 10) + (int64_t)nearbyint(ldexp(fabs((double)f), 10 - e));
	return sign | (uint16_t)(bits > 0x7c00 ? 0x7c00 : bits);
}

/* ---- fibers -------------------------------------------------------------------------- */

namespace
{

enum { STACK = 256 << 10, ITEM = 128 };

struct Barrier {
	unsigned waiting = 0, turn = 0;
};

struct Fiber {
	ucontext_t context;
	dim3 thread;
	bool done;
	std::unique_ptr<char[]> stack;
};

struct Warp {
	Barrier barrier;
	unsigned lanes = 0, turn = 0;
	char items[2][32 * ITEM]; /* two, so that nobody overwrites what a slower lane still reads */
};

std::vector<Fiber> fibers;
std::vector<Warp> warps;
Barrier whole;
unsigned current, alive;
bool in_fibers, all_threads;
ucontext_t scheduler;
const std::function<void()> *running;

void enter()
{
	(*running)();
	fibers[current].done = true;
	alive--;
	swapcontext(&fibers[current].context, &scheduler);
}

/* Back to the scheduler, which comes round again. */
void give_way()
{
	unsigned me = current;
	swapcontext(&fibers[me].context, &scheduler);
	current = me;
	threadIdx = fibers[me].thread;
}

void wait_for(Barrier &barrier, unsigned count)
{
	unsigned turn = barrier.turn;
	if (++barrier.waiting == count) {
		barrier.waiting = 0;
		barrier.turn++;
		return;
	}
	while (barrier.turn == turn)
		give_way();
}

void start(unsigned i, dim3 block)
{
	Fiber &fiber = fibers[i];
	fiber.thread = dim3(i % block.x, i / block.x % block.y, i / block.x / block.y);
	fiber.done = false;
	if (!fiber.stack)
		fiber.stack.reset(new char[STACK]);
	getcontext(&fiber.context);
	fiber.context.uc_stack.ss_sp = fiber.stack.get();
	fiber.context.uc_stack.ss_size = STACK;
	fiber.context.uc_link = NULL;
	makecontext(&fiber.context, enter, 0);
}

void run_block(dim3 block)
{
	unsigned n = block.x * block.y * block.z;
	if (fibers.size() < n)
		fibers.resize(n);
	warps.assign((n + 31) / 32, Warp());
	whole = Barrier();
	alive = n;
	for (unsigned i = 0; i < n; i++) {
		start(i, block);
		warps[i / 32].lanes++;
	}
	in_fibers = true;
	while (alive)
		for (unsigned i = 0; i < n; i++)
			if (!fibers[i].done) {
				current = i;
				threadIdx = fibers[i].thread;
				swapcontext(&scheduler, &fibers[i].context);
			}
	in_fibers = false;
}

} // namespace

void __syncthreads()
{
	if (in_fibers)
		wait_for(whole, (unsigned)(blockDim.x * blockDim.y * blockDim.z));
}

void __syncwarp(unsigned)
{
	if (in_fibers)
		wait_for(warps[current / 32].barrier, warps[current / 32].lanes);
}

const void *cuda_host_exchange(const void *mine, size_t size)
{
	static char alone[ITEM * 32];
	if (!in_fibers) {
		for (int lane = 0; lane < 32; lane++)
			memcpy(alone + (size_t)lane * size, mine, size);
		return alone;
	}
	Warp &warp = warps[current / 32];
	char *items = warp.items[warp.barrier.turn & 1];
	memcpy(items + (size_t)(current % 32) * size, mine, size);
	__syncwarp();
	return items;
}

void cuda_host_threads(bool all)
{
	all_threads = all;
}

void cuda_host_run(struct device *dev, bool single, dim3 grid, dim3 block, size_t shared,
		   const std::function<void()> &body)
{
	static std::vector<char> bytes;
	if (dev->failure[0] || !grid.x || !grid.y || !grid.z)
		return;
	bytes.assign(shared + 16, (char)0xff);
	cuda_host_shared = (char *)(((uintptr_t)bytes.data() + 15) / 16 * 16);
	single = single && !all_threads;
	running = &body;
	gridDim = grid;
	blockDim = single ? dim3(1) : block;
	threadIdx = dim3(0, 0, 0);
	for (unsigned z = 0; z < grid.z; z++)
		for (unsigned y = 0; y < grid.y; y++)
			for (unsigned x = 0; x < grid.x; x++) {
				blockIdx = dim3(x, y, z);
				if (single)
					body();
				else
					run_block(block);
			}
}
