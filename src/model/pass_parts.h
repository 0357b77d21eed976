// SPDX-License-Identifier: Apache-2.0
/* pass_parts.h - the arrays of a pass. Private to pass.c and pass_arrays.c. */
#ifndef BALDISTILL_MODEL_PASS_PARTS_H
#define BALDISTILL_MODEL_PASS_PARTS_H

#include "src/model/graphs.h"
#include "src/model/pass.h"

/* What a layer's forward leaves for its backward. */
struct pass_kept {
	struct view q, k, v, o, lse;
	struct view in, out, mlp; /* the operations' own */
};

struct pass {
	struct model *model;
	struct device *dev;
	const struct kernels *k;
	struct pass_trained trained;
	struct pass_limits limits;
	struct buffer **buffer;
	int buffers;
	struct pass_kept *kept; /* [slots] */
	int64_t slots;          /* layers, or 1 with checkpointing */
	struct view x, dx, d_o, dq, dk, dv, inputs, y, dy;
	struct view ids, pos, row_key, state, row, target, weight, logp;
	struct view q_begin, own_begin, own_len, prefix_begin, prefix_len, user_begin, user;
	struct graphs graphs;
};

/* The device's failure, if there is one: -1. */
int pass_failed(const struct pass *p, struct err *err);

#endif
