// SPDX-License-Identifier: Apache-2.0
/* What works element by element or moves whole rows. */
#include <math.h>

#include "reference/internal.h"

static double sigmoid(double x)
{
	return 1.0 / (1.0 + exp(-x));
}

/* y = g sigmoid(g) u */
static void ref_swiglu(struct device *dev, struct view y, struct view g, struct view u)
{
	if (!check_same(dev, "swiglu", y, g, u))
		return;
	for (int64_t t = 0; t < y.rows; t++)
		for (int64_t j = 0; j < y.cols; j++) {
			double a = ref_get(g, t, j);
			ref_put(y, t, j, a * sigmoid(a) * ref_get(u, t, j));
		}
}

/* d(g sigmoid(g)) / dg = sigmoid(g) (1 + g (1 - sigmoid(g))) */
static void ref_swiglu_backward(struct device *dev, struct view dg, struct view du, struct view dy, struct view g,
				struct view u)
{
	if (!check_same(dev, "swiglu_backward", dg, g, u) || !check_same(dev, "swiglu_backward", du, dy, g))
		return;
	for (int64_t t = 0; t < dy.rows; t++)
		for (int64_t j = 0; j < dy.cols; j++) {
			double a = ref_get(g, t, j), b = ref_get(u, t, j), d = ref_get(dy, t, j), s = sigmoid(a);
			ref_put(dg, t, j, d * b * s * (1.0 + a * (1.0 - s)));
			ref_put(du, t, j, d * a * s);
		}
}

static void copy_row(struct view y, int64_t i, struct view x, int64_t j)
{
	for (int64_t c = 0; c < y.cols; c++)
		ref_put(y, i, c, ref_get(x, j, c));
}

static void fill_row(struct view y, int64_t i, double value)
{
	for (int64_t c = 0; c < y.cols; c++)
		ref_put(y, i, c, value);
}

static void add_row(struct view y, int64_t i, struct view x, int64_t j)
{
	for (int64_t c = 0; c < y.cols; c++)
		ref_put(y, i, c, ref_get(y, i, c) + ref_get(x, j, c));
}

static void ref_embed(struct device *dev, struct view y, const struct weight *w, struct view ids)
{
	if (!check_embed(dev, y, w, ids))
		return;
	for (int64_t t = 0; t < y.rows; t++)
		copy_row(y, t, w->w[0], ref_i32(ids, t));
}

static void ref_embed_backward(struct device *dev, struct view dw, struct view dy, struct view ids)
{
	if (!check_embed_backward(dev, dw, dy, ids))
		return;
	for (int64_t t = 0; t < dy.rows; t++)
		add_row(dw, ref_i32(ids, t), dy, t);
}

static void ref_gather_rows(struct device *dev, struct view y, struct view x, struct view row)
{
	if (!check_rows(dev, "gather_rows", x, y, row))
		return;
	for (int64_t r = 0; r < y.rows; r++)
		if (ref_i32(row, r) < 0)
			fill_row(y, r, 0);
		else
			copy_row(y, r, x, ref_i32(row, r));
}

static void ref_scatter_rows(struct device *dev, struct view dx, struct view dy, struct view row)
{
	if (!check_rows(dev, "scatter_rows", dx, dy, row))
		return;
	for (int64_t t = 0; t < dx.rows; t++)
		fill_row(dx, t, 0);
	for (int64_t r = 0; r < dy.rows; r++)
		if (ref_i32(row, r) >= 0)
			copy_row(dx, ref_i32(row, r), dy, r);
}

static void ref_kv_append(struct device *dev, struct view cache_k, struct view cache_v, struct view k, struct view v,
			  struct view dst)
{
	if (!check_kv_append(dev, cache_k, cache_v, k, v, dst))
		return;
	for (int64_t t = 0; t < k.rows; t++)
		if (ref_i32(dst, t) >= 0) {
			copy_row(cache_k, ref_i32(dst, t), k, t);
			copy_row(cache_v, ref_i32(dst, t), v, t);
		}
}

static void ref_copy(struct device *dev, struct view y, struct view x)
{
	if (!check_same(dev, "copy", y, x, x))
		return;
	for (int64_t t = 0; t < y.rows; t++)
		copy_row(y, t, x, t);
}

static void ref_fill(struct device *dev, struct view y, float value)
{
	if (!check_view(dev, "fill", "y", y, CHECK_FLOAT))
		return;
	for (int64_t t = 0; t < y.rows; t++)
		fill_row(y, t, (double)value);
}

void ref_table_pointwise(struct kernels *table)
{
	table->swiglu = ref_swiglu;
	table->swiglu_backward = ref_swiglu_backward;
	table->embed = ref_embed;
	table->embed_backward = ref_embed_backward;
	table->gather_rows = ref_gather_rows;
	table->scatter_rows = ref_scatter_rows;
	table->kv_append = ref_kv_append;
	table->copy = ref_copy;
	table->fill = ref_fill;
}
