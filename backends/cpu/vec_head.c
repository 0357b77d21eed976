// SPDX-License-Identifier: Apache-2.0
/* The loss head's rows (vec_head.h). */
#include "backends/cpu/vec_head.h"

#include "backends/cpu/vec.h"
#include "backends/cpu/vec_math.h"

enum { LANES = 64 };

static float max(const float *z, int64_t n)
{
	float most[LANES], all = z[0];
	int64_t whole = n - n % LANES;

	for (int lane = 0; lane < LANES; lane++)
		most[lane] = z[0];
	for (int64_t i = 0; i < whole; i += LANES)
#pragma omp simd
		for (int lane = 0; lane < LANES; lane++)
			most[lane] = z[i + lane] > most[lane] ? z[i + lane] : most[lane];
	for (int64_t i = whole; i < n; i++)
		all = z[i] > all ? z[i] : all;
	for (int lane = 0; lane < LANES; lane++)
		all = most[lane] > all ? most[lane] : all;
	return all;
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
