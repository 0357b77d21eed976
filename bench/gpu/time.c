// SPDX-License-Identifier: Apache-2.0
/* time.c - how long calls and steps take on the device. */
#include <stdlib.h>
#include <time.h>

#include "bench/gpu/gpu_bench.h"
#include "src/base/mem.h"

double time_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

double median(double *values, int64_t n)
{
	qsort(values, (size_t)n, sizeof *values, ascending);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* The first batch is the warm-up. */
double time_calls(struct stack *s, void (*fn)(void *), void *context, int batch)
{
	double seconds[64];
	int64_t n = s->o->steps < 64 ? s->o->steps : 64;
	for (int64_t i = 0; i < n + 1; i++) {
		device_sync(s->dev);
		double begin = time_now();
		for (int j = 0; j < batch; j++)
			fn(context);
		device_sync(s->dev);
		seconds[i ? i - 1 : 0] = (time_now() - begin) / batch;
	}
	return median(seconds, n);
}

int time_steps(struct stack *s, step_fn *step, struct times *out, struct err *err)
{
	int64_t n = s->o->steps;
	double *seconds = mem_array((size_t)n, sizeof *seconds, err);
	if (!seconds)
		return -1;
	*out = (struct times){0};
	for (int64_t i = 0; i < n + WARM && !s->dev->failure[0]; i++) {
		double begin = time_now();
		step(s, i + 1);
		device_sync(s->dev);
		if (i >= WARM)
			seconds[i - WARM] = time_now() - begin;
		out->first = i ? out->first : s->loss;
	}
	out->last = s->loss;
	out->middle = median(seconds, n);
	out->least = seconds[0];
	out->most = seconds[n - 1];
	free(seconds);
	return stack_finish(s, err);
}
