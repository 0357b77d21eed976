// SPDX-License-Identifier: Apache-2.0
/* Argument checks of the composites. */
#include "reference/check_internal.h"

/* `saved`, where given, holds what the device asks for; `name` is the operation called, `op` the one that saves. */
static bool check_saved(struct device *dev, const char *name, enum op op, struct view saved, const struct shape *shape)
{
	if (!saved.buffer)
		return true;
	const struct expect list[] = {{"saved", saved, 1, -1, CHECK_U8, false}};
	if (!CHECK(dev, name, list))
		return false;
	size_t need = dev->k->saved_bytes(dev, op, shape);
	if ((size_t)saved.cols >= need && saved.offset % 64 == 0)
		return true;
	device_fail(dev, name, "saved has %lld bytes at offset %lld, expected %zu at a multiple of 64",
		    (long long)saved.cols, (long long)saved.offset, need);
	return false;
}

static int64_t rank_of(const struct lora *const lora[], int n)
{
	int64_t rank = 0;
	for (int i = 0; i < n; i++)
		if (lora[i] && lora[i]->a.rows > rank)
			rank = lora[i]->a.rows;
	return rank;
}

static bool check_dims(struct device *dev, const char *op, const struct attn_dims *dims)
{
	if (dims->heads > 0 && dims->kv_heads > 0 && dims->heads % dims->kv_heads == 0 && dims->head_dim > 0)
		return true;
	device_fail(dev, op, "%d heads over %d key heads of size %d", dims->heads, dims->kv_heads, dims->head_dim);
	return false;
}

static bool check_attn_in_params(struct device *dev, const char *op, const struct attn_in_params *p, int64_t rows)
{
	const struct attn_dims *d = &p->dims;
	if (!check_dims(dev, op, d))
		return false;
	int64_t hidden = p->norm_w.cols, key = (int64_t)d->kv_heads * d->head_dim;
	const int64_t out[3] = {(int64_t)d->heads * d->head_dim, key, key};
	const struct expect list[] = {
		{"norm_w", p->norm_w, 1, -1, CHECK_FLOAT, false},
		{"bias q", p->bias[0], 1, out[0], CHECK_FLOAT, true},
		{"bias k", p->bias[1], 1, out[1], CHECK_FLOAT, true},
		{"bias v", p->bias[2], 1, out[2], CHECK_FLOAT, true},
		{"q_norm", p->q_norm, 1, d->head_dim, CHECK_FLOAT, true},
		{"k_norm", p->k_norm, 1, d->head_dim, CHECK_FLOAT, true},
		{"cos", p->rope.cos, -1, d->head_dim / 2, CHECK_F32, false},
		{"sin", p->rope.sin, p->rope.cos.rows, d->head_dim / 2, CHECK_F32, false},
	};
	bool good = CHECK(dev, op, list) && check_weight(dev, op, p->wqkv, 3, out, hidden);
	for (int i = 0; i < 3; i++)
		good = good && check_adapter(dev, op, p->lora[i], p->drop, out[i], hidden, rows);
	return good;
}

static struct shape attn_in_shape(const struct attn_in_params *p, int64_t rows)
{
	return (struct shape){.rows = rows, .hidden = p->norm_w.cols, .heads = p->dims.heads,
			      .kv_heads = p->dims.kv_heads, .head_dim = p->dims.head_dim,
			      .rank = rank_of(p->lora, 3),
			      .qk_norm = view_present(p->q_norm) || view_present(p->k_norm)};
}

