// SPDX-License-Identifier: Apache-2.0
/*
 * vec_math.h - scalar functions that a compiler vectorises inside a loop.
 * Included only by vec*.c, which are compiled once per CPU level.
 */
#ifndef BALDISTILL_BACKENDS_CPU_VEC_MATH_H
#define BALDISTILL_BACKENDS_CPU_VEC_MATH_H

#include <stdint.h>

/*
 * e^x in f32: x = n ln 2 + r, |r| <= ln 2 / 2, a polynomial of degree 6 in r,
 * n added to the exponent. Below -87.33 the result is 0, above 88.02 that of
 * 88.02 (no infinity). A test holds it to 2 units in the last place.
 */
static inline float vec_exp(float x)
{
	float hi = x > 88.02f ? 88.02f : x, c = hi < -87.33f ? -87.33f : hi;
	float n = c * 0x1.715476p+0f + 0x1.8p23f - 0x1.8p23f; /* rounded: SSE2 has no instruction for it */
	float r = c - n * 0x1.62e4p-1f - n * 0x1.7f7d1cp-20f;
	float p = 0x1.6c16c2p-10f;
	p = p * r + 0x1.111112p-7f;
	p = p * r + 0x1.555556p-5f;
	p = p * r + 0x1.555556p-3f;
	p = p * r + 0.5f;
	p = p * r + 1.0f;
	p = p * r + 1.0f;
	union { float f; uint32_t u; } scale = {.u = (uint32_t)((int32_t)n + 127) << 23}; /* of a NaN: anything */
	return x < -87.33f ? 0.0f : p * scale.f;
}

#endif
