// SPDX-License-Identifier: Apache-2.0
#include "src/model/pass.h"

#include <stdlib.h>

#include "src/base/mem.h"
#include "src/model/graphs.h"

enum { FIXED = 32, PER_LAYER = 8, GRAPHS = 8 };

/* What a layer's forward leaves for its backward. */
struct kept {
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
	struct kept *kept;         /* [slots] */
	int64_t slots;             /* layers, or 1 with checkpointing */
	struct view x, dx, d_o, dq, dk, dv, inputs, y, dy;
	struct view ids, pos, row_key, state, row, target, weight, logp;
	struct view q_begin, own_begin, own_len, prefix_begin, prefix_len, user_begin, user;
	struct graphs graphs;
};

/* ---- arrays ---------------------------------------------------------------------- */

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

static int plan_layer(struct kept *kept, const struct model *m, const struct pass_trained *t,
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
	struct kept kept;
	struct plan plan[FIXED];
	uint64_t bytes = scratch_bytes(model, trained, limits), layer = 0;
	for (int i = plan_fixed(&none, model, limits, plan); i-- > 0;)
		bytes += plan_bytes(&plan[i]);
	for (int i = plan_layer(&kept, model, trained, limits, plan); i-- > 0;)
		layer += plan_bytes(&plan[i]);
	return bytes + layer * (uint64_t)slots_of(model, limits);
}

static int failed(const struct pass *p, struct err *err)
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
	if (!failed(p, err))
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

/* ---- one call ---------------------------------------------------------------------- */

static int check_rows(const struct pass *p, const struct pass_rows *r, struct err *err)
{
	const struct pass_limits *l = &p->limits;
	int64_t keys = 0;
	for (int64_t s = 0; s < r->segments; s++) {
		int64_t own = r->q_begin[s + 1] - r->q_begin[s] + (s ? r->prefix : 0);
		keys = own > keys ? own : keys;
	}
	if (r->rows <= l->rows && r->segments <= l->segments && r->targets <= l->targets && keys <= l->keys)
		return 0;
	return err_set(err, ERR_INTERNAL, "a call of %lld rows, %lld segments, %lld targets, %lld keys exceeds its limits",
		       (long long)r->rows, (long long)r->segments, (long long)r->targets, (long long)keys);
}

static void put(struct pass *p, struct view v, const void *host, int64_t n)
{
	p->k->upload(p->dev, view_cols(v, 0, n), host);
}

/* Arrays of the segments that follow from q_begin and the prefix; `numbers` has room for segments + 1. */
static void put_segments(struct pass *p, const struct pass_rows *r, int32_t *numbers)
{
	int64_t S = r->segments, users = r->prefix ? S - 1 : 0;
	put(p, p->q_begin, r->q_begin, S + 1);
	put(p, p->own_begin, r->q_begin, S);
	for (int64_t s = 0; s < S; s++)
		numbers[s] = r->q_begin[s + 1] - r->q_begin[s];
	put(p, p->own_len, numbers, S);
	for (int64_t s = 0; s < S; s++)
		numbers[s] = s ? (int32_t)r->prefix : 0;
	put(p, p->prefix_len, numbers, S);
	for (int64_t s = 0; s <= S; s++)
		numbers[s] = s ? (int32_t)users : 0;
	put(p, p->user_begin, numbers, S + 1);
	for (int64_t s = 0; s < S; s++)
		numbers[s] = (int32_t)(s + 1 < S ? s + 1 : 0);
	put(p, p->user, numbers, S);
	for (int64_t s = 0; s < S; s++)
		numbers[s] = 0;
	put(p, p->prefix_begin, numbers, S);
}

static int put_rows(struct pass *p, const struct pass_rows *r, struct err *err)
{
	const uint64_t state[2] = {r->seed, r->step};
	int32_t *numbers = mem_array((size_t)r->segments + 1, sizeof *numbers, err);
	if (!numbers)
		return -1;
	put(p, p->ids, r->ids, r->rows);
	put(p, p->pos, r->pos, r->rows);
	put(p, p->row_key, r->row_key, r->rows);
	put(p, p->state, state, 2);
	put(p, p->row, r->target_row, r->targets);
	put(p, p->target, r->target, r->targets);
	put(p, p->weight, r->weight, r->targets);
	put_segments(p, r, numbers);
	free(numbers);
	return 0;
}

static struct segments segments_of(const struct pass *p, const struct pass_rows *r)
{
	int64_t S = r->segments, longest = 0;
	for (int64_t s = 0; s < S; s++) {
		int64_t n = r->q_begin[s + 1] - r->q_begin[s];
		longest = n > longest ? n : longest;
	}
	return (struct segments){
		.count = S, .max_queries = longest, .max_keys = p->limits.keys,
		.window = p->model->config.sliding_window, .q_begin = view_cols(p->q_begin, 0, S + 1),
		.own_begin = view_cols(p->own_begin, 0, S), .own_len = view_cols(p->own_len, 0, S),
		.prefix_begin = view_cols(p->prefix_begin, 0, S), .prefix_len = view_cols(p->prefix_len, 0, S),
		.pos = view_cols(p->pos, 0, r->rows), .user_begin = view_cols(p->user_begin, 0, S + 1),
		.user = view_cols(p->user, 0, S),
	};
}

/* One layer's parameters with this call's masks. */
struct layer {
	struct attn_in_params in;
	struct attn_out_params out;
	struct mlp_params mlp;
	struct dropout drop;
};

static void set_layer(struct layer *l, const struct pass *p, int64_t index, int64_t rows)
{
	const struct model_layer *m = &p->model->layer[index];
	const struct adapter *a = p->trained.adapter;
	*l = (struct layer){m->in, m->out, m->mlp, {p->state, view_cols(p->row_key, 0, rows), (uint32_t)index}};
	if (a && a->config.dropout > 0)
		l->in.drop = l->out.drop = l->mlp.drop = &l->drop;
}

