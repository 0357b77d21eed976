// SPDX-License-Identifier: Apache-2.0
/* Products of few rows with stored weights (vec.h). */
#include "backends/cpu/vec_parts.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "backends/cpu/vec_half.h"
#include "backends/cpu/vec_width.h"

typedef uint16_t vh __attribute__((vector_size(WIDTH * 2)));

static inline __attribute__((always_inline)) vf load_as(const void *x, int64_t i, enum dtype dtype)
{
	vf out;

	if (dtype == DTYPE_F32) {
		memcpy(&out, (const float *)x + i, sizeof out);
	} else if (dtype == DTYPE_BF16) {
#if defined(__AVX512F__)
		out = (vf)_mm512_slli_epi32(
			_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i_u *)((const uint16_t *)x + i))), 16);
#elif defined(__AVX2__)
		out = (vf)_mm256_slli_epi32(
			_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i_u *)((const uint16_t *)x + i))), 16);
#else
		vh h;

		memcpy(&h, (const uint16_t *)x + i, sizeof h);
		out = (vf)(__builtin_convertvector(h, vu) << 16);
#endif
	} else {
#if defined(__AVX512F__)
		out = (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)((const uint16_t *)x + i)));
#elif defined(__F16C__)
		out = (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)((const uint16_t *)x + i)));
#else
		for (int lane = 0; lane < WIDTH; lane++)
			out[lane] = f16_expand(((const uint16_t *)x)[i + lane]);
#endif
	}
	return out;
}

/* The last n < WIDTH elements, zeros behind. */
static inline vf load_tail(const void *x, int64_t i, int64_t n, enum dtype dtype)
{
	float part[WIDTH] = {0};
	vf out;

	row_expand(part, (const char *)x + (size_t)i * (dtype == DTYPE_F32 ? 4 : 2), dtype, n);
	memcpy(&out, part, sizeof out);
	return out;
}

static inline float sum_lanes(vf v)
{
#if defined(__AVX512F__)
	return _mm512_reduce_add_ps((__m512)v);
#else
	float sum[WIDTH];

	memcpy(sum, &v, sizeof sum);
	for (int step = WIDTH / 2; step; step /= 2)
		for (int lane = 0; lane < step; lane++)
			sum[lane] += sum[lane + step];
	return sum[0];
#endif
}

#if defined(__AVX512F__)
/* sum_lanes of four vectors together: the same pairs added, a third of the instructions. */
static inline __m128 sum_lanes_4(const vf v[4])
{
	__m512 a = (__m512)v[0], b = (__m512)v[1], c = (__m512)v[2], d = (__m512)v[3], four, two;
	__m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
	__m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xEE));

	four = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
	two = _mm512_add_ps(four, _mm512_permute_ps(four, 0x4E));
	two = _mm512_add_ps(two, _mm512_permute_ps(two, 0xB1));
	return _mm512_castps512_ps128(
		_mm512_permutexvar_ps(_mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0), two));
}
#endif

/* y[c] (+)= the lanes' sum of v[c] */
static inline __attribute__((always_inline)) void put_sums(float *y, const vf *v, int cols, bool add_to)
{
#if defined(__AVX512F__)
	if (cols == 4) {
		__m128 sums = sum_lanes_4(v);

		_mm_storeu_ps(y, add_to ? _mm_add_ps(_mm_loadu_ps(y), sums) : sums);
		return;
	}
#endif
	for (int c = 0; c < cols; c++)
		y[c] = (add_to ? y[c] : 0.0f) + sum_lanes(v[c]);
}

/*
 * A tile of rows x cols sums in registers; every sum runs over m in the same
 * order whatever the tile. The next tile's weights are called for meanwhile:
 * rows side by side are more streams than the hardware follows.
 */
static inline __attribute__((always_inline)) void tile(float *y, int64_t ldy, const float *x, int64_t ldx, int rows,
						       const char *w, int64_t ldw, int cols, enum dtype dtype,
						       int64_t m, bool add_to)
{
	vf sum[VEC_FEW][4] = {{{0}}};
	int64_t whole = m - m % WIDTH, size = dtype == DTYPE_F32 ? 4 : 2;

	for (int64_t i = 0; i < whole; i += WIDTH) {
		vf b[4];

		for (int c = 0; c < cols; c++) {
			b[c] = load_as(w + c * ldw, i, dtype);
			__builtin_prefetch(w + (c + cols) * ldw + i * size, 0, 2);
		}
		for (int r = 0; r < rows; r++) {
			vf a = load(x + r * ldx + i);

			for (int c = 0; c < cols; c++)
				sum[r][c] += a * b[c];
		}
	}
	for (int c = 0; whole < m && c < cols; c++) {
		vf b = load_tail(w + c * ldw, whole, m - whole, dtype);

		for (int r = 0; r < rows; r++)
			sum[r][c] += load_tail(x + r * ldx, whole, m - whole, DTYPE_F32) * b;
	}
	for (int r = 0; r < rows; r++)
		put_sums(y + r * ldy, sum[r], cols, add_to);
}

/* Tiles of at most 12 (16 registers) or 24 (32 registers) sums. */
#define TILES(name, dtype)                                                                                             \
	static void name(float *y, int64_t ldy, const float *x, int64_t ldx, int rows, const char *w, int64_t ldw,     \
			 int64_t n, int64_t m, bool add_to)                                                            \
	{                                                                                                              \
		int64_t j = 0;                                                                                         \
                                                                                                                       \
		switch (rows) {                                                                                        \
			TILE_ROWS(1, 4, dtype)                                                                         \
			TILE_ROWS(2, 4, dtype)                                                                         \
			TILE_ROWS(3, TILE_COLS(3), dtype)                                                              \
			TILE_ROWS(4, TILE_COLS(4), dtype)                                                              \
			TILE_ROWS(5, TILE_COLS(5), dtype)                                                              \
			TILE_ROWS(6, TILE_COLS(6), dtype)                                                              \
		}                                                                                                      \
	}
#ifdef __AVX512F__
#define TILE_COLS(r) 4
#else
#define TILE_COLS(r) ((r) <= 3 ? 4 : (r) == 4 ? 3 : 2)
#endif
#define TILE_ROWS(r, c, dtype)                                                                                         \
	case r:                                                                                                        \
		for (; j + (c) <= n; j += (c))                                                                         \
			tile(y + j, ldy, x, ldx, r, w + j * ldw, ldw, c, dtype, m, add_to);                            \
		for (; j < n; j++)                                                                                     \
			tile(y + j, ldy, x, ldx, r, w + j * ldw, ldw, 1, dtype, m, add_to);                            \
		break;

TILES(few_f32, DTYPE_F32)
TILES(few_bf16, DTYPE_BF16)
TILES(few_f16, DTYPE_F16)

void row_few(float *y, int64_t ldy, const float *x, int64_t ldx, int rows, const void *w, int64_t ldw, enum dtype dtype,
	     int64_t n, int64_t m, bool add_to)
{
	if (dtype == DTYPE_F32)
		few_f32(y, ldy, x, ldx, rows, w, ldw * 4, n, m, add_to);
	else if (dtype == DTYPE_BF16)
		few_bf16(y, ldy, x, ldx, rows, w, ldw * 2, n, m, add_to);
	else
		few_f16(y, ldy, x, ldx, rows, w, ldw * 2, n, m, add_to);
}
