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

#include "backends/cpu/vec_math.h"

#if defined(__AVX512F__)
enum { WIDTH = 16 };
#elif defined(__AVX2__)
enum { WIDTH = 8 };
#else
enum { WIDTH = 4 };
#endif

typedef float vf __attribute__((vector_size(WIDTH * 4)));
typedef uint32_t vu __attribute__((vector_size(WIDTH * 4)));
typedef uint16_t vh __attribute__((vector_size(WIDTH * 2)));

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

/* ---- conversions -------------------------------------------------------- */

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

static void expand(float *y, const void *x, enum dtype dtype, int64_t n)
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

static float dot(const float *x, const float *y, int64_t n)
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

/* ---- products of few rows ------------------------------------------------ */

static inline __attribute__((always_inline)) vf load(const void *x, int64_t i, enum dtype dtype)
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

	expand(part, (const char *)x + (size_t)i * (dtype == DTYPE_F32 ? 4 : 2), dtype, n);
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
	return _mm512_castps512_ps128(_mm512_permutexvar_ps(_mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0), two));
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
			b[c] = load(w + c * ldw, i, dtype);
			__builtin_prefetch(w + (c + cols) * ldw + i * size, 0, 2);
		}
		for (int r = 0; r < rows; r++) {
			vf a = load(x + r * ldx, i, DTYPE_F32);

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
	static void name(float *y, int64_t ldy, const float *x, int64_t ldx, int rows, const char *w, int64_t ldw,    \
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

static void few(float *y, int64_t ldy, const float *x, int64_t ldx, int rows, const void *w, int64_t ldw,
		enum dtype dtype, int64_t n, int64_t m, bool add_to)
{
	if (dtype == DTYPE_F32)
		few_f32(y, ldy, x, ldx, rows, w, ldw * 4, n, m, add_to);
	else if (dtype == DTYPE_BF16)
		few_bf16(y, ldy, x, ldx, rows, w, ldw * 2, n, m, add_to);
	else
		few_f16(y, ldy, x, ldx, rows, w, ldw * 2, n, m, add_to);
}

/* ---- rows of a layer ------------------------------------------------------ */

static float inverse_rms(const float *x, float eps, int64_t n)
{
	return 1.0f / sqrtf(dot(x, x, n) / (float)n + eps);
}

static void rmsnorm(float *y, const float *x, const float *w, float eps, int64_t n)
{
	float inverse = inverse_rms(x, eps, n);

#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		y[i] = w[i] * (x[i] * inverse);
}

/* With s = 1 / rms: dx = s w dy - x s^3 / n sum(w dy x) */
static void rmsnorm_backward(float *dx, float *dw, const float *dy, const float *x, const float *w, float eps,
			     int64_t n)
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

static void rope(float *x, const float *cos_row, const float *sin_row, int64_t heads, int64_t head_dim, bool inverse)
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

static void swiglu(float *y, const float *g, const float *u, int64_t n)
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

static void swiglu_backward(float *y, float *dg, float *du, const float *dy, const float *g, const float *u,
			    int64_t n)
{
	if (y)
		swiglu_rows(y, dg, du, dy, g, u, n);
	else
		swiglu_rows(NULL, dg, du, dy, g, u, n);
}

/* ---- dropout -------------------------------------------------------------- */

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
	out[0] = (vu)__builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
	out[1] = (vu)__builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
#elif defined(__AVX2__)
	out[0] = (vu)__builtin_shufflevector(a, b, 0, 4, 2, 6);
	out[1] = (vu)__builtin_shufflevector(a, b, 1, 5, 3, 7);
#else
	out[0] = (vu)__builtin_shufflevector(a, b, 0, 2);
	out[1] = (vu)__builtin_shufflevector(a, b, 1, 3);
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
			vf out = (vf)(kept & (vu)(load(x, i * WIDTH, DTYPE_F32) * mask->keep));

			memcpy(y + i * WIDTH, &out, sizeof out);
		}
		if (keep_sum) {
			vf out = load(sum, i * WIDTH, DTYPE_F32) +
				 (vf)(kept & (vu)(load(t, i * WIDTH, DTYPE_F32) * mask->keep));

			memcpy(sum + i * WIDTH, &out, sizeof out);
		}
	}
}

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

static void dropout(float *y, const float *x, int64_t n, const struct vec_mask *mask)
{
	drop(y, x, NULL, NULL, n, mask, true, false);
}