/* The kept arrays of a layer, cut to the call's rows. */
static struct kept kept_of(const struct pass *p, int64_t index, int64_t rows)
{
	struct kept k = p->kept[p->slots == 1 ? 0 : index];
	struct view *all[] = {&k.q, &k.k, &k.v, &k.o, &k.lse};
	for (int i = 0; i < 5; i++)
		*all[i] = view_rows(*all[i], 0, rows);
	return k;
}

static void layer_forward(struct pass *p, int64_t index, const struct segments *seg, struct view x)
{
	struct layer l;
	set_layer(&l, p, index, x.rows);
	struct kept k = kept_of(p, index, x.rows);
	p->k->attn_in(p->dev, k.q, k.k, k.v, k.in, x, seg->pos, view_none(), &l.in);
	p->k->attention(p->dev, k.o, k.lse, k.q, k.k, k.v, seg, &l.in.dims);
	p->k->attn_out(p->dev, x, k.out, k.o, &l.out);
	p->k->mlp(p->dev, x, k.mlp, &l.mlp);
}

/* Which parts of a layer need a gradient: nothing below the lowest adapter does. */
struct needs {
	bool below, attention, out;
};

static struct needs needs_of(const struct pass *p, int64_t index)
{
	unsigned targets = p->trained.adapter ? p->trained.adapter->config.targets : 0;
	struct needs n = {.below = index > 0 || p->trained.full};
	n.attention = n.below || (targets & (1u << MODULE_Q | 1u << MODULE_K | 1u << MODULE_V));
	n.out = n.attention || (targets & 1u << MODULE_O);
	return n;
}

static void layer_backward(struct pass *p, int64_t index, const struct segments *seg, struct view dx)
{
	struct layer l;
	set_layer(&l, p, index, dx.rows);
	struct kept k = kept_of(p, index, dx.rows);
	struct needs need = needs_of(p, index);
	const struct full_layer *g = p->trained.full ? &p->trained.full->layer[index] : NULL;
	struct view d_o = view_rows(p->d_o, 0, dx.rows), dq = view_rows(p->dq, 0, dx.rows);
	struct view dk = view_rows(p->dk, 0, dx.rows), dv = view_rows(p->dv, 0, dx.rows);
	p->k->mlp_backward(p->dev, dx, g ? &g->mlp : NULL, k.mlp, &l.mlp, need.out);
	if (!need.out)
		return;
	p->k->attn_out_backward(p->dev, d_o, g ? &g->out : NULL, dx, k.out, k.o, &l.out, need.attention);
	if (!need.attention)
		return;
	p->k->attention_backward(p->dev, dq, dk, dv, d_o, k.o, k.lse, k.q, k.k, k.v, seg, &l.in.dims);
	p->k->attn_in_backward(p->dev, dx, g ? &g->in : NULL, dq, dk, dv, k.in, seg->pos, &l.in, need.below);
}

static struct view input_of(const struct pass *p, int64_t index, int64_t rows)
{
	return view_rows(p->inputs, index * p->limits.rows, rows);
}

static void forward(struct pass *p, const struct segments *seg, struct view x)
{
	p->k->embed(p->dev, x, &p->model->embedding, view_cols(p->ids, 0, x.rows));
	for (int64_t i = 0; i < p->model->config.num_hidden_layers; i++) {
		if (p->limits.checkpointing)
			p->k->copy(p->dev, input_of(p, i, x.rows), x);
		layer_forward(p, i, seg, x);
	}
}

static void backward(struct pass *p, const struct segments *seg, struct view x, struct view dx)
{
	int64_t last = p->model->config.num_hidden_layers - 1;
	for (int64_t i = last; i >= 0; i--) {
		if (p->limits.checkpointing && i < last) { /* the last layer's arrays are still there */
			p->k->copy(p->dev, x, input_of(p, i, x.rows));
			layer_forward(p, i, seg, x);
		}
		layer_backward(p, i, seg, dx);
	}
	if (p->trained.full)
		p->k->embed_backward(p->dev, p->trained.full->embedding, dx, view_cols(p->ids, 0, x.rows));
}

/* A call's operations, between what is sent and what is fetched. */
struct call {
	struct pass *p;
	const struct pass_rows *rows;
	struct segments seg;
};

static void run_call(void *context)
{
	const struct call *c = context;
	struct pass *p = c->p;
	int64_t N = c->rows->targets;
	struct view x = view_rows(p->x, 0, c->rows->rows), dx = view_rows(p->dx, 0, c->rows->rows);
	struct view y = view_rows(p->y, 0, N), dy = view_rows(p->dy, 0, N), row = view_cols(p->row, 0, N);
	forward(p, &c->seg, x);
	p->k->gather_rows(p->dev, y, x, row);
	p->k->head_loss(p->dev, view_cols(p->logp, 0, N), dy, p->trained.full ? &p->trained.full->head : NULL, y,
			&p->model->head, view_cols(p->target, 0, N), view_cols(p->weight, 0, N));
	p->k->scatter_rows(p->dev, dx, dy, row);
	backward(p, &c->seg, x, dx);
}

int pass_run(struct pass *p, const struct pass_rows *r, float *logp, struct err *err)
{
	if (check_rows(p, r, err) || put_rows(p, r, err))
		return -1;
	struct call call = {p, r, segments_of(p, r)};
	const struct graph_shape shape = {{r->rows, r->segments, r->targets, r->prefix, call.seg.max_queries}};
	graphs_run(&p->graphs, &shape, run_call, &call);
	p->k->download(p->dev, logp, view_cols(p->logp, 0, r->targets));
	return failed(p, err);
}
