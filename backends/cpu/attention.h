// SPDX-License-Identifier: Apache-2.0
/*
 * attention.h - private to attention.c and attention_backward.c: segments cut
 * into tiles, tiles given to threads.
 *
 * Segment s has n H / K rows per key head: row i is query i / (H / K) with
 * head i % (H / K) of the key head's group. A tile is up to ATTN_LANES
 * consecutive rows of one segment. The work is a list of all (key head, tile);
 * each thread takes a stretch of it, of equal cost counted in keys seen. The
 * list depends on the segments alone.
 */
#ifndef BALDISTILL_BACKENDS_CPU_ATTENTION_H
#define BALDISTILL_BACKENDS_CPU_ATTENTION_H

#include "backends/cpu/cpu.h"
#include "backends/cpu/vec_attention.h"

struct attn_item {
	int32_t segment, row; /* first row of the tile */
	int64_t start;        /* cost of the tiles before it, one key head */
};

struct attn_work {
	const struct segments *seg;
	const struct attn_dims *dims;
	struct view q, k, v, o, lse; /* lse may be absent */
	bool heads_inside;           /* list order: all key heads of a tile, or all tiles of a key head */
	/* Filled by attn_begin. */
	const struct vec_attention *vec;
	struct attn_item *items;     /* n of them and an end */
	int64_t n, group;            /* H / K */
	float *scratch;              /* of thread 0 */
	size_t scratch_each;         /* floats of each thread */
};

/* One entry of the list. */
struct attn_place {
	int64_t item;
	int head; /* key head */
};

/* Scratch and list; false where scratch is too small. */
bool attn_begin(struct device *dev, const char *op, struct attn_work *work);
size_t attn_scratch(const struct device *dev, const struct shape *shape);

/* The list numbers that thread t takes: from the return value to below *end. */
int64_t attn_stretch(const struct attn_work *work, int t, int threads, int64_t *end);
struct attn_place attn_at(const struct attn_work *work, int64_t number);

/* Keys, and rows of q, k, v, o, lse, of the tile that has this list number; first: of a thread's stretch. */
void attn_fill(struct attn_tile *tile, const struct attn_work *work, int64_t number, bool first);

/* The address in v, H columns of `width` each, of every lane's row; of the last row in unused lanes. */
void attn_rows(float *rows[ATTN_LANES], const struct attn_tile *tile, const struct attn_work *work,
	       struct attn_place place, struct view v, int64_t width);

/* All of n views hold f32; a failure kept otherwise. */
bool attn_f32(struct device *dev, const char *op, const struct view list[], int n);

/* v = 0 in the rows of no segment. */
void attn_zero_outside(struct view v, const struct segments *seg);

/* attention_backward.c */
void cpu_attention_backward(struct device *dev, struct view dq, struct view dk, struct view dv, struct view d_o,
				 struct view o, struct view lse, struct view q, struct view k, struct view v,
				 const struct segments *seg, const struct attn_dims *dims);
size_t attn_backward_scratch(const struct device *dev, const struct shape *shape);

#endif
