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
 * Own products, not the library's: nothing is packed for a tile, rows may lie
 * in pages, keys that no lane sees are left out, and at these sizes they run
 * 1.3 to 1.5 times as fast as sgemm.
 *
 * On AMX's tiles, in bf16, another lays its operands out: vec_attention_amx.c.
 */
#ifndef BALDISTILL_BACKENDS_CPU_VEC_ATTENTION_H
#define BALDISTILL_BACKENDS_CPU_VEC_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ATTN_LANES = 64,
	ATTN_NARROW = 8, /* most rows of a tile whose vectors hold keys instead: decoding */
	ATTN_KEYS = 96   /* keys of a block of scores */
};

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
	int heads, kv_heads;              /* key heads done at once, 1 but for narrow tiles; of the model */
	float scale;
	struct attn_keys keys[2];         /* prefix, own */
	bool same_keys;                   /* as the tile before in this scratch: segment and key head */
	const float *k, *v;               /* row 0, at the key head's first column */
	const uint16_t *k_half, *v_half;  /* in place of them, in bf16; forward alone, where reads_half */
	int64_t ld_k, ld_v;
	int64_t next_row;                 /* elements from a row of q or o to that of the next key head */
	float *q[ATTN_LANES];             /* rows of D, one per lane, the last one's in unused lanes; only read */
	float *o[ATTN_LANES];             /* written by the forward, read by the backward */
	float *lse[ATTN_LANES];           /* one number; in the forward all may be NULL */
	float *d_o[ATTN_LANES];           /* backward from here on; only read */
	float *dq[ATTN_LANES];            /* written */
	float *dk, *dv;                   /* added to; as k and v */
	int64_t ld_dk, ld_dv;
};

/* Floats of scratch of the levels' own. */
static inline size_t attn_tile_scratch(int64_t heads, int64_t head_dim)
{
	return (size_t)((head_dim * 5 + ATTN_KEYS * 2 + 4) * ATTN_LANES + ATTN_NARROW * heads * (head_dim + 2));
}

struct vec_attention {
	/* Floats, a multiple of 16, of scratch, 64-byte aligned, that either function wants of a model with H heads. */
	size_t (*scratch)(int64_t heads, int64_t head_dim);
	bool reads_half;
	void (*forward)(const struct attn_tile *tile, float *scratch);
	void (*backward)(const struct attn_tile *tile, float *scratch);
};

/*
 * With operands of the products rounded to bf16, on AMX's tiles, which this asks Linux for; tiles of few rows stay in
 * f32. NULL where the CPU or the system has none.
 */
const struct vec_attention *vec_attention_bf16(void);

#endif
