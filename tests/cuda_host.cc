// SPDX-License-Identifier: Apache-2.0
/* The host's stand-in for CUDA: launches, fibers, numbers of 16 bits. */
#undef _FORTIFY_SOURCE /* its longjmp refuses to go to another stack */
#include "tests/cuda_host.h"

#include <setjmp.h>
#include <ucontext.h>

#include <cstdio>
#include <map>
#include <memory>
#include <vector>

dim3 threadIdx, blockIdx, blockDim, gridDim;
char *cuda_host_shared;

/* ---- the GPU --------------------------------------------------------------------- */

static int most_shared = CUDA_HOST_SHARED;
static std::map<const void *, size_t> asked_shared; /* by kernel; the others have what needs no asking */

void cuda_host_shared_limit(int bytes)
{
	most_shared = bytes;
}

cudaError_t cuda_host_ask_shared(const void *kernel, int bytes)
{
	if (bytes > most_shared)
		return cudaErrorInvalidValue;
	asked_shared[kernel] = (size_t)bytes;
	return cudaSuccess;
}

static bool launch_fits(const void *kernel, dim3 grid, dim3 block, size_t shared)
{
	const size_t unasked = 48 << 10, room = asked_shared.count(kernel) ? asked_shared[kernel] : unasked;
	return shared <= (room > unasked ? room : unasked) && shared <= (size_t)most_shared && grid.x <= INT32_MAX &&
	       grid.y <= 65535 && grid.z <= 65535 && block.z <= 64 && block.x * block.y * block.z <= 1024;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int)
{
	const int values[] = {4, 9, most_shared};
	*value = values[attribute];
	return cudaSuccess;
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
	jmp_buf at;
	dim3 thread;
	bool done;
	const Barrier *waits; /* for its turn to be another than this */
	unsigned turn;
	std::unique_ptr<char[]> stack;
};

struct Warp {
	Barrier barrier;
	unsigned lanes = 0;
	alignas(16) char items[2][32 * ITEM]; /* two, so that nobody overwrites what a slower lane still reads */
};

std::vector<Fiber> fibers;
std::vector<Warp> warps;
Barrier whole;
unsigned current, alive;
bool in_fibers, all_threads, last_first;
jmp_buf scheduler;
const std::function<void()> *running;

/* A context begins a fiber; from then on longjmp, as swapcontext costs two system calls for the signal mask. */
void change(jmp_buf &from, jmp_buf &to)
{
	if (!_setjmp(from))
		_longjmp(to, 1);
}

void enter()
{
	change(fibers[current].at, scheduler);
	(*running)();
	fibers[current].done = true;
	alive--;
	_longjmp(scheduler, 1);
}

void wait_for(Barrier &barrier, unsigned count)
{
	if (++barrier.waiting == count) {
		barrier.waiting = 0;
		barrier.turn++;
		return;
	}
	fibers[current].waits = &barrier;
	fibers[current].turn = barrier.turn;
	change(fibers[current].at, scheduler);
	fibers[current].waits = NULL;
}

void start(unsigned i, dim3 block)
{
	Fiber &fiber = fibers[i];
	fiber.thread = dim3(i % block.x, i / block.x % block.y, i / block.x / block.y);
	fiber.done = false;
	fiber.waits = NULL;
	if (!fiber.stack)
		fiber.stack.reset(new char[STACK]);
	current = i;
	ucontext_t context;
	getcontext(&context);
	context.uc_stack.ss_sp = fiber.stack.get();
	context.uc_stack.ss_size = STACK;
	context.uc_link = NULL;
	makecontext(&context, enter, 0);
	if (!_setjmp(scheduler))
		setcontext(&context);
}

unsigned in_order(unsigned turn, unsigned n)
{
	return last_first ? n - 1 - turn : turn;
}

bool can_run(const Fiber &fiber)
{
	return !fiber.done && (!fiber.waits || fiber.waits->turn != fiber.turn);
}

/* Those threads of a warp that can; false where none can. */
bool run_warp(unsigned warp)
{
	bool ran = false;
	for (unsigned turn = 0; turn < warps[warp].lanes; turn++) {
		unsigned i = 32 * warp + in_order(turn, warps[warp].lanes);
		if (!can_run(fibers[i]))
			continue;
		current = i;
		threadIdx = fibers[i].thread;
		change(scheduler, fibers[i].at);
		ran = true;
	}
	return ran;
}

/* A warp goes as far as it can before another does: nothing but a barrier makes it see what others write. */
void run_warps(unsigned n)
{
	bool ran = true;
	while (alive && ran) {
		ran = false;
		for (unsigned turn = 0; turn < n; turn++)
			while (run_warp(in_order(turn, n)))
				ran = true;
	}
	if (alive) {
		fprintf(stderr, "%u threads wait at a barrier for others that have ended\n", alive);
		abort();
	}
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
	run_warps((unsigned)warps.size());
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
	alignas(16) static char alone[ITEM * 32];
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

void cuda_host_aligned(const void *p, size_t size)
{
	if ((uintptr_t)p % size == 0)
		return;
	fprintf(stderr, "%p is no multiple of %zu\n", p, size);
	abort();
}

void cuda_host_threads(bool all)
{
	all_threads = all;
}

void cuda_host_backwards(bool backwards)
{
	last_first = backwards;
}

static void run_grid(bool single, dim3 grid, dim3 block, size_t shared, const std::function<void()> &body)
{
	static std::vector<char> bytes;
	const unsigned blocks = grid.x * grid.y * grid.z;
	running = &body;
	gridDim = grid;
	blockDim = single ? dim3(1) : block;
	threadIdx = dim3(0, 0, 0);
	for (unsigned turn = 0; turn < blocks; turn++) {
		unsigned i = in_order(turn, blocks);
		blockIdx = dim3(i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y);
		bytes.assign(shared + 16, (char)0xff);
		cuda_host_shared = (char *)(((uintptr_t)bytes.data() + 15) / 16 * 16);
		if (single)
			body();
		else
			run_block(block);
	}
}

void cuda_host_run(struct device *dev, bool single, const void *kernel, dim3 grid, dim3 block, size_t shared,
		   const std::function<void()> &body)
{
	if (dev->failure[0] || !grid.x || !grid.y || !grid.z)
		return;
	if (!launch_fits(kernel, grid, block, shared))
		return device_fail(dev, "launch", "a launch that CUDA would not do");
	single = single && !all_threads;
	cuda_host_do([=] { run_grid(single, grid, block, shared, body); });
}
