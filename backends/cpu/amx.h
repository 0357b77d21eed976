// SPDX-License-Identifier: Apache-2.0
/*
 * amx.h - AMX's eight tiles of 16 rows of 64 bytes, and what fills them.
 *
 *     struct amx_shapes shapes = {.palette = 1, .bytes = {…}, .rows = {…}};
 *     amx_begin(&shapes);                  // all tiles are zero now
 *     amx_load(4, a, 64); amx_load(6, b, 64);
 *     amx_product(0, 4, 6);                // tile 0 += tile 4 * tile 6
 *     amx_store(0, c, stride);
 *     amx_end();
 *
 * A tile of bf16 holds dwords of two: those of the left operand lie side by
 * side in its row, those of the right one below each other in its column.
 * The compilers' own intrinsics do not say that they read memory; these do.
 * tests/amx_host has the same in plain C.
 */
#ifndef BALDISTILL_BACKENDS_CPU_AMX_H
#define BALDISTILL_BACKENDS_CPU_AMX_H

#include <immintrin.h>
#include <stdint.h>

struct amx_shapes {
	uint8_t palette, start_row, zero[14];
	uint16_t bytes[16]; /* of a row */
	uint8_t rows[16];
};

#define amx_begin(shapes) __asm__ volatile("ldtilecfg %0" : : "m"(*(shapes)))
#define amx_end()         __asm__ volatile("tilerelease")
#define amx_zero(tile)    __asm__ volatile("tilezero %%tmm" #tile : :)
#define amx_load(tile, at, stride)                                                                                     \
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile : : "r"(at), "r"((int64_t)(stride)) : "memory")
#define amx_store(tile, at, stride)                                                                                    \
	__asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r"(at), "r"((int64_t)(stride)) : "memory")
#define amx_product(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

/* The first n of 16 floats, then zeros. */
static inline __m512 amx_floats(const float *x, int64_t n)
{
	const unsigned given = n >= 16 ? 0xffff : n > 0 ? (1u << n) - 1 : 0;

	return _mm512_maskz_loadu_ps((__mmask16)given, x);
}

/* y[i] = bf16 of x[2 i] and x[2 i + 1]; zero from x[n] on */
static inline void amx_round_row(uint32_t y[16], const float *x, int64_t n)
{
	_mm512_storeu_si512(y, (__m512i)_mm512_cvtne2ps_pbh(amx_floats(x + 16, n - 16), amx_floats(x, n)));
}

/* y[j] = bf16 of a[j] and b[j]; zero from a's column na on and from b's column nb on */
static inline void amx_round_pair(uint32_t y[16], const float *a, int64_t na, const float *b, int64_t nb)
{
	const __m512i mix =
		_mm512_set_epi32(0x1f000f, 0x1e000e, 0x1d000d, 0x1c000c, 0x1b000b, 0x1a000a, 0x190009, 0x180008,
				 0x170007, 0x160006, 0x150005, 0x140004, 0x130003, 0x120002, 0x110001, 0x100000);
	__m512i both = (__m512i)_mm512_cvtne2ps_pbh(amx_floats(b, nb), amx_floats(a, na));

	_mm512_storeu_si512(y, _mm512_permutexvar_epi16(mix, both));
}

#endif
