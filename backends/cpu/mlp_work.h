// SPDX-License-Identifier: Apache-2.0
/*
 * mlp_work.h - private to mlp.c, mlp_backward.c and mlp_work.c: one call, cut
 * into blocks of tokens, and inside a block into parts of the F columns, so that
 * gate, up and their product stay in the cache and the down product sums up part
 * by part.
 *
 * saved: x [R,C], gate and up, each part after part as [R, columns of the part],
 * xa [R,r] of gate, up, down; f32, dense.
 */
#ifndef BALDISTILL_BACKENDS_CPU_MLP_WORK_H
#define BALDISTILL_BACKENDS_CPU_MLP_WORK_H

#include "backends/cpu/block.h"

enum { MLP_GATE, MLP_UP, MLP_DOWN };

/* One call, forward or backward; in the backward x is dx. */
struct mlp_call {
	const struct device *dev;
	const struct vec *vec;
	const struct mlp_params *p;
	const struct mlp_grads *grads;
	struct block_adapter low[3];
	struct view x;
	const float *norm;
	int64_t cols, ffn, part;
	float *saved_x, *saved_gate, *saved_up; /* NULL: not saved */
	struct lanes panels;
	struct lanes blocks; /* of a block */
	struct lanes work;   /* of a piece of rows */
	struct lanes sums;   /* gradient of the norm, of each lane */
	int64_t block_rows;
	bool want_dx, below; /* x wants a gradient; h does */
};

/* A block and the part of F it is at; row 0 is row `first` of the call. */
struct mlp_block {
	const struct mlp_call *call;
	int64_t first, begin, count; /* columns [begin, begin + count) of F */
	float *h, *dh;
	float *gate, *up, *act, *dgate, *dup; /* of the part, [rows, count] */
	float *xa[3], *g[3];                  /* low rank: of the block's rows */
};

/* Is x f32, the one storage of this backend? A failure kept otherwise. */
bool mlp_f32(struct device *dev, const char *op, struct view x);

/*
 * A call over x and saved, its buffers from the scratch; a failure is kept in dev.
 * low[].lr is the caller's to set, and in the backward low[].sums, grads, sums, want_dx, below.
 */
struct mlp_call mlp_call_of(struct device *dev, const char *op, struct view x, struct view saved,
			    const struct mlp_params *p, struct team_plan plan);

/* The block at row `first`, its buffers those of `lane`; in no part yet. */
struct mlp_block mlp_block_of(const struct mlp_call *c, int64_t first, int lane, bool backward);

/* Go to the part that begins at column `begin`. */
void mlp_part_at(struct mlp_block *b, int64_t begin);

/* mlp_backward.c */
void cpu_mlp_backward(struct device *dev, struct view dx, const struct mlp_grads *grads, struct view saved,
		      const struct mlp_params *p, bool want_dx);

#endif
