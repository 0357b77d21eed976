// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/measure_case.h"
#include "backends/measure_far.h"
#include "src/base/mem.h"

const struct measure_model measure_models[] = {
	{"SmolLM2-135M", 576, 9, 3, 64, 1536, 49152},
	{"TinyLlama-1.1B", 2048, 32, 4, 64, 5632, 32000},
	{"Llama-3-8B", 4096, 32, 8, 128, 14336, 128256},
	{0},
};

enum { RUNS = 5 };
static const double shortest = 0.02; /* seconds a timed run lasts at the least */

double measure_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Floats in one array of the bandwidth roofs: four times the last cache, 64 MiB at the least. */
static size_t roof_floats(const struct device *dev)
{
	if (dev->remote)
		return 64u << 20; /* 256 MiB; the host's caches say nothing of it */
	long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
	size_t bytes = cache > 0 ? (size_t)cache * 4 : 0;
	return (bytes > (64u << 20) ? bytes : 64u << 20) / sizeof(float);
}

/* Numbers in (-1/2, 1/2); in bf16 cut to its eight bits, which any number survives. */
static void fill_factor(float *to, size_t n, size_t step, size_t most, enum dtype dtype)
{
	for (size_t i = 0; i < n; i++) {
		float value = (float)(i * step % most) / (float)most - 0.5f;
		uint32_t bits;
		memcpy(&bits, &value, sizeof bits);
		if (dtype == DTYPE_BF16)
			((uint16_t *)(void *)to)[i] = (uint16_t)(bits >> 16);
		else
			to[i] = value;
	}
}

static void fill_factors(struct measure *measure, enum dtype dtype)
{
	size_t n = (size_t)MEASURE_PRODUCT * MEASURE_PRODUCT;
	measure->dtype = dtype;
	fill_factor(measure->a, n, 7919, 1021, dtype);
	fill_factor(measure->b, n, 104729, 1019, dtype);
}

int measure_init(struct measure *measure, struct device *dev, const struct backend *backend, enum dtype dtype,
		 struct err *err)
{
	size_t n = (size_t)MEASURE_PRODUCT * MEASURE_PRODUCT;
	*measure = (struct measure){.dev = dev, .backend = backend, .n = roof_floats(dev)};
	measure->from = mem_aligned(64, measure->n, sizeof(float), err);
	measure->to = mem_aligned(64, measure->n, sizeof(float), err);
	measure->a = mem_aligned(64, n, sizeof(float), err);
	measure->b = mem_aligned(64, n, sizeof(float), err);
	measure->c = mem_aligned(64, n, sizeof(float), err);
	if (!measure->from || !measure->to || !measure->a || !measure->b || !measure->c) {
		measure_release(measure);
		return -1;
	}
	fill_factors(measure, dev->remote ? DTYPE_F32 : dtype);
	if (!dev->remote && dtype != DTYPE_F32 && measure_product(measure) <= 0)
		fill_factors(measure, DTYPE_F32);
	if (dev->remote && !(measure->far = measure_far_new(measure, err))) {
		measure_release(measure);
		return -1;
	}
	if (dev->remote)
		measure->dtype = dev->act_dtype;
	return 0;
}

void measure_release(struct measure *measure)
{
	measure_far_free(measure->far);
	free(measure->from);
	free(measure->to);
	free(measure->a);
	free(measure->b);
	free(measure->c);
	*measure = (struct measure){0};
}

double measure_product(struct measure *measure)
{
	double n = MEASURE_PRODUCT, begin = measure_now();
	if (measure->far)
		return measure_far_product(measure->far);
	if (!measure->backend->product ||
	    measure->backend->product(measure->dev, MEASURE_PRODUCT, measure->c, measure->a, measure->b,
				      measure->dtype))
		return 0;
	return 2 * n * n * n / (measure_now() - begin);
}

/* One thread's stretch of both arrays. Plain threads: the program is to start without an OpenMP library (backend.h). */
struct part {
	const float *from;
	float *to, sum;
	size_t n;
};

enum { MOST_PARTS = 256 };

/* In many sums: one after the other, additions would take longer than the memory. */
static void *read_part(void *data)
{
	enum { SUMS = 32 };
	struct part *part = data;
	const float *from = part->from;
	float sum[SUMS] = {0};
	for (size_t i = 0; i + SUMS <= part->n; i += SUMS)
		for (size_t j = 0; j < SUMS; j++)
			sum[j] += from[i + j];
	for (size_t j = 0; j < SUMS; j++)
		part->sum += sum[j];
	return NULL;
}

