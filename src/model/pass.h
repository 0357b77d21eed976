// SPDX-License-Identifier: Apache-2.0
/*
 * pass.h - rows of tokens through a model and back: log-probabilities of
 * targets, and the gradients of what is trained.
 *
 *     struct pass_limits limits = {.rows = 2048, .segments = 65, .targets = 2048, .keys = 1024};
 *     struct pass_trained trained = {.adapter = adapter};       // bound to its parameters
 *     struct pass *pass = pass_new(model, &trained, &limits, &err);
 *     pass_run(pass, &rows, logp, &err);                        // adds to the gradients
 *     pass_free(pass);
 *
 * What is minimised is - sum weight[i] * logp[i]: weight = 1 / (targets of the
 * whole optimizer step) makes any split of a step into calls give its gradient.
 *
 * Segments lie one after the other. With rows.prefix the first segment is what
 * all others begin with, computed once; the gradients of its keys and values
 * are summed over the others in their order.
 *
 * Only what the backward needs is kept, and only from the lowest layer that is
 * trained upwards. With limits.checkpointing each layer keeps its input alone
 * and is run again before its backward (Chen et al. 2016).
 *
 * Failures: ERR_MEMORY where the device has too little, ERR_INTERNAL for rows
 * beyond the limits.
 */
#ifndef BALDISTILL_MODEL_PASS_H
#define BALDISTILL_MODEL_PASS_H

#include "src/model/adapter.h"
#include "src/model/full.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pass_limits {
	int64_t rows, segments, targets; /* of one call */
	int64_t keys;                    /* most keys a query sees, the prefix included */
	bool checkpointing;
};

/* What gets gradients: one of the two. */
struct pass_trained {
	struct adapter *adapter;
	struct full *full;
};

struct pass_rows {
	int64_t rows, segments, targets;
	const int32_t *ids;        /* [rows] */
	const int32_t *pos;        /* [rows]; consecutive in a segment, after the prefix where there is one */
	const int32_t *q_begin;    /* [segments + 1] */
	int64_t prefix;            /* tokens of segment 0 that all others see; 0: none */
	const uint64_t *row_key;   /* [rows]: names of the tokens' dropout masks (reference/philox.h) */
	uint64_t seed, step;       /* of the masks */
	const int32_t *target_row; /* [targets], distinct */
	const int32_t *target;     /* [targets] */
	const float *weight;       /* [targets] */
};

struct pass;

struct pass *pass_new(struct model *model, const struct pass_trained *trained, const struct pass_limits *limits,
		      struct err *err);
void pass_free(struct pass *pass);

/* Bytes on the device that pass_new would take. */
uint64_t pass_bytes(const struct model *model, const struct pass_trained *trained, const struct pass_limits *limits);

/* logp[targets]; gradients are added where the trained tensors have them. */
int pass_run(struct pass *pass, const struct pass_rows *rows, float *logp, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
