// SPDX-License-Identifier: Apache-2.0
/*
 * vec.h - vector code of the CPU backends.
 *
 * vec.c and its parts (vec_parts.h; vec_attention.h and vec_head.h have tables
 * of their own) are compiled once per CPU level with -DVEC_LEVEL=base, avx2 or
 * avx512 and the level's flags, and export one table named VEC_NAME(vec), that
 * is vec_base, vec_avx2, vec_avx512. The level is chosen once, at open, by
 * CPUID.
 *
 *     const struct vec *vec = vec_choose();
 *     vec->rmsnorm(y, x, w, eps, n);
 *
 * All functions work on one row of n contiguous elements and start no threads.
 * Outputs come first; an output may be an input where nothing else is said.
 */
#ifndef BALDISTILL_BACKENDS_CPU_VEC_H
#define BALDISTILL_BACKENDS_CPU_VEC_H

#include <stdbool.h>
#include <stdint.h>

#include "reference/kernel.h"
#include "reference/philox.h"

#define VEC_PASTE(name, level) name##_##level
#define VEC_EXPAND(name, level) VEC_PASTE(name, level)
#define VEC_NAME(name) VEC_EXPAND(name, VEC_LEVEL)

enum vec_level { VEC_LEVEL_BASE, VEC_LEVEL_AVX2, VEC_LEVEL_AVX512, VEC_LEVEL_COUNT };

/* The mask of one row of a dropout stream: a feature is kept where its word >= threshold, then times keep. */
struct vec_mask {
	struct philox_key key;
	uint64_t row;
	uint32_t first;     /* a quarter of x[0]'s feature, which is a multiple of 4 */
	uint32_t threshold; /* dropout_threshold(p) */
	float keep;         /* 1 / (1 - p) */
};

/* Constants of an AdamW step, from `hyper` and the norm. */
struct vec_adamw {
	float clip;                        /* factor of g */
	float decay;                       /* factor of p: 1 - lr * weight decay */
	float beta1, beta2, eps;
	float rate;                        /* lr / correction1 */
	float root2;                       /* 1 / sqrt(correction2) */
};

struct vec {
	enum vec_level level;
	const char *name;

	/* f32 from f32, bf16 or f16, and back, to the nearest, ties to even; a NaN stays one. */
	void (*expand)(float *y, const void *x, enum dtype dtype, int64_t n);
	void (*narrow)(void *y, enum dtype dtype, const float *x, int64_t n);

	/* y = x + y, y += a * x, y *= a, sum of x^2 */
	void (*add)(float *y, const float *x, int64_t n);
	void (*axpy)(float *y, float a, const float *x, int64_t n);
	void (*scale)(float *y, float a, int64_t n);
	double (*sum_squares)(const float *x, int64_t n);

	/* y[r * ldy + j] (+)= sum over m of x[r * ldx + m] * w[j * ldw + m]; 1 <= rows <= VEC_FEW; w in `dtype` */
	void (*few)(float *y, int64_t ldy, const float *x, int64_t ldx, int rows, const void *w, int64_t ldw,
		    enum dtype dtype, int64_t n, int64_t m, bool add);

	/* y = w * x / sqrt(mean(x^2) + eps) */
	void (*rmsnorm)(float *y, const float *x, const float *w, float eps, int64_t n);
	/* dx += J^T dy, dw += dy * x / rms; either may be NULL */
	void (*rmsnorm_backward)(float *dx, float *dw, const float *dy, const float *x, const float *w, float eps,
				 int64_t n);
	/* In place, `heads` heads of head_dim; cos, sin [head_dim / 2] */
	void (*rope)(float *x, const float *cos, const float *sin, int64_t heads, int64_t head_dim, bool inverse);

	/* y = silu(g) * u */
	void (*swiglu)(float *y, const float *g, const float *u, int64_t n);
	/* y = silu(g) * u (NULL: not wanted), dg = dy * u * silu'(g), du = dy * silu(g); y may be dy, dg g, du u */
	void (*swiglu_backward)(float *y, float *dg, float *du, const float *dy, const float *g, const float *u,
				int64_t n);

	/* With the mask's 0 or `keep`: y = mask * x; sum += mask * t; both */
	void (*dropout)(float *y, const float *x, int64_t n, const struct vec_mask *mask);
	void (*dropout_add)(float *sum, const float *t, int64_t n, const struct vec_mask *mask);
	void (*dropout_both)(float *y, const float *x, float *sum, const float *t, int64_t n,
			     const struct vec_mask *mask);

	/* Small ranks: y[rows, n] += s[rows, rank] b[rank, n];  out[rank, n] += g[rows, rank]^T x[rows, n] */
	void (*rank_expand)(float *y, int64_t ldy, const float *s, int64_t lds, const float *b, int64_t ldb,
			    int64_t rank, int64_t rows, int64_t n);
	void (*rank_outer)(float *out, int64_t ldo, const float *g, int64_t ldg, const float *x, int64_t ldx,
			   int64_t rank, int64_t rows, int64_t n);

	/* One AdamW step of n parameters; shadow may be NULL */
	void (*adamw)(float *p, float *m, float *v, void *shadow, enum dtype dtype, const float *g, int64_t n,
		      const struct vec_adamw *step);
};

/* Most rows of `few`. */
#define VEC_FEW 6

/* The best table this CPU runs, and the table of one level: NULL where not compiled in or not run here. */
const struct vec *vec_choose(void);
const struct vec *vec_at(enum vec_level level);

/* "avx512" compiled in and run by this CPU? For tables beside struct vec. */
bool vec_usable(enum vec_level level);

#endif
