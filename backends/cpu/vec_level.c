// SPDX-License-Identifier: Apache-2.0
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "backends/cpu/vec.h"

#include <stddef.h>

#ifndef HAVE_VEC_AVX2
#define HAVE_VEC_AVX2 0
#endif
#ifndef HAVE_VEC_AVX512
#define HAVE_VEC_AVX512 0
#endif

extern const struct vec vec_base;
#if HAVE_VEC_AVX2
extern const struct vec vec_avx2;
#endif
#if HAVE_VEC_AVX512
extern const struct vec vec_avx512;
#endif

bool vec_usable(enum vec_level level)
{
#if HAVE_VEC_AVX512
	if (level == VEC_LEVEL_AVX512)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
		       vec_usable(VEC_LEVEL_AVX2);
#endif
#if HAVE_VEC_AVX2
	if (level == VEC_LEVEL_AVX2) /* no CPU has AVX2 without F16C, which old compilers cannot ask for */
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
	return level == VEC_LEVEL_BASE;
}

const struct vec *vec_at(enum vec_level level)
{
	if (!vec_usable(level))
		return NULL;
#if HAVE_VEC_AVX512
	if (level == VEC_LEVEL_AVX512)
		return &vec_avx512;
#endif
#if HAVE_VEC_AVX2
	if (level == VEC_LEVEL_AVX2)
		return &vec_avx2;
#endif
	return &vec_base;
}

const struct vec *vec_choose(void)
{
	for (int level = VEC_LEVEL_COUNT - 1; level > VEC_LEVEL_BASE; level--)
		if (vec_usable((enum vec_level)level))
			return vec_at((enum vec_level)level);
	return &vec_base;
}
