// SPDX-License-Identifier: Apache-2.0
/*
 * vec_parts.h - those of struct vec that lie outside vec.c, by the names of
 * the CPU level; described there. Included only by vec*.c.
 */
#ifndef BALDISTILL_BACKENDS_CPU_VEC_PARTS_H
#define BALDISTILL_BACKENDS_CPU_VEC_PARTS_H

#include "backends/cpu/vec.h"

/* vec.c */
#define row_expand VEC_NAME(row_expand)
void row_expand(float *y, const void *x, enum dtype dtype, int64_t n);
#define row_dot VEC_NAME(row_dot)
float row_dot(const float *x, const float *y, int64_t n);

/* vec_few.c */
#define row_few VEC_NAME(row_few)
void row_few(float *y, int64_t ldy, const float *x, int64_t ldx, int rows, const void *w, int64_t ldw, enum dtype dtype,
	     int64_t n, int64_t m, bool add);

/* vec_layer.c */
#define row_rmsnorm VEC_NAME(row_rmsnorm)
void row_rmsnorm(float *y, const float *x, const float *w, float eps, int64_t n);
#define row_rmsnorm_backward VEC_NAME(row_rmsnorm_backward)
void row_rmsnorm_backward(float *dx, float *dw, const float *dy, const float *x, const float *w, float eps, int64_t n);
#define row_rope VEC_NAME(row_rope)
void row_rope(float *x, const float *cos, const float *sin, int64_t heads, int64_t head_dim, bool inverse);
#define row_swiglu VEC_NAME(row_swiglu)
void row_swiglu(float *y, const float *g, const float *u, int64_t n);
#define row_swiglu_backward VEC_NAME(row_swiglu_backward)
void row_swiglu_backward(float *y, float *dg, float *du, const float *dy, const float *g, const float *u, int64_t n);

/* vec_dropout.c */
#define row_dropout VEC_NAME(row_dropout)
void row_dropout(float *y, const float *x, int64_t n, const struct vec_mask *mask);
#define row_dropout_add VEC_NAME(row_dropout_add)
void row_dropout_add(float *sum, const float *t, int64_t n, const struct vec_mask *mask);
#define row_dropout_both VEC_NAME(row_dropout_both)
void row_dropout_both(float *y, const float *x, float *sum, const float *t, int64_t n, const struct vec_mask *mask);

/* vec_low_rank.c */
#define row_rank_expand VEC_NAME(row_rank_expand)
void row_rank_expand(float *y, int64_t ldy, const float *s, int64_t lds, const float *b, int64_t ldb, int64_t rank,
		     int64_t rows, int64_t n);
#define row_rank_outer VEC_NAME(row_rank_outer)
void row_rank_outer(float *out, int64_t ldo, const float *g, int64_t ldg, const float *x, int64_t ldx, int64_t rank,
		    int64_t rows, int64_t n);

#endif
