// SPDX-License-Identifier: Apache-2.0
/*
 * Vector code, compiled once per CPU level (vec.h). Plain loops that the
 * compiler vectorises; vector types where it would not keep a tile of sums in
 * registers, intrinsics for half precision alone.
 */
#include "backends/cpu/vec.h"

#include <math.h>
#include <string.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "backends/cpu/vec_half.h"
#include "backends/cpu/vec_parts.h"

/* ---- conversions -------------------------------------------------------- */

static void expand_f16(float *y, const uint16_t *x, int64_t n)
{
	int64_t i = 0;

#ifdef __F16C__
	for (; i + 8 <= n; i += 8)
		_mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(x + i))));
#endif
	for (; i < n; i++)
		y[i] = f16_expand(x[i]);
}

static void narrow_f16(uint16_t *y, const float *x, int64_t n)
{
	int64_t i = 0;

#ifdef __F16C__
	for (; i + 8 <= n; i += 8)
		_mm_storeu_si128((__m128i *)(void *)(y + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0));
#endif
	for (; i < n; i++)
		y[i] = f16_narrow(x[i]);
}

void row_expand(float *y, const void *x, enum dtype dtype, int64_t n)
{
	const uint16_t *h = x;

	if (dtype == DTYPE_F32) {
		if (y != x)
			memcpy(y, x, (size_t)n * sizeof *y);
	} else if (dtype == DTYPE_F16) {
		expand_f16(y, h, n);
	} else {
#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			y[i] = bf16_expand(h[i]);
	}
}

static void narrow(void *y, enum dtype dtype, const float *x, int64_t n)
{
	uint16_t *h = y;

	if (dtype == DTYPE_F32) {
		if (y != x)
			memcpy(y, x, (size_t)n * sizeof *x);
	} else if (dtype == DTYPE_F16) {
		narrow_f16(h, x, n);
	} else {
#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			h[i] = bf16_narrow(x[i]);
	}
}

/* ---- sums --------------------------------------------------------------- */

static void add(float *y, const float *x, int64_t n)
{
#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		y[i] += x[i];
}

static void axpy(float *y, float a, const float *x, int64_t n)
{
#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		y[i] += a * x[i];
}

static void scale(float *y, float a, int64_t n)
{
#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		y[i] *= a;
}

float row_dot(const float *x, const float *y, int64_t n)
{
	float sum = 0;

#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < n; i++)
		sum += x[i] * y[i];
	return sum;
}

static double sum_squares(const float *x, int64_t n)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	return sum;
}

/* ---- optimizer ------------------------------------------------------------ */

static void adamw(float *p, float *m, float *v, void *shadow, enum dtype dtype, const float *g, int64_t n,
		  const struct vec_adamw *step)
{
	struct vec_adamw s = *step;

#pragma omp simd
	for (int64_t i = 0; i < n; i++) {
		float gradient = s.clip * g[i];
		float mean = s.beta1 * m[i] + (1.0f - s.beta1) * gradient;
		float square = s.beta2 * v[i] + (1.0f - s.beta2) * gradient * gradient;

		m[i] = mean;
		v[i] = square;
		p[i] = s.decay * p[i] - s.rate * mean / (sqrtf(square) * s.root2 + s.eps);
	}
	if (shadow)
		narrow(shadow, dtype, p, n);
}

const struct vec VEC_NAME(vec);
const struct vec VEC_NAME(vec) = {
#if defined(__AVX512F__)
	.level = VEC_LEVEL_AVX512,
	.name = "avx512",
#elif defined(__AVX2__)
	.level = VEC_LEVEL_AVX2,
	.name = "avx2",
#else
	.level = VEC_LEVEL_BASE,
	.name = "base",
#endif
	.expand = row_expand,
	.narrow = narrow,
	.add = add,
	.axpy = axpy,
	.scale = scale,
	.sum_squares = sum_squares,
	.few = row_few,
	.rmsnorm = row_rmsnorm,
	.rmsnorm_backward = row_rmsnorm_backward,
	.rope = row_rope,
	.swiglu = row_swiglu,
	.swiglu_backward = row_swiglu_backward,
	.dropout = row_dropout,
	.dropout_add = row_dropout_add,
	.dropout_both = row_dropout_both,
	.rank_expand = row_rank_expand,
	.rank_outer = row_rank_outer,
	.adamw = adamw,
};
