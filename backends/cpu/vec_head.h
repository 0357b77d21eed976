// SPDX-License-Identifier: Apache-2.0
/*
 * vec_head.h - vector code of the loss head and of sampling, compiled once per
 * CPU level. One row of n contiguous numbers each; sums are double.
 */
#ifndef BALDISTILL_BACKENDS_CPU_VEC_HEAD_H
#define BALDISTILL_BACKENDS_CPU_VEC_HEAD_H

#include <stdint.h>

struct vec_head {
	/* Largest of n >= 1 numbers. */
	float (*max)(const float *z, int64_t n);
	/* z = e^(z - max); returns the sum. */
	double (*exp_in_place)(float *z, int64_t n, float max);
	/* Sum of e^((z - max) / temperature); z is only read. */
	double (*exp_sum)(const float *z, int64_t n, float max, float temperature);
	/* z = factor * e^(z - lse) */
	void (*softmax)(float *z, int64_t n, float lse, float factor);
};

#endif