bool check_attn_in(struct device *dev, struct view q, struct view k, struct view v, struct view saved, struct view x,
		   struct view pos, struct view kv_dst, const struct attn_in_params *p)
{
	int64_t key = (int64_t)p->dims.kv_heads * p->dims.head_dim, rows = x.rows;
	const struct expect list[] = {
		{"x", x, -1, p->norm_w.cols, CHECK_FLOAT, false},
		{"q", q, rows, (int64_t)p->dims.heads * p->dims.head_dim, CHECK_FLOAT, false},
		{"k", k, kv_dst.buffer ? -1 : rows, key, CHECK_FLOAT, false},
		{"v", v, k.rows, key, CHECK_FLOAT, false},
		{"pos", pos, 1, rows, CHECK_I32, false},
		{"kv_dst", kv_dst, 1, rows, CHECK_I32, true},
	};
	struct shape shape = attn_in_shape(p, rows);
	return CHECK(dev, "attn_in", list) && check_attn_in_params(dev, "attn_in", p, rows) &&
	       check_saved(dev, "attn_in", OP_attn_in, saved, &shape) &&
	       check_range(dev, "attn_in", "pos", pos, 0, p->rope.cos.rows) &&
	       (!kv_dst.buffer || check_range(dev, "attn_in", "kv_dst", kv_dst, INT32_MIN, k.rows));
}

bool check_attn_in_backward(struct device *dev, struct view dx, struct view dq, struct view dk, struct view dv,
			    struct view saved, struct view pos, const struct attn_in_params *p)
{
	int64_t key = (int64_t)p->dims.kv_heads * p->dims.head_dim, rows = dx.rows;
	const struct expect list[] = {
		{"dx", dx, -1, p->norm_w.cols, CHECK_FLOAT, false},
		{"dq", dq, rows, (int64_t)p->dims.heads * p->dims.head_dim, CHECK_FLOAT, false},
		{"dk", dk, rows, key, CHECK_FLOAT, false},
		{"dv", dv, rows, key, CHECK_FLOAT, false},
		{"saved", saved, 1, -1, CHECK_U8, false},
		{"pos", pos, 1, rows, CHECK_I32, false},
	};
	struct shape shape = attn_in_shape(p, rows);
	return CHECK(dev, "attn_in_backward", list) && check_attn_in_params(dev, "attn_in_backward", p, rows) &&
	       check_saved(dev, "attn_in_backward", OP_attn_in, saved, &shape) &&
	       check_range(dev, "attn_in_backward", "pos", pos, 0, p->rope.cos.rows);
}

static bool check_segments(struct device *dev, const char *op, const struct segments *seg, int64_t queries)
{
	int64_t s = seg->count;
	const struct expect list[] = {
		{"q_begin", seg->q_begin, 1, s + 1, CHECK_I32, false},
		{"own_begin", seg->own_begin, 1, s, CHECK_I32, view_present(seg->pages)},
		{"own_len", seg->own_len, 1, s, CHECK_I32, false},
		{"prefix_begin", seg->prefix_begin, 1, s, CHECK_I32, false},
		{"prefix_len", seg->prefix_len, 1, s, CHECK_I32, false},
		{"pages", seg->pages, s, -1, CHECK_I32, true},
		{"pos", seg->pos, 1, queries, CHECK_I32, false},
	};
	return CHECK(dev, op, list);
}

/* Every row that segment s names lies inside q and k. */
static bool check_segment(struct device *dev, const char *op, const struct segments *seg, int64_t s, int64_t queries,
			  int64_t keys)
{
	const int32_t *q = (const int32_t *)view_row(seg->q_begin, 0) + s;
	int64_t own = ((const int32_t *)view_row(seg->own_len, 0))[s];
	int64_t prefix = ((const int32_t *)view_row(seg->prefix_len, 0))[s];
	int64_t prefix_at = ((const int32_t *)view_row(seg->prefix_begin, 0))[s];
	bool good = q[0] >= 0 && q[0] <= q[1] && q[1] <= queries && own >= q[1] - q[0] && prefix >= 0 &&
		    q[1] - q[0] <= seg->max_queries && own + prefix <= seg->max_keys &&
		    (prefix == 0 || (prefix_at >= 0 && prefix_at + prefix <= keys));
	if (good && seg->pages.buffer) {
		const int32_t *page = view_row(seg->pages, s);
		good = seg->page_size > 0 && (own + seg->page_size - 1) / seg->page_size <= seg->pages.cols;
		for (int64_t p = 0; good && p * seg->page_size < own; p++)
			good = page[p] >= 0 && (page[p] + (int64_t)1) * seg->page_size <= keys;
	} else if (good && own) {
		int64_t at = ((const int32_t *)view_row(seg->own_begin, 0))[s];
		good = at >= 0 && at + own <= keys;
	}
	if (!good)
		device_fail(dev, op, "segment %lld names rows outside q, k or the stated bounds", (long long)s);
	return good;
}

