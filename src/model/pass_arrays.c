// SPDX-License-Identifier: Apache-2.0
/* The arrays of a pass: planned, counted, made. */
#include <stdlib.h>

#include "src/base/mem.h"
#include "src/model/pass_parts.h"

enum { FIXED = 32, PER_LAYER = 8, GRAPHS = 8 };

struct plan {
	struct view *to; /* NULL: only counted */
	int64_t rows, cols;
	enum dtype dtype;
};

static struct shape shape_of(const struct model *m, const struct pass_trained *t, const struct pass_limits *l)
{
	const struct model_config *c = &m->config;
	return (struct shape){.rows = l->rows, .hidden = c->hidden_size, .heads = c->num_attention_heads,
			      .kv_heads = c->num_key_value_heads, .head_dim = c->head_dim,
			      .ffn = c->intermediate_size, .vocab = c->vocab_size, .rank = adapter_rank(t->adapter),
			      .segments = l->segments, .keys = l->keys, .qk_norm = c->qk_norm,
			      .head_grad = t->full != NULL};
}

/* Arrays of the call; `p` may be one of zeros, to count. */
static int plan_fixed(struct pass *p, const struct model *m, const struct pass_limits *l, struct plan *plan)
{
	const struct model_config *c = &m->config;
	int64_t C = c->hidden_size, Q = c->num_attention_heads * c->head_dim, K = c->num_key_value_heads * c->head_dim;
	int64_t R = l->rows, S = l->segments, N = l->targets;
	enum dtype act = m->dev->act_dtype, resid = m->dev->resid_dtype;
	const struct plan all[] = {
		{&p->x, R, C, resid}, {&p->dx, R, C, resid}, {&p->d_o, R, Q, act}, {&p->dq, R, Q, act},
		{&p->dk, R, K, act}, {&p->dv, R, K, act}, {&p->y, N, C, resid}, {&p->dy, N, C, resid},
		{&p->inputs, l->checkpointing ? R * c->num_hidden_layers : 0, C, resid},
		{&p->ids, 1, R, DTYPE_I32}, {&p->pos, 1, R, DTYPE_I32}, {&p->row_key, 1, R, DTYPE_U64},
		{&p->state, 1, 2, DTYPE_U64}, {&p->row, 1, N, DTYPE_I32}, {&p->target, 1, N, DTYPE_I32},
		{&p->weight, 1, N, DTYPE_F32}, {&p->logp, 1, N, DTYPE_F32}, {&p->q_begin, 1, S + 1, DTYPE_I32},
		{&p->own_begin, 1, S, DTYPE_I32}, {&p->own_len, 1, S, DTYPE_I32},
		{&p->prefix_begin, 1, S, DTYPE_I32}, {&p->prefix_len, 1, S, DTYPE_I32},
		{&p->user_begin, 1, S + 1, DTYPE_I32}, {&p->user, 1, S, DTYPE_I32},
	};
	int n = sizeof all / sizeof *all;
	for (int i = 0; i < n; i++)
		plan[i] = all[i];
	return n;
}

static int plan_layer(struct pass_kept *kept, const struct model *m, const struct pass_trained *t,
		      const struct pass_limits *l, struct plan *plan)
{
	const struct model_config *c = &m->config;
	struct shape shape = shape_of(m, t, l);
	int64_t Q = c->num_attention_heads * c->head_dim, K = c->num_key_value_heads * c->head_dim, R = l->rows;
	enum dtype act = m->dev->act_dtype;
	size_t (*saved)(const struct device *, enum op, const struct shape *) = m->dev->k->saved_bytes;
	const struct plan all[PER_LAYER] = {
		{&kept->q, R, Q, act}, {&kept->k, R, K, act}, {&kept->v, R, K, act}, {&kept->o, R, Q, act},
		{&kept->lse, R, c->num_attention_heads, DTYPE_F32},
		{&kept->in, 1, (int64_t)saved(m->dev, OP_attn_in, &shape), DTYPE_U8},
		{&kept->out, 1, (int64_t)saved(m->dev, OP_attn_out, &shape), DTYPE_U8},
		{&kept->mlp, 1, (int64_t)saved(m->dev, OP_mlp, &shape), DTYPE_U8},
	};
	for (int i = 0; i < PER_LAYER; i++)
		plan[i] = all[i];
	return PER_LAYER;
}

