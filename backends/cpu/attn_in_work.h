// SPDX-License-Identifier: Apache-2.0
/*
 * attn_in_work.h - private to attn_in.c, attn_in_backward.c and attn_in_work.c:
 * one call, cut into blocks of tokens.
 *
 * saved: x [R,C], xa [R,r] of q, k, v, and with q/k norm the raw q [R, H D]
 * and k [R, K D], f32, dense.
 */
#ifndef BALDISTILL_BACKENDS_CPU_ATTN_IN_WORK_H
#define BALDISTILL_BACKENDS_CPU_ATTN_IN_WORK_H

#include "backends/cpu/block.h"

/* One call, forward or backward; y is q, k, v or their gradients. */
struct attn_in_call {
	const struct device *dev;
	const struct vec *vec;
	const struct attn_in_params *p;
	const struct attn_in_grads *grads;
	struct block_adapter low[3];
	struct view y[3], x; /* x is dx in the backward */
	const int32_t *pos, *row;    /* row: kv_dst or NULL */
	const float *norm, *bias[3], *head_norm[2];
	int64_t cols, out[3];
	float *saved_x, *saved_raw[2]; /* NULL: not saved */
	struct lanes panels;
	struct lanes blocks; /* h, then k and v before they are stored, or dh */
	struct lanes work;   /* of a piece of rows */
	struct lanes sums;   /* gradients of the norms, of each lane */
	int64_t block_rows;
	bool want_dx, below; /* x wants a gradient; h does */
};

/* One block: where row `first` of the call lies. */
struct attn_in_block {
	const struct attn_in_call *call;
	int64_t first;
	float *h, *dh, *y[3];
	int64_t ldy[3];
};

/* Are both f32, the one storage of this backend? A failure kept otherwise. */
bool attn_in_f32(struct device *dev, const char *op, struct view a, struct view b);

/*
 * A call of so many rows, its buffers from the scratch; a failure is kept in dev. y, x, pos, row and low[].lr are the
 * caller's to set, and in the backward low[].sums, grads, sums, want_dx, below.
 */
struct attn_in_call attn_in_call_of(struct device *dev, const char *op, const struct attn_in_params *p, int64_t rows,
				    struct team_plan plan);

/* Where the parts of `saved` lie. */
void attn_in_find_saved(struct attn_in_call *c, struct view saved, int64_t rows);

/* k and v (i = 1, 2) go through the block's buffer where rows move or are stored in 16 bits. */
bool attn_in_apart(const struct attn_in_call *c, int i);

/* The block at row `first`, its buffers those of `lane`. */
struct attn_in_block attn_in_block_of(const struct attn_in_call *c, int64_t first, int lane);

/* Floats of a lane's sums: gradients of the norms of x, q heads, k heads, one after another. */
int64_t attn_in_norm_floats(int64_t hidden, int64_t head_dim);

/* attn_in_backward.c */
void cpu_attn_in_backward(struct device *dev, struct view dx, const struct attn_in_grads *grads, struct view dq,
			  struct view dk, struct view dv, struct view saved, struct view pos,
			  const struct attn_in_params *p, bool want_dx);

#endif
