// SPDX-License-Identifier: Apache-2.0
/* Arrays of a forward: how many bytes they need, made and freed. */
#include <stdlib.h>

#include "src/base/mem.h"
#include "src/model/forward_parts.h"

/* Numbers of all arrays of a call. */
static int64_t call_room(const struct forward_limits *l)
{
	enum { ARRAYS = 9 };
	return 3 * l->rows + 5 * (l->segments + 1) + l->segments * l->pages + ARRAYS * FORWARD_ALIGNMENT;
}

/* Every array of a forward with these limits; n of them. */
static int plan_arrays(const struct model *m, const struct forward_limits *l, struct forward_plan *plan)
{
	const struct model_config *c = &m->config;
	int64_t C = c->hidden_size, Q = c->num_attention_heads * c->head_dim, K = c->num_key_value_heads * c->head_dim;
	int64_t kept = (l->cache_rows ? l->cache_rows : l->prefix) * c->num_hidden_layers, R = l->rows;
	int64_t now = l->cache_rows ? 0 : l->prefix + R, N = most(l->targets, 1);
	enum dtype act = m->dev->act_dtype, resid = m->dev->resid_dtype;
	enum dtype keeps = l->cache_rows ? m->dev->cache_dtype : act;
#define AT(field) offsetof(struct forward, field)
	const struct forward_plan all[] = {
		{AT(x), R, C, resid}, {AT(q), R, Q, act}, {AT(o), R, Q, act}, {AT(key), now, K, act},
		{AT(value), now, K, act}, {AT(kept_key), kept, K, keeps}, {AT(kept_value), kept, K, keeps},
		{AT(call), 1, call_room(l), DTYPE_I32}, {AT(answer), 2, N, DTYPE_I32},
		{AT(row), 1, N, DTYPE_I32}, {AT(target), 1, N, DTYPE_I32}, {AT(y), N, C, resid},
		{AT(seed), 1, 1, DTYPE_U64}, {AT(row_id), 1, N, DTYPE_U64}, {AT(position), 1, N, DTYPE_I32},
	};
#undef AT
	int n = sizeof all / sizeof *all;
	for (int i = 0; i < n; i++)
		plan[i] = all[i];
	return n;
}

static size_t plan_bytes(const struct forward_plan *p)
{
	return (size_t)p->rows * (size_t)p->cols * dtype_size(p->dtype);
}

static struct shape shape_of(const struct model *m, const struct forward_limits *l)
{
	const struct model_config *c = &m->config;
	return (struct shape){.rows = l->rows, .hidden = c->hidden_size, .heads = c->num_attention_heads,
			      .kv_heads = c->num_key_value_heads, .head_dim = c->head_dim,
			      .ffn = c->intermediate_size, .vocab = c->vocab_size, .segments = l->segments,
			      .keys = l->keys, .rank = model_rank(m), .qk_norm = c->qk_norm};
}

/* Scratch of the largest operation. */
static size_t scratch_bytes(const struct model *m, const struct forward_limits *l)
{
	static const enum op of_rows[] = {OP_embed, OP_attn_in, OP_attention, OP_attn_out, OP_mlp};
	static const enum op of_targets[] = {OP_gather_rows, OP_head_loss, OP_logits, OP_sample};
	struct shape shape = shape_of(m, l);
	size_t bytes = 0, need;
	for (size_t i = 0; i < sizeof of_rows / sizeof *of_rows; i++)
		if ((need = m->dev->k->scratch_bytes(m->dev, of_rows[i], &shape)) > bytes)
			bytes = need;
	shape.rows = most(l->targets, 1);
	for (size_t i = 0; i < sizeof of_targets / sizeof *of_targets; i++)
		if ((need = m->dev->k->scratch_bytes(m->dev, of_targets[i], &shape)) > bytes)
			bytes = need;
	return bytes;
}

uint64_t forward_bytes(const struct model *model, const struct forward_limits *limits)
{
	struct forward_plan plan[FORWARD_BUFFERS];
	uint64_t bytes = scratch_bytes(model, limits);
	for (int i = plan_arrays(model, limits, plan); i-- > 0;)
		bytes += plan_bytes(&plan[i]);
	return bytes;
}

int forward_failed(const struct forward *f, struct err *err)
{
	return device_finish(f->dev, ERR_MEMORY, err);
}

void forward_put(struct forward *f, struct view v, const void *host, int64_t n)
{
	f->k->upload(f->dev, view_cols(v, 0, n), host);
}

void forward_array(struct forward *f, const struct forward_plan *p)
{
	struct buffer *buffer = f->k->alloc(f->dev, plan_bytes(p));
	if (!buffer)
		return;
	f->buffer[f->buffers++] = buffer;
	*(struct view *)(void *)((char *)f + p->at) = view_of(buffer, p->rows, p->cols, p->dtype);
}

struct forward *forward_new(struct model *model, const struct forward_limits *limits, struct err *err)
{
	struct forward_plan plan[FORWARD_BUFFERS];
	struct forward *f = mem_array(1, sizeof *f, err);
	if (!f)
		return NULL;
	*f = (struct forward){.model = model, .dev = model->dev, .k = model->dev->k, .limits = *limits,
			      .kept = limits->cache_rows ? limits->cache_rows : limits->prefix};
	graphs_init(&f->graphs, f->dev, GRAPHS_MOST);
	f->host = mem_array((size_t)most(call_room(limits), 2 * limits->targets), sizeof *f->host, err);
	int n = f->host ? plan_arrays(model, limits, plan) : 0;
	for (int i = 0; i < n; i++)
		forward_array(f, &plan[i]);
	f->sampled = view_rows(f->answer, 0, 1);
	f->logp = view_rows(f->answer, 1, 1);
	f->logp.dtype = DTYPE_F32;
	f->k->reserve(f->dev, scratch_bytes(model, limits));
	if (!f->host || forward_failed(f, err)) {
		forward_free(f);
		return NULL;
	}
	return f;
}

void forward_free(struct forward *f)
{
	if (!f)
		return;
	graphs_release(&f->graphs);
	while (f->buffers > 0)
		f->k->free(f->dev, f->buffer[--f->buffers]);
	free(f->host);
	free(f);
}
