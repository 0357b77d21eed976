// SPDX-License-Identifier: Apache-2.0
/*
 * Causal grouped-query attention over segments (kernel.h, struct segments),
 * and its gradient: one query, one head at a time, softmax in two passes.
 */
#include <math.h>
#include <string.h>

#include "reference/internal.h"

/* Segment s as numbers, and which of its keys one query sees. */
struct span {
	int64_t s, q_begin, n;            /* queries q_begin … q_begin + n - 1 */
	int64_t own_len, prefix_begin, prefix_len;
};

static struct span span_of(const struct segments *seg, int64_t s)
{
	int64_t begin = ref_i32(seg->q_begin, s);
	return (struct span){s, begin, ref_i32(seg->q_begin, s + 1) - begin, ref_i32(seg->own_len, s),
			     ref_i32(seg->prefix_begin, s), ref_i32(seg->prefix_len, s)};
}

/* Whether query t of the segment sees prefix key j, own key j. */
static bool sees_prefix(const struct segments *seg, const struct span *a, int64_t t, int64_t j)
{
	return !seg->window || j > ref_i32(seg->pos, a->q_begin + t) - seg->window;
}

static bool sees_own(const struct segments *seg, const struct span *a, int64_t t, int64_t j)
{
	int64_t last = a->own_len - a->n + t; /* the query's own key */
	return j <= last && (!seg->window || j > last - seg->window);
}

static int64_t own_row(const struct segments *seg, const struct span *a, int64_t j)
{
	if (!view_present(seg->pages))
		return ref_i32(seg->own_begin, a->s) + j;
	const int32_t *pages = view_row(seg->pages, a->s);
	return pages[j / seg->page_size] * seg->page_size + j % seg->page_size;
}

/* Row of k and v of key j (prefix first), -1 where query t does not see it. */
static int64_t key_row(const struct segments *seg, const struct span *a, int64_t t, int64_t j)
{
	if (j < a->prefix_len)
		return sees_prefix(seg, a, t, j) ? a->prefix_begin + j : -1;
	j -= a->prefix_len;
	return sees_own(seg, a, t, j) ? own_row(seg, a, j) : -1;
}

/* Columns of one head. */
static struct view head_of(struct view v, int64_t head, const struct attn_dims *dims)
{
	return view_cols(v, head * dims->head_dim, dims->head_dim);
}

static int64_t group_of(int64_t head, const struct attn_dims *dims)
{
	return head / (dims->heads / dims->kv_heads);
}

/* score[j] = scale q.k_j, -inf where unseen; returns lse = log(sum e^score) */
static double scores(double *score, struct view q, struct view k, const struct segments *seg, const struct span *a,
		     int64_t t, double scale)
{
	int64_t keys = a->prefix_len + a->own_len;
	double max = -INFINITY, sum = 0;
	for (int64_t j = 0; j < keys; j++) {
		int64_t row = key_row(seg, a, t, j);
		score[j] = row < 0 ? -(double)INFINITY : scale * ref_dot(q, a->q_begin + t, k, row, q.cols);
		max = score[j] > max ? score[j] : max;
	}
	for (int64_t j = 0; j < keys; j++)
		sum += exp(score[j] - max);
	return max + log(sum);
}

static void put_row(struct view y, int64_t row, const double *sum)
{
	for (int64_t c = 0; c < y.cols; c++)
		ref_put(y, row, c, sum[c]);
}

/* o = sum_j e^(score_j - lse) v_j */
static void weighted(struct view o, struct view v, const double *score, double lse, const struct segments *seg,
		     const struct span *a, int64_t t, double *sum)
{
	memset(sum, 0, (size_t)o.cols * sizeof *sum);
	for (int64_t j = 0; j < a->prefix_len + a->own_len; j++) {
		int64_t row = key_row(seg, a, t, j);
		if (row >= 0)
			ref_add_scaled(sum, v, row, exp(score[j] - lse));
	}
	put_row(o, a->q_begin + t, sum);
}

static void fill_zero(struct view v)
{
	for (int64_t t = 0; t < v.rows; t++)
		for (int64_t c = 0; c < v.cols; c++)
			ref_put(v, t, c, 0);
}

/* Rows of no segment become 0, in o and in lse. */
static void ref_attention(struct device *dev, struct view o, struct view lse, struct view q, struct view k,
			  struct view v, const struct segments *seg, const struct attn_dims *dims)
{
	if (!check_attention(dev, o, lse, q, k, v, seg, dims))
		return;
	size_t used = dev->scratch_used;
	double *score = device_scratch(dev, "attention", (size_t)seg->max_keys * sizeof *score);
	double *row = device_scratch(dev, "attention", (size_t)dims->head_dim * sizeof *row);
	if (!score || !row)
		return;
	fill_zero(o);
	if (view_present(lse))
		fill_zero(lse);
	for (int64_t s = 0; s < seg->count; s++) {
		struct span a = span_of(seg, s);
		for (int64_t t = 0; t < a.n; t++)
			for (int64_t h = 0; h < dims->heads; h++) {
				int64_t g = group_of(h, dims);
				double sum = scores(score, head_of(q, h, dims), head_of(k, g, dims), seg, &a, t,
						    (double)dims->scale);
				weighted(head_of(o, h, dims), head_of(v, g, dims), score, sum, seg, &a, t, row);
				if (view_present(lse))
					ref_put(lse, a.q_begin + t, h, sum);
			}
	}
	dev->scratch_used = used;
}

