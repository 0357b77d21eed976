// SPDX-License-Identifier: Apache-2.0
/*
 * vec_width.h - vectors as wide as the CPU level has them. Included only by vec*.c.
 */
#ifndef BALDISTILL_BACKENDS_CPU_VEC_WIDTH_H
#define BALDISTILL_BACKENDS_CPU_VEC_WIDTH_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
enum { WIDTH = 16 };
#elif defined(__AVX2__)
enum { WIDTH = 8 };
#else
enum { WIDTH = 4 };
#endif

typedef float vf __attribute__((vector_size(WIDTH * 4)));
typedef uint32_t vu __attribute__((vector_size(WIDTH * 4)));

/* Elements of a and b put together, by number: those of b follow those of a. */
#if defined(__clang__) || __GNUC__ >= 12
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (int32_t __attribute__((vector_size(sizeof(a))))){__VA_ARGS__})
#endif

static inline vf load(const float *x)
{
	vf v;

	memcpy(&v, x, sizeof v);
	return v;
}

static inline void store(float *y, vf v)
{
	memcpy(y, &v, sizeof v);
}

#endif
