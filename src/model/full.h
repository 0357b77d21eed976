// SPDX-License-Identifier: Apache-2.0
/*
 * full.h - full fine-tuning: every tensor of a model is trained.
 *
 *     struct full *full = full_new(model, &params, &err);   // adds all tensors to params
 *     parameters_make(&params, &err);
 *     full_bind(full, &params);                             // gradients into pass.h's reach
 *     full_free(full);
 *
 * Weights stored in f32 are trained where they lie; of weights stored in less
 * a copy in f32 is trained and rounded into them after every update. Names are
 * the checkpoint's own. A tied head and embedding are one tensor.
 */
#ifndef BALDISTILL_MODEL_FULL_H
#define BALDISTILL_MODEL_FULL_H

#include "src/model/model.h"
#include "src/model/parameters.h"

#ifdef __cplusplus
extern "C" {
#endif

struct full_layer {
	struct attn_in_grads in;
	struct attn_out_grads out;
	struct mlp_grads mlp;
};

struct full {
	struct model *model;
	struct full_layer *layer;    /* [num_hidden_layers] */
	struct head_grads head;
	struct view embedding;       /* its gradient; that of head.w where they are tied */
	struct buffer **master;      /* copies in f32, [masters] */
	size_t masters;
	size_t first;                /* of its tensors in the list */
};

/* ERR_MEMORY. */
struct full *full_new(struct model *model, struct parameters *params, struct err *err);
/* What that and parameters_make will take: copies in f32, gradients, moments; more than there is where memory is short. */
uint64_t full_bytes(struct model *model);
void full_bind(struct full *full, const struct parameters *params);
void full_free(struct full *full);

#ifdef __cplusplus
}
#endif
#endif