/* The arrays of one backward call. */
struct backward {
	struct view dq, dk, dv, d_o, o, lse, q, k, v;
	const struct segments *seg;
	const struct attn_dims *dims;
};

/* One (query row, key row, head): the probability p and the gradient of the score, p (d_o.v - d_o.o). */
struct pair {
	double p, ds;
};

static struct pair pair_at(const struct backward *b, int64_t query, int64_t key, int64_t h)
{
	int64_t g = group_of(h, b->dims), size = b->dims->head_dim;
	struct view q = head_of(b->q, h, b->dims), k = head_of(b->k, g, b->dims), v = head_of(b->v, g, b->dims);
	struct view d_o = head_of(b->d_o, h, b->dims), o = head_of(b->o, h, b->dims);
	double p = exp((double)b->dims->scale * ref_dot(q, query, k, key, size) - ref_get(b->lse, query, h));
	double ds = p * (ref_dot(d_o, query, v, key, size) - ref_dot(d_o, query, o, query, size));
	return (struct pair){p, ds};
}

/* dq = scale * sum_j ds_j k_j */
static void query_gradient(const struct backward *b, const struct span *a, int64_t t, int64_t h, double *sum)
{
	struct view k = head_of(b->k, group_of(h, b->dims), b->dims);
	memset(sum, 0, (size_t)k.cols * sizeof *sum);
	for (int64_t j = 0; j < a->prefix_len + a->own_len; j++) {
		int64_t row = key_row(b->seg, a, t, j);
		if (row >= 0)
			ref_add_scaled(sum, k, row, (double)b->dims->scale * pair_at(b, a->q_begin + t, row, h).ds);
	}
	put_row(head_of(b->dq, h, b->dims), a->q_begin + t, sum);
}

/* Adds what the queries of segment `a` give to key `row`, its prefix key (prefix) or own key j, of key head g. */
static void key_gradient(const struct backward *b, const struct span *a, bool prefix, int64_t j, int64_t row,
			 int64_t g, double *dk, double *dv)
{
	int64_t group = b->dims->heads / b->dims->kv_heads;
	for (int64_t t = 0; t < a->n; t++) {
		if (!(prefix ? sees_prefix(b->seg, a, t, j) : sees_own(b->seg, a, t, j)))
			continue;
		for (int64_t h = g * group; h < (g + 1) * group; h++) {
			struct pair pair = pair_at(b, a->q_begin + t, row, h);
			ref_add_scaled(dv, head_of(b->d_o, h, b->dims), a->q_begin + t, pair.p);
			ref_add_scaled(dk, head_of(b->q, h, b->dims), a->q_begin + t, (double)b->dims->scale * pair.ds);
		}
	}
}

/* dk, dv of own key j of segment `a`: its own queries, then those of its users whose prefix holds the key. */
static void own_key_gradient(const struct backward *b, const struct span *a, int64_t j, int64_t g, double *sum)
{
	int64_t size = b->dims->head_dim, row = own_row(b->seg, a, j);
	double *dk = sum, *dv = sum + size;
	memset(sum, 0, (size_t)(2 * size) * sizeof *sum);
	key_gradient(b, a, false, j, row, g, dk, dv);
	for (int32_t u = ref_i32(b->seg->user_begin, a->s); u < ref_i32(b->seg->user_begin, a->s + 1); u++) {
		struct span user = span_of(b->seg, ref_i32(b->seg->user, u));
		int64_t at = row - user.prefix_begin;
		if (at >= 0 && at < user.prefix_len)
			key_gradient(b, &user, true, at, row, g, dk, dv);
	}
	put_row(head_of(b->dk, g, b->dims), row, dk);
	put_row(head_of(b->dv, g, b->dims), row, dv);
}

static void segment_gradient(const struct backward *b, const struct span *a, double *sum)
{
	for (int64_t t = 0; t < a->n; t++)
		for (int64_t h = 0; h < b->dims->heads; h++)
			query_gradient(b, a, t, h, sum);
	for (int64_t j = 0; j < a->own_len; j++)
		for (int64_t g = 0; g < b->dims->kv_heads; g++)
			own_key_gradient(b, a, j, g, sum);
}

static void ref_attention_backward(struct device *dev, struct view dq, struct view dk, struct view dv, struct view d_o,
				   struct view o, struct view lse, struct view q, struct view k, struct view v,
				   const struct segments *seg, const struct attn_dims *dims)
{
	if (!check_attention_backward(dev, dq, dk, dv, d_o, o, lse, q, k, v, seg, dims))
		return;
	size_t used = dev->scratch_used;
	double *sum = device_scratch(dev, "attention_backward", 2 * (size_t)dims->head_dim * sizeof *sum);
	if (!sum)
		return;
	struct backward b = {dq, dk, dv, d_o, o, lse, q, k, v, seg, dims};
	fill_zero(dq);
	fill_zero(dk);
	fill_zero(dv);
	for (int64_t s = 0; s < seg->count; s++) {
		struct span a = span_of(seg, s);
		segment_gradient(&b, &a, sum);
	}
	dev->scratch_used = used;
}

void ref_table_attention(struct kernels *table)
{
	table->attention = ref_attention;
	table->attention_backward = ref_attention_backward;
}
