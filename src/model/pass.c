// SPDX-License-Identifier: Apache-2.0
/* One call of a pass: forward, loss, backward. */
#include <stdlib.h>

#include "src/base/mem.h"
#include "src/model/pass_parts.h"

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
static struct pass_kept kept_of(const struct pass *p, int64_t index, int64_t rows)
{
	struct pass_kept k = p->kept[p->slots == 1 ? 0 : index];
	struct view *all[] = {&k.q, &k.k, &k.v, &k.o, &k.lse};
	for (int i = 0; i < 5; i++)
		*all[i] = view_rows(*all[i], 0, rows);
	return k;
}

static void layer_forward(struct pass *p, int64_t index, const struct segments *seg, struct view x)
{
	struct layer l;
	set_layer(&l, p, index, x.rows);
	struct pass_kept k = kept_of(p, index, x.rows);
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
	struct pass_kept k = kept_of(p, index, dx.rows);
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
	return pass_failed(p, err);
}
