// SPDX-License-Identifier: Apache-2.0
/* arrays.c - what the calls of a step read and write. */
#include "bench/gpu/gpu_bench.h"
#include "src/base/mem.h"

static struct shape shape_of(const struct stack *s)
{
	const struct model *m = s->m;
	return (struct shape){.rows = s->rows,
			      .hidden = m->hidden,
			      .heads = m->heads,
			      .kv_heads = m->kv_heads,
			      .head_dim = m->head_dim,
			      .ffn = m->ffn,
			      .vocab = m->vocab,
			      .rank = s->use == TRAINS ? s->o->rank : 0,
			      .segments = s->segments,
			      .keys = s->seg.max_keys};
}

enum { ALL = TRAINS | SCORES | DECODES };

static const struct {
	enum op op;
	int uses;
} needs[] = {
	{OP_embed, ALL},
	{OP_attn_in, ALL},
	{OP_attention, ALL},
	{OP_attn_out, ALL},
	{OP_mlp, ALL},
	{OP_gather_rows, TRAINS | SCORES},
	{OP_head_loss, TRAINS | SCORES},
	{OP_scatter_rows, TRAINS},
	{OP_mlp_backward, TRAINS},
	{OP_attn_out_backward, TRAINS},
	{OP_attention_backward, TRAINS},
	{OP_attn_in_backward, TRAINS},
	{OP_norm2, TRAINS},
	{OP_adamw, TRAINS},
	{OP_logits, DECODES},
	{OP_sample, DECODES},
};

static void reserve(struct stack *s)
{
	struct shape shape = shape_of(s);
	size_t most = 0;
	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
		size_t bytes = needs[i].uses & (int)s->use ? s->k->scratch_bytes(s->dev, needs[i].op, &shape) : 0;
		most = bytes > most ? bytes : most;
	}
	if (!s->dev->failure[0])
		s->k->reserve(s->dev, most);
}

static int make_hosts(struct stack *s, struct err *err)
{
	int32_t **list[] = {&s->host_ids,     &s->host_pos,     &s->host_target,
			    &s->host_q_begin, &s->host_own_len, &s->host_row};
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (!(*list[i] = mem_array((size_t)(s->rows + s->segments + 1), sizeof **list[i], err)))
			return -1;
	s->host_logp = mem_array((size_t)s->rows, sizeof *s->host_logp, err);
	return s->host_logp ? 0 : -1;
}

static void make_rows(struct stack *s)
{
	struct view *rows[] = {&s->ids, &s->pos, &s->row, &s->target, &s->kv_dst};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		*rows[i] = stack_array(s, 1, s->rows, DTYPE_I32);
	s->weight = stack_array(s, 1, s->rows, DTYPE_F32);
	s->logp = stack_array(s, 1, s->rows, DTYPE_F32);
	s->row_key = stack_array(s, 1, s->rows, DTYPE_U64);
	s->state = stack_array(s, 1, 2, DTYPE_U64);
}

static void make_segments(struct stack *s)
{
	int64_t S = s->segments;
	s->zero = stack_array(s, 1, S + 1, DTYPE_I32); /* stays 0 */
	s->seg.count = S;
	s->seg.q_begin = stack_array(s, 1, S + 1, DTYPE_I32);
	s->seg.own_begin = stack_array(s, 1, S, DTYPE_I32);
	s->seg.own_len = stack_array(s, 1, S, DTYPE_I32);
	s->seg.prefix_begin = s->seg.prefix_len = s->seg.user = view_cols(s->zero, 0, S);
	s->seg.user_begin = s->zero;
	s->seg.pos = s->pos;
}

static void make_activations(struct stack *s)
{
	int64_t C = s->m->hidden, Q = model_query(s->m), K = model_key(s->m);
	enum dtype act = s->dev->act_dtype, resid = s->dev->resid_dtype;
	const struct {
		struct view *to;
		int64_t cols;
		enum dtype dtype;
	} list[] = {{&s->x, C, resid}, {&s->y, C, resid}, {&s->dx, C, resid}, {&s->dy, C, resid},
		    {&s->d_o, Q, act}, {&s->dq, Q, act},  {&s->dk, K, act},   {&s->dv, K, act}};
	for (size_t i = 0; i < (s->use == TRAINS ? sizeof list / sizeof *list : 2); i++)
		*list[i].to = stack_array(s, s->rows, list[i].cols, list[i].dtype);
}

/* What a layer needs in the forward; with a cache, k and v lie there. */
static void make_kept(struct stack *s, struct kept *kept)
{
	int64_t Q = model_query(s->m), K = model_key(s->m), R = s->rows;
	enum dtype act = s->dev->act_dtype;
	kept->q = stack_array(s, R, Q, act);
	kept->o = stack_array(s, R, Q, act);
	if (s->use == DECODES)
		return;
	kept->k = stack_array(s, R, K, act);
	kept->v = stack_array(s, R, K, act);
}

static void make_saved(struct stack *s, struct kept *kept)
{
	struct shape shape = shape_of(s);
	const enum op ops[3] = {OP_attn_in, OP_attn_out, OP_mlp};
	struct view *saved[3] = {&kept->in, &kept->out, &kept->mlp};
	kept->lse = stack_array(s, s->rows, s->m->heads, DTYPE_F32);
	for (int i = 0; i < 3; i++)
		*saved[i] = stack_array(s, 1, (int64_t)s->k->saved_bytes(s->dev, ops[i], &shape), DTYPE_U8);
}

static void make_layers(struct stack *s)
{
	for (struct layer *l = s->layer; l < s->layer + s->m->layers; l++) {
		if (l > s->layer && s->use != TRAINS) {
			l->kept = s->layer->kept;
			continue;
		}
		make_kept(s, &l->kept);
		if (s->use == TRAINS)
			make_saved(s, &l->kept);
	}
}

int arrays_make(struct stack *s, int64_t positions, struct err *err)
{
	if (make_hosts(s, err) || stack_weights(s, positions, err))
		return -1;
	make_rows(s);
	make_segments(s);
	make_activations(s);
	make_layers(s);
	if (s->use == DECODES) {
		s->logits = stack_array(s, s->rows, s->m->vocab, DTYPE_F32);
		s->sampled = stack_array(s, 1, s->rows, DTYPE_I32);
	}
	reserve(s);
	return stack_finish(s, err);
}
