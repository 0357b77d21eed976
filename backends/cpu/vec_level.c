// SPDX-License-Identifier: Apache-2.0
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "backends/cpu/pieces.h"
#include "backends/cpu/vec.h"
#include "backends/cpu/vec_attention.h"

#include <stddef.h>
#if HAVE_VEC_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

#if HAVE_VEC_AMX
extern const struct pieces pieces_amx;
extern const struct vec_attention vec_attention_amx;

/* Intel SDM, CPUID leaf 7: AMX-BF16 and AMX-TILE are bits 22 and 24 of EDX, AVX512_BF16 of subleaf 1 is bit 5 of EAX. */
static bool has_amx(void)
{
	unsigned a, b, c, d, a1, b1, c1, d1;

	return vec_usable(VEC_LEVEL_AVX512) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) &&
	       (d >> 24 & 1) && __get_cpuid_count(7, 1, &a1, &b1, &c1, &d1) && (a1 >> 5 & 1);
}

/* Linux, arch_prctl(2): a process asks for the tiles before it uses them. */
static bool tiles_granted(void)
{
	enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };

	return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static bool amx_usable(void)
{
	return has_amx() && tiles_granted();
}

const struct vec_attention *vec_attention_bf16(void)
{
	return amx_usable() ? &vec_attention_amx : NULL;
}

const struct pieces *pieces_bf16(void)
{
	return amx_usable() ? &pieces_amx : NULL;
}
#else
const struct vec_attention *vec_attention_bf16(void)
{
	return NULL;
}

const struct pieces *pieces_bf16(void)
{
	return NULL;
}
#endif
