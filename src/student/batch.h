// SPDX-License-Identifier: Apache-2.0
/*
 * batch.h - tokenised rows cut into the calls of an optimizer step. Private to the room.
 *
 * A step takes its rows in order. A call takes rows while they are at most
 * limits.per_call and their tokens at most limits.tokens (one row always fits);
 * there is no padding, and no row sees another. What all rows begin with, the
 * shared prefix, stands once in a call. Every target weighs 1 / (targets of the
 * step), so how a step is cut does not change its gradient.
 *
 * The last token of a row is a target and no input: it predicts nothing.
 */
#ifndef BALDISTILL_STUDENT_BATCH_H
#define BALDISTILL_STUDENT_BATCH_H

#include "src/model/pass.h"
#include "src/student/train.h"

struct batch_limits {
	int64_t per_call; /* rows */
	int64_t tokens;   /* of a call, the prefix counted once */
	int64_t prefix;   /* tokens that all rows begin with and that are shared; 0: none */
	int64_t masked;   /* tokens that all rows begin with: their dropout keys are positions, shared or not */
};

struct batch {
	struct pass_rows rows;   /* refers to the arrays below */
	int32_t *ids, *pos, *q_begin, *target_row, *target;
	uint64_t *row_key;
	float *weight;
	size_t *owner;           /* [targets]: row of the list that a target belongs to */
	struct pass_limits need; /* what the arrays hold, and what pass_new is to be asked for */
};

/* Tokens that all rows begin with, so that every row keeps one of its own before its first target. */
int64_t batch_common_prefix(const struct train_row *rows, size_t n);

/* Room for any call over these rows; ERR_MEMORY. */
int batch_init(struct batch *batch, const struct train_row *rows, size_t n, const struct batch_limits *limits,
	       struct err *err);
void batch_release(struct batch *batch);

/* Targets of rows order[0 … n). */
int64_t batch_targets(const struct train_row *rows, const size_t *order, size_t n);

/* Fill a call from rows order[0 …]; how many were taken, at least 1 of n >= 1. */
size_t batch_fill(struct batch *batch, const struct train_row *rows, const size_t *order, size_t n,
		  const struct batch_limits *limits, float weight);

#endif
