// SPDX-License-Identifier: Apache-2.0
/* The cases of measure: each operation once, with what it computes and moves. */
#include "backends/measure_case.h"

/* Dimensions of kernel.h as doubles. */
#define DIMENSIONS(b)                                                                                                  \
	const double T = BENCH_TOKENS, R = BENCH_TARGETS, r = BENCH_RANK, S = BENCH_SLOTS, C = (double)(b)->m->hidden, \
		     Q = (double)(b)->m->heads * (b)->m->head_dim, K = (double)(b)->m->kv_heads * (b)->m->head_dim,    \
		     F = (double)(b)->m->ffn, V = (double)(b)->m->vocab;                                               \
	(void)T, (void)R, (void)r, (void)S, (void)C, (void)Q, (void)K, (void)F, (void)V

/* A case's counts; f32 elements are 4 bytes. */
#define COUNT(name, formula)                                                                                           \
	static double name(const struct bench *b)                                                                      \
	{                                                                                                              \
		DIMENSIONS(b);                                                                                         \
		return formula;                                                                                        \
	}
#define RUN(name, ...)                                                                                                 \
	static void name(struct bench *b)                                                                              \
	{                                                                                                              \
		__VA_ARGS__;                                                                                           \
	}

static const struct view none;

COUNT(flops_gate, 2 * T * C * F)
COUNT(bytes_gate, 4 * (T * C + T * F + C * F))
COUNT(bytes_gate16, 4 * (T * C + T * F) + 2 * C * F)
COUNT(flops_gate_lora, 2 * T * C * F + 2 * T * r * (C + F))
COUNT(flops_lora, 2 * T * r * (C + F))
COUNT(flops_lora_backward, 4 * T * r * (C + F))
COUNT(bytes_lora, 4 * (T * C + 2 * T * F))
COUNT(bytes_one, 4 * C * F)
COUNT(bytes_one16, 2 * C * F)
COUNT(bytes_norm, 4 * 2 * T * C)
COUNT(bytes_norm_backward, 4 * 4 * T * C)
COUNT(bytes_rope, 4 * 2 * T * Q)
COUNT(bytes_swiglu, 4 * 3 * T * F)
COUNT(bytes_swiglu_backward, 4 * 5 * T * F)
COUNT(bytes_softmax, 4 * 2 * T * F)
COUNT(bytes_embed, 4 * 2 * T * C)
COUNT(bytes_add, 4 * 3 * T * C)
COUNT(bytes_rows, 4 * 2 * R * C)
COUNT(bytes_scatter, 4 * (R * C + T * C))
COUNT(bytes_kv, 4 * 4 * T * K)
COUNT(bytes_fill, 4 * T * F)
COUNT(bytes_copy, 4 * 2 * T * F)
COUNT(bytes_adamw, 4 * 7 * T * F)
COUNT(bytes_merge, 4 * 2 * C * F)
COUNT(bytes_sample, 4 * S * V)
COUNT(flops_attention, 2 * T * T * Q)
COUNT(flops_attention_backward, 4 * T * T * Q)
COUNT(flops_attention_both, 6 * T * T * Q)
COUNT(bytes_attention, 4 * (2 * T * Q + 2 * T * K))
COUNT(flops_in, 2 * T * C * (Q + 2 * K) + 2 * T * r * (3 * C + Q + 2 * K))
COUNT(bytes_in, 4 * (T * (C + Q + 2 * K) + C * (Q + 2 * K)))
COUNT(flops_out, 2 * T * C * Q + 2 * T * r * (C + Q))
COUNT(bytes_out, 4 * (T * (2 * C + Q) + C * Q))
COUNT(flops_mlp, 6 * T * C * F + 6 * T * r * (C + F))
COUNT(bytes_mlp, 4 * (2 * T * C + 3 * C * F))
COUNT(flops_in_backward, 2 * T * C * (Q + 2 * K) + 4 * T * r * (3 * C + Q + 2 * K))
COUNT(flops_out_backward, 2 * T * C * Q + 4 * T * r * (C + Q))
COUNT(flops_mlp_backward, 6 * T * C * F + 12 * T * r * (C + F))
COUNT(flops_head, 2 * R * C * V)
COUNT(flops_head_gradient, 4 * R * C * V)
COUNT(bytes_head, 4 * (R * C + V * C))
COUNT(flops_logits, 2 * S * C * V)
COUNT(bytes_logits, 4 * (S * C + V * C + S * V))

RUN(run_linear, b->k->linear(b->dev, b->g, b->x, &b->gate, 0, none, false))
RUN(run_linear16, b->k->linear(b->dev, b->g, b->x, &b->gate16, 0, none, false))
RUN(run_linear_lora, b->k->linear(b->dev, b->g, b->x, &b->gate, 0, none, false);
    b->k->lora(b->dev, b->g, b->xa, b->x, &b->lora[MODULE_GATE], &b->drop))