static bool check_all_segments(struct device *dev, const char *op, const struct segments *seg, int64_t queries,
			       int64_t keys)
{
	bool good = check_segments(dev, op, seg, queries);
	for (int64_t s = 0; good && !dev->remote && s < seg->count; s++)
		good = check_segment(dev, op, seg, s, queries, keys);
	return good;
}

bool check_attention(struct device *dev, struct view o, struct view lse, struct view q, struct view k, struct view v,
		     const struct segments *seg, const struct attn_dims *dims)
{
	int64_t query = (int64_t)dims->heads * dims->head_dim, key = (int64_t)dims->kv_heads * dims->head_dim;
	const struct expect list[] = {
		{"q", q, -1, query, CHECK_FLOAT, false},
		{"o", o, q.rows, query, CHECK_FLOAT, false},
		{"lse", lse, q.rows, dims->heads, CHECK_F32, true},
		{"k", k, -1, key, CHECK_FLOAT, false},
		{"v", v, k.rows, key, CHECK_FLOAT, false},
	};
	return check_dims(dev, "attention", dims) && CHECK(dev, "attention", list) &&
	       check_all_segments(dev, "attention", seg, q.rows, k.rows);
}

/* Does segment u's prefix lie in the own rows of segment s, which stands before it? */
static bool uses(const struct segments *seg, int64_t u, int64_t s)
{
	const int32_t *own = view_row(seg->own_begin, 0), *len = view_row(seg->own_len, 0);
	int64_t begin = ((const int32_t *)view_row(seg->prefix_begin, 0))[u];
	int64_t end = begin + ((const int32_t *)view_row(seg->prefix_len, 0))[u];
	return u > s && begin < end && begin >= own[s] && end <= own[s] + len[s];
}

/* Every segment with a prefix is listed once, by the segment whose own rows it is, ascending: none is forgotten. */
static bool check_prefixes(struct device *dev, const struct segments *seg)
{
	const int32_t *begin = view_row(seg->user_begin, 0), *user = view_row(seg->user, 0);
	const int32_t *prefix = view_row(seg->prefix_len, 0);
	int64_t prefixes = 0;
	for (int64_t s = 0; s < seg->count; s++) {
		prefixes += prefix[s] > 0;
		for (int32_t i = begin[s]; i < begin[s + 1]; i++)
			if (!uses(seg, user[i], s) || (i > begin[s] && user[i] <= user[i - 1]))
				device_fail(dev, "attention_backward", "segment %d is no user of segment %lld, or out of order",
					    user[i], (long long)s);
	}
	if (prefixes != begin[seg->count])
		device_fail(dev, "attention_backward", "%lld segments have a prefix, %d are listed as users",
			    (long long)prefixes, begin[seg->count]);
	return !dev->failure[0];
}

/* The backward's rules: no pages, queries and own keys the same rows, users listed. */
static bool check_users(struct device *dev, const struct segments *seg)
{
	const struct expect list[] = {
		{"user_begin", seg->user_begin, 1, seg->count + 1, CHECK_I32, false},
		{"user", seg->user, 1, -1, CHECK_I32, false},
	};
	if (view_present(seg->pages))
		device_fail(dev, "attention_backward", "pages are not allowed");
	if (!CHECK(dev, "attention_backward", list) || dev->remote)
		return !dev->failure[0];
	const int32_t *q = view_row(seg->q_begin, 0), *own = view_row(seg->own_begin, 0);
	const int32_t *len = view_row(seg->own_len, 0), *begin = view_row(seg->user_begin, 0);
	for (int64_t s = 0; s < seg->count; s++)
		if (q[s + 1] - q[s] != len[s] || (len[s] && q[s] != own[s]) || begin[s] > begin[s + 1])
			device_fail(dev, "attention_backward", "segment %lld: queries and own keys differ", (long long)s);
	if (begin[0] != 0 || begin[seg->count] > seg->user.cols)
		device_fail(dev, "attention_backward", "user_begin points outside user");
	return !dev->failure[0] &&
	       check_range(dev, "attention_backward", "user", view_cols(seg->user, 0, begin[seg->count]), 0,
			   seg->count) &&
	       check_prefixes(dev, seg);
}

