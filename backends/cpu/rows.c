// SPDX-License-Identifier: Apache-2.0
/* What moves rows: embedding, gathering, scattering, the cache, copies, over pieces of rows. */
#include <string.h>

#include "backends/cpu/team.h"
#include "reference/check.h"

/* Row t of y and row index[t] of x, or the other way round. */
struct moved {
	const struct vec *vec;
	struct view y, x, dw;
	struct view index;
	float value;
};

static int32_t index_at(const struct moved *p, int64_t t)
{
	return ((const int32_t *)view_row(p->index, 0))[t];
}

/* Row t of y from row i of x, through f32 where both are 16 bits wide and differ. */
static void move_row(const struct vec *vec, struct view y, int64_t t, struct view x, int64_t i)
{
	float part[256];

	if (y.dtype == x.dtype) {
		memcpy(view_row(y, t), view_row(x, i), (size_t)y.cols * dtype_size(y.dtype));
		return;
	}
	for (int64_t j = 0; j < y.cols; j += 256) {
		int64_t n = at_most(256, y.cols - j);

		vec->expand(part, view_row(view_cols(x, j, n), i), x.dtype, n);
		vec->narrow(view_row(view_cols(y, j, n), t), y.dtype, part, n);
	}
}

static void fill_row(const struct vec *vec, struct view y, int64_t t, float value)
{
	float part[256];

	for (int j = 0; j < 256; j++)
		part[j] = value;
	for (int64_t j = 0; j < y.cols; j += 256)
		vec->narrow(view_row(view_cols(y, j, 0), t), y.dtype, part, at_most(256, y.cols - j));
}

/* y[t] = x[index[t]]; a negative index gives zeros */
static void gather(void *data, int64_t first, int64_t count, int lane)
{
	const struct moved *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		if (index_at(p, t) < 0)
			fill_row(p->vec, p->y, t, 0);
		else
			move_row(p->vec, p->y, t, p->x, index_at(p, t));
}

/* y[index[t]] = x[t]; a negative index is skipped */
static void scatter(void *data, int64_t first, int64_t count, int lane)
{
	const struct moved *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		if (index_at(p, t) >= 0)
			move_row(p->vec, p->y, index_at(p, t), p->x, t);
}

static void copy_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct moved *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		move_row(p->vec, p->y, t, p->x, t);
}

static void fill_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct moved *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		fill_row(p->vec, p->y, t, p->value);
}

static void cpu_embed(struct device *dev, struct view y, const struct weight *w, struct view ids)
{
	if (!check_embed(dev, y, w, ids))
		return;
	struct moved p = {.vec = cpu_of(dev)->vec, .y = y, .x = w->w[0], .index = ids};

	team_rows(dev, y.rows, y.cols, gather, &p);
}

/* Columns [first, first + count) of the gradient, rows in order. */
static void embed_backward_columns(void *data, int64_t first, int64_t count, int lane)
{
	const struct moved *p = data;

	(void)lane;
	for (int64_t t = 0; t < p->y.rows; t++)
		p->vec->add(row_f32(p->dw, index_at(p, t)) + first, row_f32(p->y, t) + first, count);
}

static void cpu_embed_backward(struct device *dev, struct view dw, struct view dy, struct view ids)
{
	struct moved p = {.vec = cpu_of(dev)->vec, .y = dy, .dw = dw, .index = ids};

	if (!check_embed_backward(dev, dw, dy, ids))
		return;
	if (all_f32(dy))
		team_rows(dev, dw.cols, dy.rows, embed_backward_columns, &p);
	else
		kernels_reference()->embed_backward(dev, dw, dy, ids);
}

static void cpu_gather_rows(struct device *dev, struct view y, struct view x, struct view row)
{
	struct moved p = {.vec = cpu_of(dev)->vec, .y = y, .x = x, .index = row};

	if (check_rows(dev, "gather_rows", x, y, row))
		team_rows(dev, y.rows, y.cols, gather, &p);
}

static void cpu_scatter_rows(struct device *dev, struct view dx, struct view dy, struct view row)
{
	struct moved p = {.vec = cpu_of(dev)->vec, .y = dx, .x = dy, .index = row};

	if (!check_rows(dev, "scatter_rows", dx, dy, row))
		return;
	team_rows(dev, dx.rows, dx.cols, fill_rows, &p);
	team_rows(dev, dy.rows, dy.cols, scatter, &p);
}

static void cpu_kv_append(struct device *dev, struct view cache_k, struct view cache_v, struct view k, struct view v,
			   struct view dst)
{
	struct moved keys = {.vec = cpu_of(dev)->vec, .y = cache_k, .x = k, .index = dst}, values = keys;

	if (!check_kv_append(dev, cache_k, cache_v, k, v, dst))
		return;
	values.y = cache_v;
	values.x = v;
	team_rows(dev, k.rows, k.cols, scatter, &keys);
	team_rows(dev, v.rows, v.cols, scatter, &values);
}

static void cpu_copy(struct device *dev, struct view y, struct view x)
{
	struct moved p = {.vec = cpu_of(dev)->vec, .y = y, .x = x};

	if (check_same(dev, "copy", y, x, x))
		team_rows(dev, y.rows, y.cols, copy_rows, &p);
}

static void cpu_fill(struct device *dev, struct view y, float value)
{
	struct moved p = {.vec = cpu_of(dev)->vec, .y = y, .value = value};

	if (check_view(dev, "fill", "y", y, CHECK_FLOAT))
		team_rows(dev, y.rows, y.cols, fill_rows, &p);
}

void cpu_override_rows(struct kernels *table)
{
	table->embed = cpu_embed;
	table->embed_backward = cpu_embed_backward;
	table->gather_rows = cpu_gather_rows;
	table->scatter_rows = cpu_scatter_rows;
	table->kv_append = cpu_kv_append;
	table->copy = cpu_copy;
	table->fill = cpu_fill;
}
