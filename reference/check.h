// SPDX-License-Identifier: Apache-2.0
/*
 * check.h - the argument checks that every backend shares.
 *
 * Each operation calls its check first; false means: do nothing. A failure is
 * then kept in the device, "linear: y is [3, 4] f32, expected [3, 5]". A check
 * is also false, silently, once the device has failed. What indices hold is
 * checked here where the host can read them, else by the backend (device.remote).
 */
#ifndef BALDISTILL_REFERENCE_CHECK_H
#define BALDISTILL_REFERENCE_CHECK_H

#include "reference/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

enum check_kind { CHECK_ANY, CHECK_FLOAT /* f32, bf16, f16 */, CHECK_F32, CHECK_I32, CHECK_U64, CHECK_U8 };

/* Present, of the kind, and inside its buffer. */
bool check_view(struct device *dev, const char *op, const char *name, struct view v, enum check_kind kind);

bool check_rmsnorm(struct device *dev, struct view y, struct view x, struct view w);
bool check_rmsnorm_backward(struct device *dev, struct view dx, struct view dw, struct view dy, struct view x,
			    struct view w);
bool check_linear(struct device *dev, struct view y, struct view x, const struct weight *w, int i, struct view bias);
bool check_linear_dx(struct device *dev, struct view dx, struct view dy, const struct weight *w, int i);
bool check_linear_dw(struct device *dev, struct view dw, struct view dbias, struct view dy, struct view x);
bool check_lora(struct device *dev, struct view y, struct view xa, struct view x, const struct lora *lora,
		const struct dropout *drop);
bool check_lora_backward(struct device *dev, struct view dx, struct view dy, struct view x, struct view xa,
			 const struct lora *lora, const struct dropout *drop);
/* Positions must lie inside the tables as well. */
bool check_rope(struct device *dev, struct view x, struct view pos, const struct rope *rope, int head_dim);
/* An output and its two inputs of one size; of one input, give it twice. */
bool check_same(struct device *dev, const char *op, struct view y, struct view a, struct view b);
/* Ids must lie in [0, V). */
bool check_embed(struct device *dev, struct view y, const struct weight *w, struct view ids);
bool check_embed_backward(struct device *dev, struct view dw, struct view dy, struct view ids);
bool check_attn_in(struct device *dev, struct view q, struct view k, struct view v, struct view saved, struct view x,
		   struct view pos, struct view kv_dst, const struct attn_in_params *params);
bool check_attn_in_backward(struct device *dev, struct view dx, struct view dq, struct view dk, struct view dv,
			    struct view saved, struct view pos, const struct attn_in_params *params);
bool check_attention(struct device *dev, struct view o, struct view lse, struct view q, struct view k, struct view v,
		     const struct segments *seg, const struct attn_dims *dims);
bool check_attention_backward(struct device *dev, struct view dq, struct view dk, struct view dv, struct view d_o,
			      struct view o, struct view lse, struct view q, struct view k, struct view v,
			      const struct segments *seg, const struct attn_dims *dims);
bool check_attn_out(struct device *dev, struct view x, struct view saved, struct view o,
		    const struct attn_out_params *params);
bool check_attn_out_backward(struct device *dev, struct view d_o, struct view dx, struct view saved, struct view o,
			     const struct attn_out_params *params, bool want_do);
bool check_mlp(struct device *dev, struct view x, struct view saved, const struct mlp_params *params);
bool check_mlp_backward(struct device *dev, struct view dx, struct view saved, const struct mlp_params *params);
/* Targets must be below V. */
bool check_head_loss(struct device *dev, struct view logp, struct view dx, const struct head_grads *grads,
		     struct view x, const struct head_params *params, struct view target, struct view weight);
bool check_logits(struct device *dev, struct view y, struct view x, const struct head_params *params);
bool check_sample(struct device *dev, struct view id, struct view logp, struct view logits,
		  const struct sample_rule *rule, const struct sample_rng *rng);
/* few[R] and many[any] by row[R], whose entries must be below many's rows. */
bool check_rows(struct device *dev, const char *op, struct view many, struct view few, struct view row);
bool check_kv_append(struct device *dev, struct view cache_k, struct view cache_v, struct view k, struct view v,
		     struct view dst);
bool check_norm2(struct device *dev, struct view out, const struct view list[], int n);
bool check_adamw(struct device *dev, const struct adamw_item list[], int n, struct view hyper, struct view norm2);
bool check_merge(struct device *dev, struct view out, struct view w, const struct lora *lora);

#ifdef __cplusplus
}
#endif
#endif
