// SPDX-License-Identifier: Apache-2.0
/*
 * vec_half.h - bf16 and f16 to f32 and back, one number at a time, in loops
 * that a compiler vectorises. Included only by vec*.c.
 */
#ifndef BALDISTILL_BACKENDS_CPU_VEC_HALF_H
#define BALDISTILL_BACKENDS_CPU_VEC_HALF_H

#include <stdint.h>

union bits {
	float f;
	uint32_t u;
};

static inline float from_bits(uint32_t u)
{
	return (union bits){.u = u}.f;
}

static inline uint32_t to_bits(float f)
{
	return (union bits){.f = f}.u;
}

static inline float bf16_expand(uint16_t h)
{
	return from_bits((uint32_t)h << 16);
}

static inline uint16_t bf16_narrow(float x)
{
	uint32_t u = to_bits(x), rounded = (u + 0x7FFFu + (u >> 16 & 1u)) >> 16;

	return (uint16_t)((u & 0x7FFFFFFFu) > 0x7F800000u ? u >> 16 | 0x40u : rounded);
}

/* Exponent and fraction moved into place give 2^-112 of the value, subnormals included. */
static inline float f16_expand(uint16_t h)
{
	uint32_t magnitude = h & 0x7FFFu, sign = (uint32_t)(h & 0x8000u) << 16;
	uint32_t finite = to_bits(from_bits(magnitude << 13) * 0x1p112f);

	return from_bits(sign | (magnitude < 0x7C00u ? finite : magnitude << 13 | 0x7F800000u));
}

/* Below 2^-14 the sum with 1/2 rounds to the subnormal's unit 2^-24. */
static inline uint16_t f16_narrow(float x)
{
	uint32_t u = to_bits(x) & 0x7FFFFFFFu, sign = to_bits(x) >> 16 & 0x8000u;
	uint32_t normal = (u + 0xFFFu + (u >> 13 & 1u) - (112u << 23)) >> 13;
	uint32_t small = to_bits(from_bits(u) + 0.5f) - to_bits(0.5f);
	uint32_t finite = u < 0x38800000u ? small : normal;
	uint32_t special = u > 0x7F800000u ? 0x7E00u | (u >> 13 & 0x3FFu) : 0x7C00u;

	return (uint16_t)(sign | (u < 0x477FF000u ? finite : special));
}

#endif
