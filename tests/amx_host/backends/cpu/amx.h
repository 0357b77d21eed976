// SPDX-License-Identifier: Apache-2.0
/* amx.h - backends/cpu/amx.h in plain C: tiles in memory, one set per thread; a tile that no shape names does not exist. */
#ifndef BALDISTILL_BACKENDS_CPU_AMX_H
#define BALDISTILL_BACKENDS_CPU_AMX_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

struct amx_shapes {
	uint8_t palette, start_row, zero[14];
	uint16_t bytes[16];
	uint8_t rows[16];
};

/* Of the thread, whatever file asks; weak: each that includes this has them. */
_Thread_local struct amx_shapes amx_now __attribute__((weak));
_Thread_local uint32_t amx_tiles[8][16][16] __attribute__((weak));

static inline void amx_begin(const struct amx_shapes *shapes)
{
	assert(shapes->palette == 1 && sizeof *shapes == 64);
	amx_now = *shapes;
	memset(amx_tiles, 0, sizeof amx_tiles);
}

static inline void amx_end(void)
{
	amx_now = (struct amx_shapes){0};
}

static inline void amx_zero(int tile)
{
	assert(amx_now.rows[tile]);
	memset(amx_tiles[tile], 0, sizeof amx_tiles[tile]);
}

static inline void amx_load(int tile, const void *at, int64_t stride)
{
	amx_zero(tile);
	for (int i = 0; i < amx_now.rows[tile]; i++)
		memcpy(amx_tiles[tile][i], (const char *)at + i * stride, amx_now.bytes[tile]);
}

static inline void amx_store(int tile, void *at, int64_t stride)
{
	assert(amx_now.rows[tile]);
	for (int i = 0; i < amx_now.rows[tile]; i++)
		memcpy((char *)at + i * stride, amx_tiles[tile][i], amx_now.bytes[tile]);
}

static inline float amx_float(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

static inline uint32_t amx_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static inline void amx_product(int c, int a, int b)
{
	assert(amx_now.rows[c] == amx_now.rows[a] && amx_now.bytes[c] == amx_now.bytes[b]);
	assert(amx_now.rows[b] * 4 == amx_now.bytes[a] && amx_now.rows[c] && amx_now.bytes[c]);
	for (int i = 0; i < amx_now.rows[c]; i++)
		for (int p = 0; p < amx_now.rows[b]; p++)
			for (int j = 0; j < amx_now.bytes[c] / 4; j++) {
				uint32_t left = amx_tiles[a][i][p], right = amx_tiles[b][p][j];
				float sum = amx_float(amx_tiles[c][i][j]);

				sum += amx_float(left << 16) * amx_float(right << 16);
				sum += amx_float(left & 0xffff0000u) * amx_float(right & 0xffff0000u);
				amx_tiles[c][i][j] = amx_bits(sum);
			}
}

/* To the nearest, ties to even, and to infinity; a NaN stays one. */
static inline uint32_t amx_bf16(float value)
{
	uint32_t bits = amx_bits(value);

	return value != value ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static inline void amx_round_row(uint32_t y[16], const float *x, int64_t n)
{
	for (int i = 0; i < 16; i++)
		y[i] = (2 * i < n ? amx_bf16(x[2 * i]) : 0) | (2 * i + 1 < n ? amx_bf16(x[2 * i + 1]) : 0) << 16;
}

static inline void amx_round_pair(uint32_t y[16], const float *a, int64_t na, const float *b, int64_t nb)
{
	for (int64_t j = 0; j < 16; j++)
		y[j] = (j < na ? amx_bf16(a[j]) : 0) | (j < nb ? amx_bf16(b[j]) : 0) << 16;
}

#endif
