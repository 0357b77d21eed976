// SPDX-License-Identifier: Apache-2.0
/* bench.h - the product rates of every library here, each measured by a run of this program of its own. */
#ifndef BALDISTILL_CMD_BENCH_H
#define BALDISTILL_CMD_BENCH_H

#include "backends/measure.h"
#include "src/base/jsonio.h"
#include "src/cmd/cmd.h"

enum { BENCH_PRODUCTS = 16 };

struct bench_product {
	char backend[16];
	char core[32];  /* kernels the library took */
	char dtype[16]; /* what it multiplied: "float32", "bfloat16" */
	double rate;    /* FLOP/s of a product of MEASURE_PRODUCT^3 */
};

struct bench_products {
	struct bench_product row[BENCH_PRODUCTS];
	int n;
	struct bench_product own; /* of the backend and core type that this process runs with */
	double best;              /* of all that multiplied what that did */
};

/*
 * Measure every usable backend that has a product of its own, OpenBLAS once
 * per core type this CPU can run; `backend` names the one whose rate is `own`,
 * in `dtype` where it multiplies that, else in float32; the others are asked for
 * what that one multiplies. A library whose run fails is left out. -1 where no
 * program can be started.
 */
int bench_all_products(struct bench_products *products, const char *backend, enum dtype dtype, uint64_t threads,
		       struct err *err);

/* A student's own job, by bench_student.c. */
struct bench_student {
	const char *backend, *model; /* model: a directory */
	enum dtype dtype;            /* of the weights */
	uint64_t threads, runs;      /* runs: the median is taken of so many, 1 to 64 */
	uint64_t slots, length;      /* rows at one time, tokens of each (decode: of each prompt) */
	uint64_t steps;              /* decode: tokens measured */
	bool json;
};

/* The student's log-probabilities; its roof is product_scale times the backend's own product. Prints the result. */
int bench_score(const struct bench_student *options, double product_scale, struct err *err);
/* Greedy decoding after the prompts; its roof is the read bandwidth. */
int bench_decode(const struct bench_student *options, struct err *err);

#endif
