// SPDX-License-Identifier: Apache-2.0
/*
 * vec_attention.h - flash attention of one tile, compiled once per CPU level.
 *
 * A tile is up to ATTN_LANES (query, head) rows that read the same key head,
 * one row per lane of a vector. Scores are kept transposed, keys x lanes, so
 * that softmax works lane by lane, and the five products of forward and
 * backward are one: a broadcast element of K, V or a score times a row of
 * lanes or of D. K and V are read where they lie.
 *
 * Own products, not the library's: no packing of K and V for each tile, rows
 * may lie in pages, and keys that no lane sees are left out; 1.5 to 2 times as
 * fast as calls of sgemm for D = 64.
 */
#ifndef BALDISTILL_BACKENDS_OPENBLAS_VEC_ATTENTION_H
#define BALDISTILL_BACKENDS_OPENBLAS_VEC_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

enum { ATTN_LANES = 64, ATTN_KEYS = 96 /* keys of a block of scores */ };

/* Keys of one kind: of the prefix, or the segment's own. Ranges exclude their end. */
struct attn_keys {
	int64_t row;                /* of key 0; without pages */
	const int32_t *pages;       /* NULL: key j lies in row + j */
	int64_t page_size;
	int64_t begin, end;         /* some lane sees these */
	int64_t all_begin, all_end; /* every lane sees these */
	int32_t lane_begin[ATTN_LANES], lane_end[ATTN_LANES];
};

struct attn_tile {
	int lanes, head_dim;
	float scale;
	struct attn_keys keys[2];         /* prefix, own */
	const float *k, *v;               /* row 0, at the key head's first column */
	int64_t ld_k, ld_v;
	float *q[ATTN_LANES];             /* rows of D, one per lane, the last one's in unused lanes; only read */
	float *o[ATTN_LANES];             /* written by the forward, read by the backward */
	float *lse[ATTN_LANES];           /* one number; in the forward all may be NULL */
	float *d_o[ATTN_LANES];           /* backward from here on; only read */
	float *dq[ATTN_LANES];            /* written */
	float *dk, *dv;                   /* added to; as k and v */
	int64_t ld_dk, ld_dv;
};

/* Floats of scratch, 64-byte aligned, that either function wants. */
static inline size_t attn_tile_scratch(int64_t head_dim)
{
	return (size_t)((head_dim * 5 + ATTN_KEYS * 2 + 4) * ATTN_LANES);
}

struct vec_attention {
	void (*forward)(const struct attn_tile *tile, float *scratch);
	void (*backward)(const struct attn_tile *tile, float *scratch);
};

#endif
