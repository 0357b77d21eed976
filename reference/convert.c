// SPDX-License-Identifier: Apache-2.0
/* Elements of every storage type as doubles, rounded to nearest even on the way back. */
#include <math.h>
#include <string.h>

#include "reference/internal.h"

struct format {
	int exponent_bits, fraction_bits;
};
static const struct format bf16 = {8, 7}, f16 = {5, 10};

/*
 * The 16-bit pattern nearest to x, ties to even: |x| = q * 2^(e - fraction)
 * with the exponent e not below the smallest normal one, q rounded.
 */
static uint16_t encode(double x, struct format format)
{
	int fraction = format.fraction_bits, bias = (1 << (format.exponent_bits - 1)) - 1, e;
	uint16_t sign = signbit(x) ? 0x8000 : 0, infinity = (uint16_t)((2 * bias + 1) << fraction);
	if (isnan(x))
		return (uint16_t)(sign | infinity | 1 << (fraction - 1));
	if (isinf(x))
		return (uint16_t)(sign | infinity);
	frexp(x, &e);
	e = e - 1 < 1 - bias ? 1 - bias : e - 1;
	double q = nearbyint(ldexp(fabs(x), fraction - e));
	if (x == 0 || q == 0)
		return sign;
	/* q = 2^(fraction + 1) carries into the exponent by itself; q < 2^fraction only below the normal range */
	int64_t bits = ((int64_t)(e + bias - 1) << fraction) + (int64_t)q;
	return (uint16_t)(sign | (bits > infinity ? infinity : (uint16_t)bits));
}

/* f16 has an f32's fraction from bit 13 on; its exponents count from 112 higher, and the highest means no number. */
static double decode_f16(uint16_t bits)
{
	uint32_t word = (uint32_t)(bits & 0x8000) << 16 | (uint32_t)(bits & 0x7fff) << 13;
	float f;
	memcpy(&f, &word, sizeof f);
	if ((bits & 0x7c00) == 0x7c00)
		return bits & 0x3ff ? (double)NAN : copysign((double)INFINITY, (double)f);
	return (double)f * 0x1p112;
}

void ref_load(double *out, struct view v, int64_t i, int64_t j, int64_t count)
{
	const real *f = (const real *)view_row(v, i) + j;
	const uint16_t *h = (const uint16_t *)view_row(v, i) + j;
	if (v.dtype == DTYPE_F32)
		for (int64_t n = 0; n < count; n++)
			out[n] = (double)f[n];
	else if (v.dtype == DTYPE_BF16)
		for (int64_t n = 0; n < count; n++)
			out[n] = ref_decode_bf16(h[n]);
	else
		for (int64_t n = 0; n < count; n++)
			out[n] = decode_f16(h[n]);
}

void ref_put(struct view v, int64_t i, int64_t j, double value)
{
	if (v.dtype == DTYPE_F32)
		((real *)view_row(v, i))[j] = (real)value;
	else
		((uint16_t *)view_row(v, i))[j] = encode(value, v.dtype == DTYPE_BF16 ? bf16 : f16);
}

enum { CHUNK = 64 };

double ref_dot(struct view a, int64_t i, struct view b, int64_t j, int64_t n)
{
	double x[CHUNK], y[CHUNK], sum = 0;
	for (int64_t at = 0; at < n; at += CHUNK) {
		int64_t count = n - at < CHUNK ? n - at : CHUNK;
		ref_load(x, a, i, at, count);
		ref_load(y, b, j, at, count);
		for (int64_t c = 0; c < count; c++)
			sum += x[c] * y[c];
	}
	return sum;
}

void ref_add_scaled(double *sum, struct view x, int64_t i, double factor)
{
	double row[CHUNK];
	for (int64_t at = 0; at < x.cols; at += CHUNK) {
		int64_t count = x.cols - at < CHUNK ? x.cols - at : CHUNK;
		ref_load(row, x, i, at, count);
		for (int64_t c = 0; c < count; c++)
			sum[at + c] += factor * row[c];
	}
}
