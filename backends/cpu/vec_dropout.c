// SPDX-License-Identifier: Apache-2.0
/* Masks of the counter-based generator (reference/philox.h), and what they drop (vec.h). */
#include "backends/cpu/vec_parts.h"

#include <stddef.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "backends/cpu/vec_width.h"

/* 64-bit lanes, of which products take the lower halves. */
typedef uint64_t vq __attribute__((vector_size(WIDTH * 4)));

static inline vq multiply(vq a, uint32_t b)
{
#if defined(__AVX512F__)
	return (vq)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
#elif defined(__AVX2__)
	return (vq)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#elif defined(__SSE2__)
	return (vq)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x(b));
#else
	return (a & 0xFFFFFFFFu) * b;
#endif
}

/* Words of WIDTH / 2 counters from `first` on, in order: philox4x32 with a counter in each 64-bit lane. */
static inline __attribute__((always_inline)) void draw(vu out[2], const struct vec_mask *mask, uint32_t first)
{
#if defined(__AVX512F__)
	const vq lane = {0, 4, 1, 5, 2, 6, 3, 7};
#elif defined(__AVX2__)
	const vq lane = {0, 2, 1, 3};
#else
	const vq lane = {0, 1};
#endif
	vq c0 = lane + first, c1 = (vq){0} + (uint32_t)mask->row, c2 = (vq){0} + (mask->row >> 32), c3 = {0};
	uint32_t k0 = mask->key.k[0], k1 = mask->key.k[1];

	for (int round = 0; round < 10; round++) {
		vq even = multiply(c0, 0xD2511F53u), odd = multiply(c2, 0xCD9E8D57u);

		c0 = (odd >> 32) ^ c1 ^ (uint64_t)k0;
		c1 = odd;
		c2 = (even >> 32) ^ c3 ^ (uint64_t)k1;
		c3 = even;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	vq a = (c0 & 0xFFFFFFFFu) | c1 << 32, b = (c2 & 0xFFFFFFFFu) | c3 << 32;
#if defined(__AVX512F__)
	out[0] = (vu)PICK(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
	out[1] = (vu)PICK(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
#elif defined(__AVX2__)
	out[0] = (vu)PICK(a, b, 0, 4, 2, 6);
	out[1] = (vu)PICK(a, b, 1, 5, 3, 7);
#else
	out[0] = (vu)PICK(a, b, 0, 2);
	out[1] = (vu)PICK(a, b, 1, 3);
#endif
}

enum { DRAWN = 4 * WIDTH }; /* features of a step: two independent chains of rounds */

/* y = mask x and sum += mask t of DRAWN features from feature `at` on */
static inline __attribute__((always_inline)) void drop_step(float *y, const float *x, float *sum, const float *t,
							    const struct vec_mask *mask, int64_t at, bool keep_y,
							    bool keep_sum)
{
	uint32_t first = mask->first + (uint32_t)(at / 4);
	vu word[4];

	draw(word, mask, first);
	draw(word + 2, mask, first + WIDTH / 2);
	for (int i = 0; i < 4; i++) {
		vu kept = (vu)(word[i] >= mask->threshold);

		if (keep_y) {
			vf out = (vf)(kept & (vu)(load(x + i * WIDTH) * mask->keep));

			memcpy(y + i * WIDTH, &out, sizeof out);
		}
		if (keep_sum) {
			vf out = load(sum + i * WIDTH) + (vf)(kept & (vu)(load(t + i * WIDTH) * mask->keep));

			memcpy(sum + i * WIDTH, &out, sizeof out);
		}
	}
}

/* A pair that is not kept is not touched: any arrays of n. */
static inline __attribute__((always_inline)) void drop(float *y, const float *x, float *sum, const float *t, int64_t n,
						       const struct vec_mask *mask, bool keep_y, bool keep_sum)
{
	float part[4][DRAWN] = {{0}};
	int64_t at = 0;

	for (; at + DRAWN <= n; at += DRAWN)
		drop_step(y + at, x + at, sum + at, t + at, mask, at, keep_y, keep_sum);
	if (at == n)
		return;
	size_t rest = (size_t)(n - at) * sizeof(float);
	if (keep_y)
		memcpy(part[1], x + at, rest);
	if (keep_sum) {
		memcpy(part[2], sum + at, rest);
		memcpy(part[3], t + at, rest);
	}
	drop_step(part[0], part[1], part[2], part[3], mask, at, keep_y, keep_sum);
	if (keep_y)
		memcpy(y + at, part[0], rest);
	if (keep_sum)
		memcpy(sum + at, part[2], rest);
}

void row_dropout(float *y, const float *x, int64_t n, const struct vec_mask *mask)
{
	drop(y, x, y, x, n, mask, true, false);
}

void row_dropout_add(float *sum, const float *t, int64_t n, const struct vec_mask *mask)
{
	drop(sum, t, sum, t, n, mask, false, true);
}

void row_dropout_both(float *y, const float *x, float *sum, const float *t, int64_t n, const struct vec_mask *mask)
{
	drop(y, x, sum, t, n, mask, true, true);
}