bool check_attention_backward(struct device *dev, struct view dq, struct view dk, struct view dv, struct view d_o,
			      struct view o, struct view lse, struct view q, struct view k, struct view v,
			      const struct segments *seg, const struct attn_dims *dims)
{
	int64_t query = (int64_t)dims->heads * dims->head_dim, key = (int64_t)dims->kv_heads * dims->head_dim;
	const struct expect list[] = {
		{"q", q, -1, query, CHECK_FLOAT, false},    {"k", k, q.rows, key, CHECK_FLOAT, false},
		{"v", v, q.rows, key, CHECK_FLOAT, false},  {"dq", dq, q.rows, query, CHECK_FLOAT, false},
		{"dk", dk, q.rows, key, CHECK_FLOAT, false}, {"dv", dv, q.rows, key, CHECK_FLOAT, false},
		{"d_o", d_o, q.rows, query, CHECK_FLOAT, false}, {"o", o, q.rows, query, CHECK_FLOAT, false},
		{"lse", lse, q.rows, dims->heads, CHECK_F32, false},
	};
	return check_dims(dev, "attention_backward", dims) && CHECK(dev, "attention_backward", list) &&
	       check_all_segments(dev, "attention_backward", seg, q.rows, k.rows) && check_users(dev, seg);
}

static bool check_attn_out_params(struct device *dev, const char *op, struct view x, struct view saved, struct view o,
				  const struct attn_out_params *p)
{
	const int64_t out[1] = {x.cols};
	const struct expect list[] = {
		{"x", x, -1, -1, CHECK_FLOAT, false},
		{"o", o, x.rows, -1, CHECK_FLOAT, false},
		{"bias", p->bias, 1, x.cols, CHECK_FLOAT, true},
	};
	struct shape shape = {.rows = x.rows, .hidden = x.cols, .heads = o.cols, .head_dim = 1,
			      .rank = rank_of(&p->lora, 1)};
	return CHECK(dev, op, list) && check_weight(dev, op, p->wo, 1, out, o.cols) &&
	       check_adapter(dev, op, p->lora, p->drop, x.cols, o.cols, x.rows) &&
	       check_saved(dev, op, OP_attn_out, saved, &shape);
}

bool check_attn_out(struct device *dev, struct view x, struct view saved, struct view o,
		    const struct attn_out_params *p)
{
	return check_attn_out_params(dev, "attn_out", x, saved, o, p);
}

bool check_attn_out_backward(struct device *dev, struct view d_o, struct view dx, struct view saved, struct view o,
			     const struct attn_out_params *p, bool want_do)
{
	const struct expect list[] = {
		{"d_o", d_o, dx.rows, o.cols, CHECK_FLOAT, !want_do},
		{"saved", saved, 1, -1, CHECK_U8, p->lora == NULL},
	};
	return CHECK(dev, "attn_out_backward", list) &&
	       check_attn_out_params(dev, "attn_out_backward", dx, saved, o, p);
}

