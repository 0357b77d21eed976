// SPDX-License-Identifier: Apache-2.0
/* Rows of a layer: norm, rotary, SwiGLU (vec.h). */
#include "backends/cpu/vec_parts.h"

#include <math.h>
#include <stddef.h>

#include "backends/cpu/vec_math.h"

static float inverse_rms(const float *x, float eps, int64_t n)
{
	return 1.0f / sqrtf(row_dot(x, x, n) / (float)n + eps);
}

void row_rmsnorm(float *y, const float *x, const float *w, float eps, int64_t n)
{
	float inverse = inverse_rms(x, eps, n);

#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		y[i] = w[i] * (x[i] * inverse);
}

/* With s = 1 / rms: dx = s w dy - x s^3 / n sum(w dy x) */
void row_rmsnorm_backward(float *dx, float *dw, const float *dy, const float *x, const float *w, float eps, int64_t n)
{
	float inverse = inverse_rms(x, eps, n), sum = 0;

	if (dx) {
#pragma omp simd reduction(+ : sum)
		for (int64_t i = 0; i < n; i++)
			sum += w[i] * dy[i] * x[i];
		float back = sum * inverse * inverse * inverse / (float)n;
#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			dx[i] += inverse * w[i] * dy[i] - back * x[i];
	}
	if (dw) {
#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			dw[i] += dy[i] * (x[i] * inverse);
	}
}

void row_rope(float *x, const float *cos_row, const float *sin_row, int64_t heads, int64_t head_dim, bool inverse)
{
	int64_t half = head_dim / 2;
	float sign = inverse ? -1.0f : 1.0f;

	for (int64_t h = 0; h < heads; h++) {
		float *a = x + h * head_dim, *b = a + half;

#pragma omp simd
		for (int64_t i = 0; i < half; i++) {
			float c = cos_row[i], s = sign * sin_row[i], left = a[i], right = b[i];

			a[i] = left * c - right * s;
			b[i] = right * c + left * s;
		}
	}
}

void row_swiglu(float *y, const float *g, const float *u, int64_t n)
{
#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		y[i] = g[i] / (1.0f + vec_exp(-g[i])) * u[i];
}

/* silu'(g) = s (1 + g (1 - s)), s the logistic function of g; 1 - s as e^-g s, which loses nothing near s = 1 */
static inline __attribute__((always_inline)) void swiglu_rows(float *y, float *dg, float *du, const float *dy,
							      const float *g, const float *u, int64_t n)
{
#pragma omp simd
	for (int64_t i = 0; i < n; i++) {
		float d = dy[i], gate = g[i], up = u[i], e = vec_exp(-gate), s = 1.0f / (1.0f + e), silu = gate * s;

		if (y)
			y[i] = silu * up;
		dg[i] = d * up * (s + silu * (e * s));
		du[i] = d * silu;
	}
}

void row_swiglu_backward(float *y, float *dg, float *du, const float *dy, const float *g, const float *u, int64_t n)
{
	if (y)
		swiglu_rows(y, dg, du, dy, g, u, n);
	else
		swiglu_rows(NULL, dg, du, dy, g, u, n);
}
