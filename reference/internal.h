// SPDX-License-Identifier: Apache-2.0
/*
 * internal.h - private to reference/: how elements are read and written.
 *
 * `real` is what DTYPE_F32 stores: float in the program; double in the second
 * build (REFERENCE_DOUBLE) that finite differences are taken in. Arithmetic is
 * double in both.
 */
#ifndef BALDISTILL_REFERENCE_INTERNAL_H
#define BALDISTILL_REFERENCE_INTERNAL_H

#include <string.h>

#include "reference/check.h"
#include "reference/kernel.h"

#ifdef REFERENCE_DOUBLE
typedef double real;
#else
typedef float real;
#endif

/* convert.c: `count` elements of row i from column j on; one element back; a row . b row; sum += factor * row i. */
void ref_load(double *out, struct view v, int64_t i, int64_t j, int64_t count);
void ref_put(struct view v, int64_t i, int64_t j, double value);
double ref_dot(struct view a, int64_t i, struct view b, int64_t j, int64_t n);
void ref_add_scaled(double *sum, struct view x, int64_t i, double factor);

/* bf16 is the upper half of an f32. */
static inline double ref_decode_bf16(uint16_t bits)
{
	uint32_t word = (uint32_t)bits << 16;
	float f;
	memcpy(&f, &word, sizeof f);
	return (double)f;
}

/* One element; inline, as most loops ask for theirs one by one. */
static inline double ref_get(struct view v, int64_t i, int64_t j)
{
	const int64_t at = v.offset + i * v.ld + j;
	double x;
	if (v.dtype == DTYPE_F32)
		return (double)((const real *)v.buffer->data)[at];
	if (v.dtype == DTYPE_BF16)
		return ref_decode_bf16(((const uint16_t *)v.buffer->data)[at]);
	ref_load(&x, v, i, j, 1);
	return x;
}

/* Element j of a one-row index array. */
static inline int32_t ref_i32(struct view v, int64_t j)
{
	return ((const int32_t *)view_row(v, 0))[j];
}

static inline uint64_t ref_u64(struct view v, int64_t j)
{
	return ((const uint64_t *)view_row(v, 0))[j];
}

/* A block of reals in the scratch; absent, with a failure kept, where it is too small. */
struct view ref_scratch(struct device *dev, const char *op, int64_t rows, int64_t cols);

/* The next rows x cols reals of a `saved` area; *at counts bytes from its start. */
struct view ref_carve(struct view saved, size_t *at, int64_t rows, int64_t cols);

/* Bytes that ref_scratch or ref_carve take for n reals. */
size_t ref_bytes(int64_t n);

/* table.c puts these together. */
#define REF_FILE(file) void ref_table_##file(struct kernels *table)
REF_FILE(memory);
REF_FILE(sizes);
REF_FILE(norm);
REF_FILE(linear);
REF_FILE(lora);
REF_FILE(rope);
REF_FILE(pointwise);
REF_FILE(attention);
REF_FILE(layer);
REF_FILE(loss);
REF_FILE(sample);
REF_FILE(optim);
#undef REF_FILE

#endif
