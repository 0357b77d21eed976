// SPDX-License-Identifier: Apache-2.0
#include "src/model/forward.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/model/graphs.h"

enum { BUFFERS = 32, ALIGNMENT = 16 /* numbers: where an array of a call begins */ };

struct forward {
	struct model *model;
	struct device *dev;
	const struct kernels *k;
	struct forward_limits limits;
	struct buffer *buffer[BUFFERS];
	int buffers;
	int64_t prefix;                  /* tokens kept now */
	int64_t rows;                    /* of the last call */
	struct view x, q, o;             /* [rows, C], [rows, H D] */
	struct view key, value;          /* without a cache: [prefix + rows, K D] of one layer */
	struct view kept_key, kept_value;/* prefix, or cache, of all layers: [layers * kept, K D] */
	int64_t kept;                    /* rows of a layer in them */
	struct view call;                /* all of a call's i32 arrays, sent at once: the views below lie in it */
	struct view ids, pos, kv_dst, q_begin, own_begin, own_len, prefix_begin, prefix_len, pages;
	int32_t *host;                   /* what `call` is sent from, and `answer` fetched to */
	int64_t laid;                    /* numbers of it in use */
	struct view answer, sampled, logp; /* i32 [2, targets]: ids, and log-probabilities as f32 */
	struct view row, target, y, logits, seed, row_id, position;
	struct graphs graphs;            /* of decoding */
};

/* ---- arrays ------------------------------------------------------------------- */

struct plan {
	size_t at; /* offset of the view in struct forward */
	int64_t rows, cols;
	enum dtype dtype;
};

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Numbers of all arrays of a call. */
static int64_t call_room(const struct forward_limits *l)
{
	enum { ARRAYS = 9 };
	return 3 * l->rows + 5 * (l->segments + 1) + l->segments * l->pages + ARRAYS * ALIGNMENT;
}

