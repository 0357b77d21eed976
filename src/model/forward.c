// SPDX-License-Identifier: Apache-2.0
/* One call: rows through all layers. */
#include "src/model/forward.h"

#include <stdlib.h>

#include "src/base/mem.h"
#include "src/model/forward_parts.h"

/* n numbers into the call, each value (0 where there are none) plus `add`. */
static struct view lay(struct forward *f, int64_t n, const int32_t *values, int64_t add)
{
	struct view v = view_cols(f->call, f->laid, n);
	for (int64_t i = 0; i < n; i++)
		f->host[f->laid + i] = (values ? values[i] : 0) + (int32_t)add;
	f->laid += (n + FORWARD_ALIGNMENT - 1) / FORWARD_ALIGNMENT * FORWARD_ALIGNMENT;
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
	forward_put(f, f->call, f->host, f->laid);
}

int64_t forward_longest(const struct forward_rows *r)
{
	int64_t n = 0;
	for (int64_t s = 0; s < r->segments; s++)
		n = most(n, r->q_begin[s + 1] - r->q_begin[s]);
	return n;
}

static struct segments segments_of(const struct forward *f, const struct forward_rows *r)
{
	struct segments seg = {
		.count = r->segments, .max_queries = forward_longest(r), .max_keys = f->limits.keys,
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
void forward_layers(struct forward *f, const struct forward_rows *r, int64_t prefix, bool keep)
{
	struct segments seg = segments_of(f, r);
	f->k->embed(f->dev, view_rows(f->x, 0, r->rows), &f->model->embedding, f->ids);
	for (int64_t layer = 0; layer < f->model->config.num_hidden_layers; layer++)
		run_layer(f, layer, r, prefix, &seg, keep);
}

int forward_begin(struct forward *f, const struct forward_rows *r, int64_t prefix, struct err *err)
{
	if (check_rows(f, r, prefix, err))
		return -1;
	put_rows(f, r, prefix);
	f->rows = r->rows;
	return 0;
}

int64_t forward_prefix_of(const struct forward *f, const struct forward_rows *r)
{
	return r->no_prefix ? 0 : f->prefix;
}

int forward_run(struct forward *f, const struct forward_rows *rows, struct err *err)
{
	if (forward_begin(f, rows, forward_prefix_of(f, rows), err))
		return -1;
	forward_layers(f, rows, forward_prefix_of(f, rows), false);
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
	int rc = forward_begin(f, &rows, 0, err);
	if (!rc) {
		forward_layers(f, &rows, 0, l->cache_rows == 0);
		rc = forward_failed(f, err);
	}
	f->prefix = rc ? 0 : n;
	free(pos);
	free(pages);
	return rc;
}
