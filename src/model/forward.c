// SPDX-License-Identifier: Apache-2.0
#include "src/model/forward.h"

#include <stdlib.h>

#include "src/base/mem.h"

enum { BUFFERS = 32 };

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
	struct view ids, pos, kv_dst, q_begin, own_begin, own_len, prefix_begin, prefix_len, pages;
	struct view row, target, logp, y, logits, sampled, seed, row_id, position;
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

/* Every array of a forward with these limits; n of them. */
static int plan_arrays(const struct model *m, const struct forward_limits *l, struct plan *plan)
{
	const struct model_config *c = &m->config;
	int64_t C = c->hidden_size, Q = c->num_attention_heads * c->head_dim, K = c->num_key_value_heads * c->head_dim;
	int64_t kept = (l->cache_rows ? l->cache_rows : l->prefix) * c->num_hidden_layers, R = l->rows;
	int64_t now = l->cache_rows ? 0 : l->prefix + R, S = l->segments, N = most(l->targets, 1);
	enum dtype act = m->dev->act_dtype, resid = m->dev->resid_dtype;
#define AT(field) offsetof(struct forward, field)
	const struct plan all[] = {
		{AT(x), R, C, resid}, {AT(q), R, Q, act}, {AT(o), R, Q, act}, {AT(key), now, K, act},
		{AT(value), now, K, act}, {AT(kept_key), kept, K, act}, {AT(kept_value), kept, K, act},
		{AT(ids), 1, R, DTYPE_I32}, {AT(pos), 1, R, DTYPE_I32}, {AT(kv_dst), 1, R, DTYPE_I32},
		{AT(q_begin), 1, S + 1, DTYPE_I32}, {AT(own_begin), 1, S, DTYPE_I32}, {AT(own_len), 1, S, DTYPE_I32},
		{AT(prefix_begin), 1, S, DTYPE_I32}, {AT(prefix_len), 1, S, DTYPE_I32},
		{AT(pages), S, l->pages, DTYPE_I32}, {AT(row), 1, N, DTYPE_I32}, {AT(target), 1, N, DTYPE_I32},
		{AT(logp), 1, N, DTYPE_F32}, {AT(y), N, C, resid}, {AT(sampled), 1, N, DTYPE_I32},
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
	int n = plan_arrays(model, limits, plan);
	for (int i = 0; i < n; i++)
		make_array(f, &plan[i]);
	f->k->reserve(f->dev, scratch_bytes(model, limits));
	if (failed(f, err)) {
		forward_free(f);
		return NULL;
	}
	return f;
}

void forward_free(struct forward *f)
{
	while (f && f->buffers > 0)
		f->k->free(f->dev, f->buffer[--f->buffers]);
	free(f);
}

/* ---- one call ------------------------------------------------------------------ */

static void put(struct forward *f, struct view v, const void *host, int64_t n)
{
	f->k->upload(f->dev, view_cols(v, 0, n), host);
}

/* Segment arrays that follow from the rest; scratch of `segments` numbers. */
static void put_segments(struct forward *f, const struct forward_rows *r, int64_t prefix, int32_t *numbers)
{
	for (int64_t s = 0; s < r->segments; s++)
		numbers[s] = (int32_t)prefix + r->q_begin[s];
	put(f, f->own_begin, numbers, r->segments);
	for (int64_t s = 0; s < r->segments; s++)
		numbers[s] = (int32_t)prefix;
	put(f, f->prefix_len, numbers, r->segments);
	for (int64_t s = 0; s < r->segments; s++)
		numbers[s] = 0;
	put(f, f->prefix_begin, numbers, r->segments);
	put(f, f->q_begin, r->q_begin, r->segments + 1);
	put(f, f->own_len, r->own_len, r->segments);
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

static int put_rows(struct forward *f, const struct forward_rows *r, int64_t prefix, struct err *err)
{
	int32_t *numbers = mem_array((size_t)r->segments, sizeof *numbers, err);
	if (!numbers)
		return -1;
	put(f, f->ids, r->ids, r->rows);
	put(f, f->pos, r->pos, r->rows);
	if (f->limits.cache_rows) {
		put(f, f->kv_dst, r->kv_dst, r->rows);
		f->k->upload(f->dev, view_rows(f->pages, 0, r->segments), r->pages);
	}
	put_segments(f, r, prefix, numbers);
	free(numbers);
	return 0;
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
	int64_t S = r->segments;
	struct segments seg = {
		.count = S, .max_queries = longest(r), .max_keys = f->limits.keys,
		.window = f->model->config.sliding_window, .q_begin = view_cols(f->q_begin, 0, S + 1),
		.own_begin = view_cols(f->own_begin, 0, S), .own_len = view_cols(f->own_len, 0, S),
		.prefix_begin = view_cols(f->prefix_begin, 0, S), .prefix_len = view_cols(f->prefix_len, 0, S),
		.pos = view_cols(f->pos, 0, r->rows),
	};
	if (f->limits.cache_rows) {
		seg.pages = view_rows(f->pages, 0, S);
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
		return (struct kv){kept_key, kept_value, kept_key, kept_value, view_cols(f->kv_dst, 0, rows)};
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

static int run(struct forward *f, const struct forward_rows *r, int64_t prefix, bool keep, struct err *err)
{
	if (check_rows(f, r, prefix, err) || put_rows(f, r, prefix, err))
		return -1;
	struct segments seg = segments_of(f, r);
	f->k->embed(f->dev, view_rows(f->x, 0, r->rows), &f->model->embedding, view_cols(f->ids, 0, r->rows));
	for (int64_t layer = 0; layer < f->model->config.num_hidden_layers; layer++)
		run_layer(f, layer, r, prefix, &seg, keep);
	f->rows = r->rows;
	return failed(f, err);
}

int forward_run(struct forward *f, const struct forward_rows *rows, struct err *err)
{
	return run(f, rows, rows->no_prefix ? 0 : f->prefix, false, err);
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
	int rc = run(f, &rows, 0, l->cache_rows == 0, err);
	f->prefix = rc ? 0 : n;
	free(pos);
	free(pages);
	return rc;
}

/* ---- what is asked of the last residual ------------------------------------------- */

/* Rows of x into y; n within the limits. */
static int gather(struct forward *f, const int32_t *row, int64_t n, struct err *err)
{
	if (n > f->y.rows)
		return err_set(err, ERR_INTERNAL, "%lld targets exceed the limit", (long long)n);
	put(f, f->row, row, n);
	f->k->gather_rows(f->dev, view_rows(f->y, 0, n), view_rows(f->x, 0, f->rows), view_cols(f->row, 0, n));
	return 0;
}

int forward_logp(struct forward *f, const int32_t *row, const int32_t *target, int64_t n, float *logp,
		 struct err *err)
{
	if (gather(f, row, n, err))
		return -1;
	put(f, f->target, target, n);
	f->k->head_loss(f->dev, view_cols(f->logp, 0, n), view_none(), NULL, view_rows(f->y, 0, n), &f->model->head,
			view_cols(f->target, 0, n), view_none());
	f->k->download(f->dev, logp, view_cols(f->logp, 0, n));
	return failed(f, err);
}

/* Logits of n rows, in an array made when it is first asked for. */
static int make_logits(struct forward *f, const int32_t *row, int64_t n, struct err *err)
{
	if (gather(f, row, n, err))
		return -1;
	if (!view_present(f->logits)) {
		struct plan plan = {offsetof(struct forward, logits), f->y.rows, f->model->config.vocab_size, DTYPE_F32};
		make_array(f, &plan);
	}
	if (failed(f, err))
		return -1;
	f->k->logits(f->dev, view_rows(f->logits, 0, n), view_rows(f->y, 0, n), &f->model->head);
	return failed(f, err);
}

int forward_logits(struct forward *f, const int32_t *row, int64_t n, float *logits, struct err *err)
{
	if (make_logits(f, row, n, err))
		return -1;
	f->k->download(f->dev, logits, view_rows(f->logits, 0, n));
	return failed(f, err);
}

int forward_sample(struct forward *f, const int32_t *row, int64_t n, const struct forward_draw *draw, int32_t *id,
		   float *logp, struct err *err)
{
	if (make_logits(f, row, n, err))
		return -1;
	struct sample_rng rng = {f->seed, view_cols(f->row_id, 0, n), view_cols(f->position, 0, n)};
	if (draw->rule.temperature > 0) {
		put(f, f->seed, &draw->seed, 1);
		put(f, f->row_id, draw->row_id, n);
		put(f, f->position, draw->position, n);
	}
	f->k->sample(f->dev, view_cols(f->sampled, 0, n), view_cols(f->logp, 0, n), view_rows(f->logits, 0, n),
		     &draw->rule, &rng);
	f->k->download(f->dev, id, view_cols(f->sampled, 0, n));
	f->k->download(f->dev, logp, view_cols(f->logp, 0, n));
	return failed(f, err);
}