RUN(run_linear_one, b->k->linear(b->dev, b->one_y, b->one_x, &b->gate, 0, none, false))
RUN(run_linear_one16, b->k->linear(b->dev, b->one_y, b->one_x, &b->gate16, 0, none, false))
RUN(run_linear_dx, b->k->linear_dx(b->dev, b->dx, b->g, &b->gate, 0, false))
RUN(run_linear_dw, b->k->linear_dw(b->dev, b->grad, none, b->g, b->x))
RUN(run_lora, b->k->lora(b->dev, b->g, b->xa, b->x, &b->lora[MODULE_GATE], &b->drop))
RUN(run_lora_backward, b->k->lora_backward(b->dev, b->dx, b->g, b->x, b->xa, &b->lora[MODULE_GATE], &b->drop))
RUN(run_rmsnorm, b->k->rmsnorm(b->dev, b->y, b->x, b->norm_w, 1e-5f))
RUN(run_rmsnorm_backward, b->k->rmsnorm_backward(b->dev, b->dx, none, b->y, b->x, b->norm_w, 1e-5f))
RUN(run_rope, b->k->rope(b->dev, b->q, b->pos, &b->in.rope, b->m->head_dim, false))
RUN(run_swiglu, b->k->swiglu(b->dev, b->a, b->g, b->u))
/* dy is no output: times silu(g) again and again it would turn subnormal, which CPUs compute far slower. */
RUN(run_swiglu_backward, b->k->swiglu_backward(b->dev, b->d_g, b->d_u, b->a, b->g, b->u))
RUN(run_log_softmax, b->k->log_softmax(b->dev, b->a, b->g))
RUN(run_embed, b->k->embed(b->dev, b->y, &b->head, b->ids))
RUN(run_embed_backward, b->k->embed_backward(b->dev, b->grad, b->y, b->ids))
RUN(run_attn_in, b->k->attn_in(b->dev, b->q, b->key, b->value, b->saved[0], b->x, b->pos, none, &b->in))
RUN(run_attn_in_backward,
    b->k->attn_in_backward(b->dev, b->dx, NULL, b->d_q, b->d_key, b->d_value, b->saved[0], b->pos, &b->in, true))
RUN(run_attention, b->k->attention(b->dev, b->o, b->lse, b->q, b->key, b->value, &b->seg, &b->in.dims))
RUN(run_attention_backward, b->k->attention_backward(b->dev, b->d_q, b->d_key, b->d_value, b->o, b->o, b->lse, b->q,
						     b->key, b->value, &b->seg, &b->in.dims))
RUN(run_attention_both, run_attention(b); run_attention_backward(b))
RUN(run_attn_out, b->k->attn_out(b->dev, b->y, b->saved[1], b->o, &b->out))
RUN(run_attn_out_backward, b->k->attn_out_backward(b->dev, b->d_q, NULL, b->dx, b->saved[1], b->o, &b->out, true))
RUN(run_mlp, b->k->mlp(b->dev, b->y, b->saved[2], &b->mlp))
RUN(run_mlp_backward, b->k->mlp_backward(b->dev, b->dx, NULL, b->saved[2], &b->mlp, true))
RUN(run_head, b->k->head_loss(b->dev, b->logp, none, NULL, b->rows_y, &b->head_params, b->target, none))
RUN(run_head_gradient,
    b->k->head_loss(b->dev, b->logp, b->rows_dx, NULL, b->rows_y, &b->head_params, b->target, b->weight))
RUN(run_logits, b->k->logits(b->dev, b->logits, view_rows(b->x, 0, BENCH_SLOTS), &b->head_params))
RUN(run_greedy, const struct sample_rule rule = {0};
    b->k->sample(b->dev, b->sampled, b->sampled_logp, b->logits, &rule, NULL))
RUN(run_sample, const struct sample_rule rule = {.temperature = 0.8f, .top_k = 50, .top_p = 0.95f};
    const struct sample_rng rng = {b->seed, b->row_id, b->position};
    b->k->sample(b->dev, b->sampled, b->sampled_logp, b->logits, &rule, &rng))