static void *copy_part(void *data)
{
	struct part *part = data;
	const float *restrict from = part->from;
	float *restrict to = part->to;
	for (size_t i = 0; i < part->n; i++)
		to[i] = from[i];
	return NULL;
}

/* Seconds that `fn` takes for all parts, one on each of the device's threads. */
static double time_parts(struct measure *measure, void *(*fn)(void *))
{
	size_t threads = (size_t)measure->dev->threads, count = threads < MOST_PARTS ? threads : MOST_PARTS;
	pthread_t thread[MOST_PARTS];
	struct part part[MOST_PARTS];
	double begin = measure_now();
	for (size_t i = 0; i < count; i++) {
		size_t first = measure->n * i / count, end = measure->n * (i + 1) / count;
		part[i] = (struct part){measure->from + first, measure->to + first, 0, end - first};
	}
	size_t started = 1;
	while (started < count && !pthread_create(&thread[started], NULL, fn, &part[started]))
		started++;
	fn(&part[0]);
	for (size_t i = 1; i < started; i++)
		pthread_join(thread[i], NULL);
	for (size_t i = started; i < count; i++)
		fn(&part[i]);
	double seconds = measure_now() - begin;
	measure->to[0] = part[0].sum;
	return seconds;
}

double measure_read(struct measure *measure)
{
	if (measure->far)
		return measure_far_read(measure->far);
	return (double)(measure->n * sizeof(float)) / time_parts(measure, read_part);
}

double measure_copy(struct measure *measure)
{
	if (measure->far)
		return measure_far_copy(measure->far);
	return 2 * (double)(measure->n * sizeof(float)) / time_parts(measure, copy_part);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

double measure_middle(double *values, int n)
{
	qsort(values, (size_t)n, sizeof *values, ascending);
	return values[n / 2];
}

double measure_median(struct measure *measure, double (*roof)(struct measure *), int runs)
{
	double values[32];
	runs = runs < 32 ? runs : 32;
	roof(measure); /* warm */
	for (int i = 0; i < runs; i++)
		values[i] = roof(measure);
	return measure_middle(values, runs);
}

/* Seconds of one of `times` runs. */
static double time_case(struct bench *bench, const struct bench_case *c, int times)
{
	double begin = measure_now();
	for (int i = 0; i < times; i++)
		c->run(bench);
	device_sync(bench->dev);
	return (measure_now() - begin) / times;
}

static struct measure_row measure_case(struct measure *measure, struct bench *bench, const struct bench_case *c)
{
	double seconds[RUNS], roof[RUNS];
	struct measure_row row = {.model = bench->m->name, .name = c->name, .by_bytes = !c->flops};
	snprintf(row.shape, sizeof row.shape, "%s", c->shape);
	time_case(bench, c, 1); /* warm */
	int times = (int)(shortest / (time_case(bench, c, 1) + 1e-9)) + 1;
	for (int i = 0; i < RUNS; i++) {
		roof[i] = c->flops ? measure_product(measure) : c->reads ? measure_read(measure) : measure_copy(measure);
		seconds[i] = time_case(bench, c, times);
	}
	row.seconds = measure_middle(seconds, RUNS);
	row.roof = measure_middle(roof, RUNS);
	row.flops = c->flops ? c->flops(bench) : 0;
	row.bytes = c->bytes(bench);
	row.share = row.roof > 0 ? (row.by_bytes ? row.bytes : row.flops) / row.seconds / row.roof : 0;
	return row;
}

int measure_run(struct measure *measure, const struct measure_model *model, const char *only,
		void (*visit)(void *context, const struct measure_row *row), void *context, struct err *err)
{
	struct bench bench;
	if (!bench_init(&bench, measure->dev, model))
		for (const struct bench_case *c = bench_cases; c->name && !device_sync(measure->dev); c++) {
			if (only && !strstr(c->name, only))
				continue;
			struct measure_row row = measure_case(measure, &bench, c);
			if (!device_sync(measure->dev))
				visit(context, &row);
		}
	const char *failure = device_sync(measure->dev);
	bench_release(&bench);
	return failure ? err_set(err, ERR_INTERNAL, "%s: %s", model->name, failure) : 0;
}
