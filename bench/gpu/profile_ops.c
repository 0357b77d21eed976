// SPDX-License-Identifier: Apache-2.0
/* profile_ops.c - the operations of a step, and the FLOPs and bytes of one call of each. */
#include "bench/gpu/gpu_bench.h"

struct counts counts_of(const struct stack *s)
{
	const struct model *m = s->m;
	const struct options *o = s->o;
	return (struct counts){
		.R = (double)s->rows,
		.C = (double)m->hidden,
		.Q = (double)model_query(m),
		.K = (double)model_key(m),
		.F = (double)m->ffn,
		.V = (double)m->vocab,
		.keys = s->use == DECODES ? (double)(o->prompt + o->created / 2) : (double)o->length / 2,
		.r_in = (double)adapters_of_layer(s, MODULE_Q, MODULE_V),
		.r_out = (double)adapters_of_layer(s, MODULE_O, MODULE_O),
		.r_mlp = (double)adapters_of_layer(s, MODULE_GATE, MODULE_DOWN),
		.adapters = (double)adapters_numbers(s),
		.size = (double)dtype_size(s->dev->act_dtype),
	};
}

#define COUNT(name, formula)                                                                                           \
	static double name(const struct counts *c)                                                                     \
	{                                                                                                              \
		return formula;                                                                                        \
	}
COUNT(flops_in, 2 * c->R * (c->C * (c->Q + 2 * c->K) + c->r_in))
COUNT(flops_in_backward, 2 * c->R * (c->C * (c->Q + 2 * c->K) + 2 * c->r_in))
COUNT(flops_attention, 4 * c->R * c->Q * c->keys)
COUNT(flops_attention_backward, 8 * c->R * c->Q * c->keys)
COUNT(flops_out, 2 * c->R * (c->C * c->Q + c->r_out))
COUNT(flops_out_backward, 2 * c->R * (c->C * c->Q + 2 * c->r_out))
COUNT(flops_mlp, 2 * c->R * (3 * c->C * c->F + c->r_mlp))
COUNT(flops_mlp_backward, 2 * c->R * (3 * c->C * c->F + 2 * c->r_mlp))
COUNT(flops_head, 2 * c->R * c->C * c->V)
COUNT(flops_head_gradient, 4 * c->R * c->C * c->V)
COUNT(bytes_rows, 2 * c->size * c->R * c->C)
COUNT(bytes_in, c->size *(c->C *(c->Q + 2 * c->K) + c->R * (c->C + c->Q + 2 * c->K)))
COUNT(bytes_cache, c->size * 2 * c->R * (c->keys * c->K + c->Q))
COUNT(bytes_out, c->size *(c->C * c->Q + c->R * (c->Q + 2 * c->C)))
COUNT(bytes_mlp, c->size *(3 * c->C * c->F + 2 * c->R * c->C))
COUNT(bytes_logits, c->size * c->C * (c->V + c->R) + 4 * c->R * c->V)
COUNT(bytes_sample, 4 * c->R * c->V)
COUNT(bytes_adapters, 4 * c->adapters)
COUNT(bytes_adamw, 28 * c->adapters)

const struct profiled profile_train_ops[] = {
	{"embed", run_embed, false, NULL, bytes_rows},
	{"attn_in", run_attn_in, true, flops_in, NULL},
	{"attention", run_attention, true, flops_attention, NULL},
	{"attn_out", run_attn_out, true, flops_out, NULL},
	{"mlp", run_mlp, true, flops_mlp, NULL},
	{"gather_rows", run_gather, false, NULL, bytes_rows},
	{"head_loss", run_head, false, flops_head, NULL},
	{"head_loss_gradient", run_head_gradient, false, flops_head_gradient, NULL},
	{"scatter_rows", run_scatter, false, NULL, bytes_rows},
	{"mlp_backward", run_mlp_backward, true, flops_mlp_backward, NULL},
	{"attn_out_backward", run_attn_out_backward, true, flops_out_backward, NULL},
	{"attention_backward", run_attention_backward, true, flops_attention_backward, NULL},
	{"attn_in_backward", run_attn_in_backward, true, flops_in_backward, NULL},
	{"fill", run_zero, false, NULL, bytes_adapters},
	{"norm2", run_norm2, false, NULL, bytes_adapters},
	{"adamw", run_adamw, false, NULL, bytes_adamw},
	{0},
};

const struct profiled profile_decode_ops[] = {
	{"embed", run_embed, false, NULL, bytes_rows},
	{"attn_in", run_attn_in, true, flops_in, bytes_in},
	{"attention", run_attention, true, flops_attention, bytes_cache},
	{"attn_out", run_attn_out, true, flops_out, bytes_out},
	{"mlp", run_mlp, true, flops_mlp, bytes_mlp},
	{"logits", run_logits, false, flops_head, bytes_logits},
	{"sample", run_sample, false, NULL, bytes_sample},
	{0},
};
