// SPDX-License-Identifier: Apache-2.0
/*
 * philox.h - the one random generator: counter-based, the same bits on every
 * machine, on host and device.
 *
 * Philox 4x32-10 of Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As
 * Easy as 1, 2, 3", SC 2011: a 128-bit counter and a 64-bit key give four
 * 32-bit words. Nothing is carried from one number to the next, so a number
 * depends on what it is for, never on who asked first.
 *
 * Two levels. A stream key is Philox of (seed; what, a, b, c); words of the
 * stream are Philox of (stream key; counter):
 *
 *   dropout  stream (seed; DROPOUT, step, layer, module), counter (feature / 4, row key): the word feature % 4
 *   sample   stream (seed; SAMPLE, 0, 0, 0),              counter (position, row id):     words 0 and 1
 *   others   stream (seed; INIT or SHUFFLE, a, b, c),     counter (index, 0)
 *
 * A feature is kept where its word >= p * 2^32 and then multiplied by
 * 1 / (1 - p). A row key names a token: row_key(example, position) for tokens
 * of an example, the position alone for tokens of a shared instruction prefix,
 * whatever the packing.
 */
#ifndef BALDISTILL_REFERENCE_PHILOX_H
#define BALDISTILL_REFERENCE_PHILOX_H

#include <stdint.h>

#ifdef __CUDACC__
#define PHILOX_INLINE static __host__ __device__ __forceinline__
#else
#define PHILOX_INLINE static inline
#endif

enum philox_stream { PHILOX_DROPOUT = 1, PHILOX_SAMPLE = 2, PHILOX_INIT = 3, PHILOX_SHUFFLE = 4 };

struct philox_key {
	uint32_t k[2];
};

struct philox_words {
	uint32_t w[4];
};

/* Ten rounds: multipliers and Weyl constants of the paper. */
PHILOX_INLINE struct philox_words philox4x32(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, struct philox_key key)
{
	for (int round = 0; round < 10; round++) {
		uint64_t even = (uint64_t)0xD2511F53u * c0, odd = (uint64_t)0xCD9E8D57u * c2;
		uint32_t n0 = (uint32_t)(odd >> 32) ^ c1 ^ key.k[0];
		uint32_t n2 = (uint32_t)(even >> 32) ^ c3 ^ key.k[1];
		c0 = n0;
		c1 = (uint32_t)odd;
		c2 = n2;
		c3 = (uint32_t)even;
		key.k[0] += 0x9E3779B9u;
		key.k[1] += 0xBB67AE85u;
	}
	struct philox_words out = {{c0, c1, c2, c3}};
	return out;
}

/* The key of one stream of a seed. */
PHILOX_INLINE struct philox_key philox_stream(uint64_t seed, enum philox_stream what, uint32_t a, uint32_t b, uint32_t c)
{
	struct philox_key key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
	struct philox_words words = philox4x32((uint32_t)what, a, b, c, key);
	struct philox_key stream = {{words.w[0], words.w[1]}};
	return stream;
}

/* Four words of a stream at (index, row); feature i of a row has word i % 4 at index i / 4. */
PHILOX_INLINE struct philox_words philox_at(struct philox_key stream, uint32_t index, uint64_t row)
{
	return philox4x32(index, (uint32_t)row, (uint32_t)(row >> 32), 0, stream);
}

/* The row key of a token: example from 0, below 2^32 - 1; position from 0 within its row. */
PHILOX_INLINE uint64_t row_key(uint32_t example, uint32_t position)
{
	return ((uint64_t)example + 1) << 32 | position;
}

/* The smallest word that is kept: p * 2^32, p in [0, 1). */
PHILOX_INLINE uint32_t dropout_threshold(float p)
{
	return (uint32_t)((double)p * 4294967296.0);
}

/* A uniform number in [0, 1) with 53 bits from words 0 and 1. */
PHILOX_INLINE double philox_uniform(struct philox_words words)
{
	return (double)((uint64_t)(words.w[0] >> 5) << 26 | words.w[1] >> 6) * (1.0 / 9007199254740992.0);
}

#endif