static bool check_mlp_params(struct device *dev, const char *op, struct view x, struct view saved,
			     const struct mlp_params *p)
{
	int64_t ffn = p->wgu && p->wgu->n == 2 ? p->wgu->w[0].rows : -1, hidden = x.cols;
	const int64_t up[2] = {ffn, ffn}, down[1] = {hidden};
	const struct expect list[] = {
		{"x", x, -1, -1, CHECK_FLOAT, false},
		{"norm_w", p->norm_w, 1, hidden, CHECK_FLOAT, false},
	};
	struct shape shape = {.rows = x.rows, .hidden = hidden, .ffn = ffn, .rank = rank_of(p->lora, 3)};
	return CHECK(dev, op, list) && check_weight(dev, op, p->wgu, 2, up, hidden) &&
	       check_weight(dev, op, p->wdown, 1, down, ffn) &&
	       check_adapter(dev, op, p->lora[0], p->drop, ffn, hidden, x.rows) &&
	       check_adapter(dev, op, p->lora[1], p->drop, ffn, hidden, x.rows) &&
	       check_adapter(dev, op, p->lora[2], p->drop, hidden, ffn, x.rows) &&
	       check_saved(dev, op, OP_mlp, saved, &shape);
}

bool check_mlp(struct device *dev, struct view x, struct view saved, const struct mlp_params *p)
{
	return check_mlp_params(dev, "mlp", x, saved, p);
}

bool check_mlp_backward(struct device *dev, struct view dx, struct view saved, const struct mlp_params *p)
{
	return check_view(dev, "mlp_backward", "saved", saved, CHECK_U8) &&
	       check_mlp_params(dev, "mlp_backward", dx, saved, p);
}

static bool check_head(struct device *dev, const char *op, struct view x, const struct head_params *p)
{
	const int64_t out[1] = {p->w ? p->w->w[0].rows : -1};
	const struct expect list[] = {
		{"x", x, -1, -1, CHECK_FLOAT, false},
		{"norm_w", p->norm_w, 1, x.cols, CHECK_FLOAT, false},
	};
	return CHECK(dev, op, list) && check_weight(dev, op, p->w, 1, out, x.cols);
}

bool check_head_loss(struct device *dev, struct view logp, struct view dx, const struct head_grads *grads,
		     struct view x, const struct head_params *p, struct view target, struct view weight)
{
	bool gradient = dx.buffer || grads;
	if (!check_head(dev, "head_loss", x, p))
		return false;
	const struct expect list[] = {
		{"logp", logp, 1, x.rows, CHECK_F32, false},
		{"dx", dx, x.rows, x.cols, CHECK_FLOAT, true},
		{"dW", grads ? grads->w : view_none(), p->w->w[0].rows, x.cols, CHECK_F32, true},
		{"dnorm", grads ? grads->norm_w : view_none(), 1, x.cols, CHECK_F32, true},
		{"target", target, 1, x.rows, CHECK_I32, false},
		{"weight", weight, 1, x.rows, CHECK_F32, !gradient},
	};
	return CHECK(dev, "head_loss", list) &&
	       check_range(dev, "head_loss", "target", target, INT32_MIN, p->w->w[0].rows);
}

bool check_logits(struct device *dev, struct view y, struct view x, const struct head_params *p)
{
	if (!check_head(dev, "logits", x, p))
		return false;
	const struct expect list[] = {{"y", y, x.rows, p->w->w[0].rows, CHECK_F32, false}};
	return CHECK(dev, "logits", list);
}

bool check_sample(struct device *dev, struct view id, struct view logp, struct view logits,
		  const struct sample_rule *rule, const struct sample_rng *rng)
{
	bool greedy = rule->temperature <= 0;
	const struct expect list[] = {
		{"logits", logits, -1, -1, CHECK_F32, false},
		{"id", id, 1, logits.rows, CHECK_I32, false},
		{"logp", logp, 1, logits.rows, CHECK_F32, false},
		{"seed", greedy ? view_none() : rng->seed, 1, 1, CHECK_U64, greedy},
		{"row_id", greedy ? view_none() : rng->row_id, 1, logits.rows, CHECK_U64, greedy},
		{"position", greedy ? view_none() : rng->position, 1, logits.rows, CHECK_I32, greedy},
	};
	if (logits.cols < 1)
		device_fail(dev, "sample", "there are no logits");
	return CHECK(dev, "sample", list);
}