/* Every array of a forward with these limits; n of them. */
static int plan_arrays(const struct model *m, const struct forward_limits *l, struct plan *plan)
{
	const struct model_config *c = &m->config;
	int64_t C = c->hidden_size, Q = c->num_attention_heads * c->head_dim, K = c->num_key_value_heads * c->head_dim;
	int64_t kept = (l->cache_rows ? l->cache_rows : l->prefix) * c->num_hidden_layers, R = l->rows;
	int64_t now = l->cache_rows ? 0 : l->prefix + R, N = most(l->targets, 1);
	enum dtype act = m->dev->act_dtype, resid = m->dev->resid_dtype;
#define AT(field) offsetof(struct forward, field)
	const struct plan all[] = {
		{AT(x), R, C, resid}, {AT(q), R, Q, act}, {AT(o), R, Q, act}, {AT(key), now, K, act},
		{AT(value), now, K, act}, {AT(kept_key), kept, K, act}, {AT(kept_value), kept, K, act},
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

static size_t plan_bytes(const struct plan *p)
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
	struct plan plan[BUFFERS];
	uint64_t bytes = scratch_bytes(model, limits);
	for (int i = plan_arrays(model, limits, plan); i-- > 0;)
		bytes += plan_bytes(&plan[i]);
	return bytes;
}

static int failed(const struct forward *f, struct err *err)
{
	return device_finish(f->dev, ERR_MEMORY, err);
}

static void make_array(struct forward *f, const struct plan *p)
{
	struct buffer *buffer = f->k->alloc(f->dev, plan_bytes(p));
	if (!buffer)
		return;
	f->buffer[f->buffers++] = buffer;
	*(struct view *)(void *)((char *)f + p->at) = view_of(buffer, p->rows, p->cols, p->dtype);
}

struct forward *forward_new(struct model *model, const struct forward_limits *limits, struct err *err)
{
	struct plan plan[BUFFERS];
	struct forward *f = mem_array(1, sizeof *f, err);
	if (!f)
		return NULL;
	*f = (struct forward){.model = model, .dev = model->dev, .k = model->dev->k, .limits = *limits,
			      .kept = limits->cache_rows ? limits->cache_rows : limits->prefix};
	graphs_init(&f->graphs, f->dev, GRAPHS_MOST);
	f->host = mem_array((size_t)most(call_room(limits), 2 * limits->targets), sizeof *f->host, err);
	int n = f->host ? plan_arrays(model, limits, plan) : 0;
	for (int i = 0; i < n; i++)
		make_array(f, &plan[i]);
	f->sampled = view_rows(f->answer, 0, 1);
	f->logp = view_rows(f->answer, 1, 1);
	f->logp.dtype = DTYPE_F32;
	f->k->reserve(f->dev, scratch_bytes(model, limits));
	if (!f->host || failed(f, err)) {
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

/* ---- one call ------------------------------------------------------------------ */

static void put(struct forward *f, struct view v, const void *host, int64_t n)
{
	f->k->upload(f->dev, view_cols(v, 0, n), host);
}

/* n numbers into the call, each value (0 where there are none) plus `add`. */
static struct view lay(struct forward *f, int64_t n, const int32_t *values, int64_t add)
{
	struct view v = view_cols(f->call, f->laid, n);
	for (int64_t i = 0; i < n; i++)
		f->host[f->laid + i] = (values ? values[i] : 0) + (int32_t)add;
	f->laid += (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	return v;
}

static int check_rows(const struct forward *f, const struct forward_rows *r, int64_t prefix, struct err *err)
{
	const struct forward_limits *l = &f->limits;
	int64_t keys = 0;
	for (int64_t s = 0; s < r->segments; s++)
		keys = most(keys, prefix + r->own_len[s]);
	if (r->rows <= l->rows && r->segments <= l->segments && keys <= l->keys)
		return 0;
	return err_set(err, ERR_INTERNAL, "a call of %lld rows, %lld segments, %lld keys exceeds its limits",
		       (long long)r->rows, (long long)r->segments, (long long)keys);
}

static void put_rows(struct forward *f, const struct forward_rows *r, int64_t prefix)
{
	int64_t S = r->segments, P = f->limits.pages;
	f->laid = 0;
	f->ids = lay(f, r->rows, r->ids, 0);
	f->pos = lay(f, r->rows, r->pos, 0);
	f->q_begin = lay(f, S + 1, r->q_begin, 0);
	f->own_begin = lay(f, S, r->q_begin, prefix);
	f->own_len = lay(f, S, r->own_len, 0);
	f->prefix_begin = lay(f, S, NULL, 0);
	f->prefix_len = lay(f, S, NULL, prefix);
	if (f->limits.cache_rows) {
		f->kv_dst = lay(f, r->rows, r->kv_dst, 0);
		f->pages = lay(f, S * P, r->pages, 0);
		f->pages.rows = S;
		f->pages.cols = f->pages.ld = P;
	}
	put(f, f->call, f->host, f->laid);
}

static int64_t longest(const struct forward_rows *r)
{
	int64_t n = 0;
	for (int64_t s = 0; s < r->segments; s++)
		n = most(n, r->q_begin[s + 1] - r->q_begin[s]);
	return n;
}

static struct segments segments_of(const struct forward *f, const struct forward_rows *r)
{
	struct segments seg = {
		.count = r->segments, .max_queries = longest(r), .max_keys = f->limits.keys,
		.window = f->model->config.sliding_window, .q_begin = f->q_begin, .own_begin = f->own_begin,
		.own_len = f->own_len, .prefix_begin = f->prefix_begin, .prefix_len = f->prefix_len, .pos = f->pos,
	};
	if (f->limits.cache_rows) {
		seg.pages = f->pages;
		seg.page_size = f->limits.page_size;
	}
	return seg;
}

/* The layer's keys and values, and where the call's own rows go. */
struct kv {
	struct view key, value;      /* what attention reads */
	struct view to_key, to_value;/* what attn_in writes */
	struct view dst;             /* rows of them, or absent */
};

static struct kv kv_of(struct forward *f, int64_t layer, int64_t rows, int64_t prefix)
{
	struct view kept_key = view_rows(f->kept_key, layer * f->kept, f->kept);
	struct view kept_value = view_rows(f->kept_value, layer * f->kept, f->kept);
	if (f->limits.cache_rows)
		return (struct kv){kept_key, kept_value, kept_key, kept_value, f->kv_dst};
	struct kv kv = {.key = view_rows(f->key, 0, prefix + rows), .value = view_rows(f->value, 0, prefix + rows),
			.to_key = view_rows(f->key, prefix, rows), .to_value = view_rows(f->value, prefix, rows)};
	if (prefix) {
		f->k->copy(f->dev, view_rows(f->key, 0, prefix), view_rows(kept_key, 0, prefix));
		f->k->copy(f->dev, view_rows(f->value, 0, prefix), view_rows(kept_value, 0, prefix));
	}
	return kv;
}

static void run_layer(struct forward *f, int64_t layer, const struct forward_rows *r, int64_t prefix,
		      const struct segments *seg, bool keep)
{
	const struct model_layer *l = &f->model->layer[layer];
	struct view x = view_rows(f->x, 0, r->rows), q = view_rows(f->q, 0, r->rows), o = view_rows(f->o, 0, r->rows);
	struct kv kv = kv_of(f, layer, r->rows, prefix);
	f->k->attn_in(f->dev, q, kv.to_key, kv.to_value, view_none(), x, seg->pos, kv.dst, &l->in);
	f->k->attention(f->dev, o, view_none(), q, kv.key, kv.value, seg, &l->in.dims);
	f->k->attn_out(f->dev, x, view_none(), o, &l->out);
	f->k->mlp(f->dev, x, view_none(), &l->mlp);
	if (keep) {
		f->k->copy(f->dev, view_rows(f->kept_key, layer * f->kept, r->rows), kv.to_key);
		f->k->copy(f->dev, view_rows(f->kept_value, layer * f->kept, r->rows), kv.to_value);
	}
}

/* All layers over rows that are on the device. */
static void run_layers(struct forward *f, const struct forward_rows *r, int64_t prefix, bool keep)
{
	struct segments seg = segments_of(f, r);
	f->k->embed(f->dev, view_rows(f->x, 0, r->rows), &f->model->embedding, f->ids);
	for (int64_t layer = 0; layer < f->model->config.num_hidden_layers; layer++)
		run_layer(f, layer, r, prefix, &seg, keep);
}

static int begin_call(struct forward *f, const struct forward_rows *r, int64_t prefix, struct err *err)
{
	if (check_rows(f, r, prefix, err))
		return -1;
	put_rows(f, r, prefix);
	f->rows = r->rows;
	return 0;
}

static int64_t prefix_of(const struct forward *f, const struct forward_rows *r)
{
	return r->no_prefix ? 0 : f->prefix;
}

int forward_run(struct forward *f, const struct forward_rows *rows, struct err *err)
{
	if (begin_call(f, rows, prefix_of(f, rows), err))
		return -1;
	run_layers(f, rows, prefix_of(f, rows), false);
	return 0;
}

/* The prefix in pieces of limits.rows would see no earlier piece without a cache: it must fit one call. */
int forward_set_prefix(struct forward *f, const int32_t *ids, int64_t n, struct err *err)
{
	const struct forward_limits *l = &f->limits;
	if (n > l->prefix || n > l->rows || n > l->keys)
		return err_set(err, ERR_INTERNAL, "a prefix of %lld tokens exceeds its limits", (long long)n);
	f->prefix = 0;
	if (!n)
		return 0;
	int32_t *pos = mem_array((size_t)n, sizeof *pos, err);
	int32_t *pages = mem_array((size_t)most(l->pages, 1), sizeof *pages, err);
	if (!pos || !pages) {
		free(pos);
		free(pages);
		return -1;
	}
	for (int32_t i = 0; i < n; i++)
		pos[i] = i;
	for (int32_t i = 0; i < l->pages; i++)
		pages[i] = i * l->page_size + l->page_size <= l->cache_rows ? i : 0;
	const int32_t q_begin[2] = {0, (int32_t)n}, own_len = (int32_t)n;
	struct forward_rows rows = {.rows = n, .segments = 1, .ids = ids, .pos = pos, .q_begin = q_begin,
				    .own_len = &own_len, .kv_dst = pos, .pages = pages};
	int rc = begin_call(f, &rows, 0, err);
	if (!rc) {
		run_layers(f, &rows, 0, l->cache_rows == 0);
		rc = failed(f, err);
	}
	f->prefix = rc ? 0 : n;
	free(pos);
	free(pages);
	return rc;
}

/* ---- what is asked of the last residual ------------------------------------------- */

static int check_targets(const struct forward *f, int64_t n, struct err *err)
{
	return n <= f->y.rows ? 0 : err_set(err, ERR_INTERNAL, "%lld targets exceed the limit", (long long)n);
}

/* The rows of x that f->row names into y. */
static struct view gather(struct forward *f, int64_t n)
{
	struct view y = view_rows(f->y, 0, n);
	f->k->gather_rows(f->dev, y, view_rows(f->x, 0, f->rows), view_cols(f->row, 0, n));
	return y;
}

int forward_logp(struct forward *f, const int32_t *row, const int32_t *target, int64_t n, float *logp,
		 struct err *err)
{
	if (check_targets(f, n, err))
		return -1;
	put(f, f->row, row, n);
	put(f, f->target, target, n);
	f->k->head_loss(f->dev, view_cols(f->logp, 0, n), view_none(), NULL, gather(f, n), &f->model->head,
			view_cols(f->target, 0, n), view_none());
	f->k->download(f->dev, logp, view_cols(f->logp, 0, n));
	return failed(f, err);
}

/* The array of logits is made when it is first asked for. */
static int make_logits(struct forward *f, int64_t n, struct err *err)
{
	if (check_targets(f, n, err))
		return -1;
	if (view_present(f->logits))
		return 0;
	struct plan plan = {offsetof(struct forward, logits), f->y.rows, f->model->config.vocab_size, DTYPE_F32};
	make_array(f, &plan);
	return failed(f, err);
}

static struct view run_logits(struct forward *f, int64_t n)
{
	struct view z = view_rows(f->logits, 0, n);
	f->k->logits(f->dev, z, gather(f, n), &f->model->head);
	return z;
}

int forward_logits(struct forward *f, const int32_t *row, int64_t n, float *logits, struct err *err)
{
	if (make_logits(f, n, err))
		return -1;
	put(f, f->row, row, n);
	f->k->download(f->dev, logits, run_logits(f, n));
	return failed(f, err);
}

/* ---- decoding ----------------------------------------------------------------------- */

/* One call of forward_sample. */
struct step {
	struct forward *f;
	const struct forward_rows *rows;
	int64_t n;
	const struct sample_rule *rule;
};

/* Between what is sent and what is fetched: operations alone. */
static void run_step(void *context)
{
	const struct step *s = context;
	struct forward *f = s->f;
	run_layers(f, s->rows, prefix_of(f, s->rows), false);
	if (!s->n)
		return;
	struct sample_rng rng = {f->seed, view_cols(f->row_id, 0, s->n), view_cols(f->position, 0, s->n)};
	f->k->sample(f->dev, view_cols(f->sampled, 0, s->n), view_cols(f->logp, 0, s->n), run_logits(f, s->n), s->rule,
		     &rng);
}

/* A step of decoding alone, one token of every segment, comes again and again; others hardly ever do. */
static void run_or_replay(struct step *s)
{
	struct graph_shape shape = {{s->rows->segments, s->n}};
	_Static_assert(sizeof *s->rule <= sizeof shape.number - 2 * sizeof shape.number[0], "a rule is part of the shape");
	memcpy(&shape.number[2], s->rule, sizeof *s->rule);
	if (s->f->limits.cache_rows && s->rows->rows == s->rows->segments && longest(s->rows) == 1)
		graphs_run(&s->f->graphs, &shape, run_step, s);
	else
		run_step(s);
}

static void put_draw(struct forward *f, const int32_t *row, int64_t n, const struct forward_draw *draw)
{
	put(f, f->row, row, n);
	if (draw->rule.temperature <= 0)
		return;
	put(f, f->seed, &draw->seed, 1);
	put(f, f->row_id, draw->row_id, n);
	put(f, f->position, draw->position, n);
}

static int fetch_answer(struct forward *f, int64_t n, int32_t *id, float *logp, struct err *err)
{
	f->k->download(f->dev, f->host, view_cols(f->answer, 0, n));
	if (failed(f, err))
		return -1;
	memcpy(id, f->host, (size_t)n * sizeof *id);
	memcpy(logp, f->host + n, (size_t)n * sizeof *logp);
	return 0;
}

int forward_sample(struct forward *f, const struct forward_rows *rows, const int32_t *row, int64_t n,
		   const struct forward_draw *draw, int32_t *id, float *logp, struct err *err)
{
	struct step step = {f, rows, n, &draw->rule};
	if ((n && make_logits(f, n, err)) || begin_call(f, rows, prefix_of(f, rows), err))
		return -1;
	if (n)
		put_draw(f, row, n, draw);
	run_or_replay(&step);
	return n ? fetch_answer(f, n, id, logp, err) : failed(f, err);
}