RUN(run_gather, b->k->gather_rows(b->dev, b->rows_y, b->x, b->rows))
RUN(run_scatter, b->k->scatter_rows(b->dev, b->dx, b->rows_dx, b->rows))
RUN(run_kv_append, b->k->kv_append(b->dev, b->d_key, b->d_value, b->key, b->value, b->pos))
RUN(run_copy, b->k->copy(b->dev, b->a, b->g))
RUN(run_fill, b->k->fill(b->dev, b->a, 0.25f))
RUN(run_norm2, b->k->norm2(b->dev, b->norm2, &b->g, 1))
RUN(run_adamw, const struct adamw_item item = {.p = b->a, .g = b->u, .m = b->m1, .v = b->m2, .decay = true};
    b->k->adamw(b->dev, &item, 1, b->hyper, b->norm2))
RUN(run_merge, b->k->merge(b->dev, b->grad, b->gate.w[0], &b->lora[MODULE_GATE]))

const struct bench_case bench_cases[] = {
	{"linear", run_linear, flops_gate, bytes_gate, "T x C -> F, f32", false},
	{"linear bf16", run_linear16, flops_gate, bytes_gate16, "T x C -> F, weights bf16", false},
	{"linear + lora", run_linear_lora, flops_gate_lora, bytes_gate, "T x C -> F, rank 8, dropout 0.1", false},
	{"linear_dx", run_linear_dx, flops_gate, bytes_gate, "T x F -> C", false},
	{"linear_dw", run_linear_dw, flops_gate, bytes_gate, "F x C over T", false},
	{"linear, one row", run_linear_one, NULL, bytes_one, "1 x C -> F, f32", true},
	{"linear bf16, one row", run_linear_one16, NULL, bytes_one16, "1 x C -> F, weights bf16", true},
	{"lora", run_lora, flops_lora, bytes_lora, "T x C -> F, rank 8, dropout 0.1", false},
	{"lora_backward", run_lora_backward, flops_lora_backward, bytes_lora, "T x F -> C, rank 8, dropout 0.1", false},
	{"attn_in", run_attn_in, flops_in, bytes_in, "T x C -> Q + 2 K, rank 8, dropout 0.1", false},
	{"attn_in_backward", run_attn_in_backward, flops_in_backward, bytes_in, "rank 8, dropout 0.1", false},
	{"attention", run_attention, flops_attention, bytes_attention, "one segment of T", false},
	{"attention_backward", run_attention_backward, flops_attention_backward, bytes_attention, "one segment of T", false},
	{"attention + backward", run_attention_both, flops_attention_both, bytes_attention, "one segment of T", false},
	{"attn_out", run_attn_out, flops_out, bytes_out, "T x Q -> C, rank 8, dropout 0.1", false},
	{"attn_out_backward", run_attn_out_backward, flops_out_backward, bytes_out, "rank 8, dropout 0.1", false},
	{"mlp", run_mlp, flops_mlp, bytes_mlp, "T x C -> F -> C, rank 8, dropout 0.1", false},
	{"mlp_backward", run_mlp_backward, flops_mlp_backward, bytes_mlp, "rank 8, dropout 0.1", false},
	{"head_loss", run_head, flops_head, bytes_head, "512 targets", false},
	{"head_loss + gradient", run_head_gradient, flops_head_gradient, bytes_head, "512 targets", false},
	{"logits", run_logits, flops_logits, bytes_logits, "64 rows", false},
	{"rmsnorm", run_rmsnorm, NULL, bytes_norm, "T x C", false},
	{"rmsnorm_backward", run_rmsnorm_backward, NULL, bytes_norm_backward, "T x C", false},
	{"rope", run_rope, NULL, bytes_rope, "T x Q", false},
	{"swiglu", run_swiglu, NULL, bytes_swiglu, "T x F", false},
	{"swiglu_backward", run_swiglu_backward, NULL, bytes_swiglu_backward, "T x F", false},
	{"log_softmax", run_log_softmax, NULL, bytes_softmax, "T x F", false},
	{"embed", run_embed, NULL, bytes_embed, "T x C", false},
	{"embed_backward", run_embed_backward, NULL, bytes_add, "T x C", false},
	{"sample, greedy", run_greedy, NULL, bytes_sample, "64 x V", true},
	{"sample, top-k top-p", run_sample, NULL, bytes_sample, "64 x V", true},
	{"gather_rows", run_gather, NULL, bytes_rows, "512 x C", false},
	{"scatter_rows", run_scatter, NULL, bytes_scatter, "512 x C", false},
	{"kv_append", run_kv_append, NULL, bytes_kv, "T x K", false},
	{"copy", run_copy, NULL, bytes_copy, "T x F", false},
	{"fill", run_fill, NULL, bytes_fill, "T x F", false},
	{"norm2", run_norm2, NULL, bytes_fill, "T x F", true},
	{"adamw", run_adamw, NULL, bytes_adamw, "T x F", false},
	{"merge", run_merge, NULL, bytes_merge, "F x C, rank 8", false},
	{0},
};