static size_t plan_bytes(const struct plan *p)
{
	return (size_t)p->rows * (size_t)p->cols * dtype_size(p->dtype);
}

/* Scratch of the largest operation. */
static size_t scratch_bytes(const struct model *m, const struct pass_trained *t, const struct pass_limits *l)
{
	static const enum op of_rows[] = {
		OP_embed, OP_embed_backward, OP_attn_in, OP_attn_in_backward, OP_attention, OP_attention_backward,
		OP_attn_out, OP_attn_out_backward, OP_mlp, OP_mlp_backward, OP_scatter_rows, OP_norm2, OP_adamw,
	};
	static const enum op of_targets[] = {OP_gather_rows, OP_head_loss};
	struct shape shape = shape_of(m, t, l);
	size_t bytes = 0, need;
	for (size_t i = 0; i < sizeof of_rows / sizeof *of_rows; i++)
		if ((need = m->dev->k->scratch_bytes(m->dev, of_rows[i], &shape)) > bytes)
			bytes = need;
	shape.rows = l->targets;
	for (size_t i = 0; i < sizeof of_targets / sizeof *of_targets; i++)
		if ((need = m->dev->k->scratch_bytes(m->dev, of_targets[i], &shape)) > bytes)
			bytes = need;
	return bytes;
}

static int64_t slots_of(const struct model *m, const struct pass_limits *l)
{
	return l->checkpointing ? 1 : m->config.num_hidden_layers;
}

uint64_t pass_bytes(const struct model *model, const struct pass_trained *trained, const struct pass_limits *limits)
{
	struct pass none = {0};
	struct pass_kept kept;
	struct plan plan[FIXED];
	uint64_t bytes = scratch_bytes(model, trained, limits), layer = 0;
	for (int i = plan_fixed(&none, model, limits, plan); i-- > 0;)
		bytes += plan_bytes(&plan[i]);
	for (int i = plan_layer(&kept, model, trained, limits, plan); i-- > 0;)
		layer += plan_bytes(&plan[i]);
	return bytes + layer * (uint64_t)slots_of(model, limits);
}

int pass_failed(const struct pass *p, struct err *err)
{
	return device_finish(p->dev, ERR_MEMORY, err);
}

static void make_arrays(struct pass *p, const struct plan *plan, int n)
{
	for (int i = 0; i < n; i++) {
		struct buffer *buffer = p->k->alloc(p->dev, plan_bytes(&plan[i]));
		if (!buffer)
			return;
		p->buffer[p->buffers++] = buffer;
		*plan[i].to = view_of(buffer, plan[i].rows, plan[i].cols, plan[i].dtype);
	}
}

struct pass *pass_new(struct model *model, const struct pass_trained *trained, const struct pass_limits *limits,
		      struct err *err)
{
	struct plan plan[FIXED];
	struct pass *p = mem_array(1, sizeof *p, err);
	if (!p)
		return NULL;
	*p = (struct pass){.model = model, .dev = model->dev, .k = model->dev->k, .trained = *trained,
			   .limits = *limits, .slots = slots_of(model, limits)};
	graphs_init(&p->graphs, p->dev, GRAPHS);
	p->kept = mem_array((size_t)p->slots, sizeof *p->kept, err);
	p->buffer = mem_array(FIXED + PER_LAYER * (size_t)p->slots, sizeof(struct buffer *), err);
	if (!p->kept || !p->buffer) {
		pass_free(p);
		return NULL;
	}
	make_arrays(p, plan, plan_fixed(p, model, limits, plan));
	for (int64_t i = 0; i < p->slots && !device_sync(p->dev); i++)
		make_arrays(p, plan, plan_layer(&p->kept[i], model, trained, limits, plan));
	p->k->reserve(p->dev, scratch_bytes(model, trained, limits));
	if (!pass_failed(p, err))
		return p;
	pass_free(p);
	return NULL;
}

void pass_free(struct pass *p)
{
	if (!p)
		return;
	graphs_release(&p->graphs);
	while (p->buffers > 0)
		p->k->free(p->dev, p->buffer[--p->buffers]);
	free(p->buffer);
	free(p->kept);
	free(p);
}
