// SPDX-License-Identifier: Apache-2.0
/* The loss head's rows (vec_head.h). */
#include "backends/openblas/vec_head.h"

#include "backends/openblas/vec.h"
#include "backends/openblas/vec_math.h"

static float max(const float *z, int64_t n)
{
	float most = z[0];

#pragma omp simd reduction(max : most)
	for (int64_t i = 0; i < n; i++)
		most = z[i] > most ? z[i] : most;
	return most;
}

static double exp_in_place(float *z, int64_t n, float most)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < n; i++) {
		z[i] = vec_exp(z[i] - most);
		sum += (double)z[i];
	}
	return sum;
}

static double exp_sum(const float *z, int64_t n, float most, float temperature)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < n; i++)
		sum += (double)vec_exp((z[i] - most) / temperature);
	return sum;
}

static void softmax(float *z, int64_t n, float lse, float factor)
{
#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		z[i] = factor * vec_exp(z[i] - lse);
}

const struct vec_head VEC_NAME(vec_head);
const struct vec_head VEC_NAME(vec_head) = {
	.max = max,
	.exp_in_place = exp_in_place,
	.exp_sum = exp_sum,
	.softmax = softmax,
};