static void dropout_add(float *sum, const float *t, int64_t n, const struct vec_mask *mask)
{
	drop(NULL, NULL, sum, t, n, mask, false, true);
}

static void dropout_both(float *y, const float *x, float *sum, const float *t, int64_t n, const struct vec_mask *mask)
{
	drop(y, x, sum, t, n, mask, true, true);
}

/* ---- low rank -------------------------------------------------------------- */

static inline void store(float *y, vf v)
{
	memcpy(y, &v, sizeof v);
}

enum {
	RANKS = 8,          /* rows of out at a time */
	FULL = WIDTH == 16, /* registers for twice the tiles */
};

/*
 * Both low-rank products, y += a b with few rows of y at a time: y[R,n] += s[R,r] b[r,n], and its transpose's
 * out[r,n] += g[R,r]^T x[R,n]. Element (i, k) of a is a[i * row + k * col], one of the strides 1.
 */

/* A tile of rows x cols vectors of y, depth products each. */
static inline __attribute__((always_inline)) void outer_tile(float *y, int64_t ldy, const float *a, int64_t row,
							     int64_t col, const float *b, int64_t ldb, int64_t depth,
							     int rows, int cols)
{
	vf sum[RANKS][4];

	for (int r = 0; r < rows; r++)
		for (int c = 0; c < cols; c++)
			sum[r][c] = load(y + r * ldy, c * WIDTH, DTYPE_F32);
	for (int64_t k = 0; k < depth; k++)
		for (int c = 0; c < cols; c++) {
			vf part = load(b + k * ldb, c * WIDTH, DTYPE_F32);

			for (int r = 0; r < rows; r++)
				sum[r][c] += part * a[r * row + k * col];
		}
	for (int r = 0; r < rows; r++)
		for (int c = 0; c < cols; c++)
			store(y + r * ldy + c * WIDTH, sum[r][c]);
}

/* `rows` rows of y in tiles of `wide` vectors, then of one, then element by element. */
static inline __attribute__((always_inline)) void outer_rows(float *y, int64_t ldy, const float *a, int64_t row,
							     int64_t col, const float *b, int64_t ldb, int64_t depth,
							     int64_t n, int rows, int wide)
{
	int64_t j = 0;

	for (; j + wide * WIDTH <= n; j += wide * WIDTH)
		outer_tile(y + j, ldy, a, row, col, b + j, ldb, depth, rows, wide);
	for (; j + WIDTH <= n; j += WIDTH)
		outer_tile(y + j, ldy, a, row, col, b + j, ldb, depth, rows, 1);
	for (; j < n; j++)
		for (int r = 0; r < rows; r++)
			for (int64_t k = 0; k < depth; k++)
				y[r * ldy + j] += a[r * row + k * col] * b[k * ldb + j];
}

static void rank_expand(float *y, int64_t ldy, const float *s, int64_t lds, const float *b, int64_t ldb, int64_t rank,
			int64_t rows, int64_t n)
{
	int64_t t = 0;

	for (; t + 4 <= rows; t += 4)
		outer_rows(y + t * ldy, ldy, s + t * lds, lds, 1, b, ldb, rank, n, 4, FULL ? 4 : 2);
	for (; t < rows; t++)
		outer_rows(y + t * ldy, ldy, s + t * lds, lds, 1, b, ldb, rank, n, 1, FULL ? 4 : 2);
}

static void rank_outer(float *out, int64_t ldo, const float *g, int64_t ldg, const float *x, int64_t ldx, int64_t rank,
		       int64_t rows, int64_t n)
{
	int64_t k = 0;

	for (; k + RANKS <= rank; k += RANKS)
		outer_rows(out + k * ldo, ldo, g + k, 1, ldg, x, ldx, rows, n, RANKS, FULL ? 2 : 1);
	for (; k < rank; k++)
		outer_rows(out + k * ldo, ldo, g + k, 1, ldg, x, ldx, rows, n, 1, FULL ? 2 : 1);
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
	.expand = expand,
	.narrow = narrow,
	.add = add,
	.axpy = axpy,
	.scale = scale,
	.dot = dot,
	.sum_squares = sum_squares,
	.few = few,
	.rmsnorm = rmsnorm,
	.rmsnorm_backward = rmsnorm_backward,
	.rope = rope,
	.swiglu = swiglu,
	.swiglu_backward = swiglu_backward,
	.dropout = dropout,
	.dropout_add = dropout_add,
	.dropout_both = dropout_both,
	.rank_expand = rank_expand,
	.rank_outer = rank_outer,
	.adamw = adamw,
};
