// SPDX-License-Identifier: Apache-2.0
/* Norm, rotary, SwiGLU and what moves rows, over pieces of rows. */
#include <string.h>

#include "backends/cpu/team.h"
#include "reference/check.h"

static bool f32(struct view v)
{
	return !view_present(v) || v.dtype == DTYPE_F32;
}

/* What the operations of this file share; each uses some of it. */
struct pointwise {
	const struct vec *vec;
	struct view y, x, w, z, dx, dw; /* z: a second input */
	struct view index;
	const struct rope *rope;
	const float *norm;    /* w expanded */
	struct lanes lanes;
	int64_t head_dim;
	float value;
	bool inverse;
};

static int32_t index_at(const struct pointwise *p, int64_t t)
{
	return ((const int32_t *)view_row(p->index, 0))[t];
}

/* ---- norm ----------------------------------------------------------------- */

static void rmsnorm_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct pointwise *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		p->vec->rmsnorm(row_f32(p->y, t), row_f32(p->x, t), p->norm, p->value, p->x.cols);
}

static void cpu_rmsnorm(struct device *dev, struct view y, struct view x, struct view w, float eps)
{
	if (!check_rmsnorm(dev, y, x, w))
		return;
	if (!f32(y) || !f32(x)) {
		kernels_reference()->rmsnorm(dev, y, x, w, eps);
		return;
	}
	size_t used = dev->scratch_used;
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = y, .x = x, .value = eps,
			      .norm = expanded(dev, "rmsnorm", w)};

	if (p.norm)
		team_rows(dev, x.rows, x.cols, rmsnorm_rows, &p);
	dev->scratch_used = used;
}

static void rmsnorm_backward_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct pointwise *p = data;
	float *dw = view_present(p->dw) ? lane_of(&p->lanes, lane) : NULL;

	for (int64_t t = first; t < first + count; t++)
		p->vec->rmsnorm_backward(view_present(p->dx) ? row_f32(p->dx, t) : NULL, dw, row_f32(p->y, t),
					 row_f32(p->x, t), p->norm, p->value, p->x.cols);
}

static void cpu_rmsnorm_backward(struct device *dev, struct view dx, struct view dw, struct view dy, struct view x,
				  struct view w, float eps)
{
	if (!check_rmsnorm_backward(dev, dx, dw, dy, x, w))
		return;
	if (!f32(dx) || !f32(dy) || !f32(x)) {
		kernels_reference()->rmsnorm_backward(dev, dx, dw, dy, x, w, eps);
		return;
	}
	size_t used = dev->scratch_used;
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = dy, .x = x, .dx = dx, .dw = dw, .value = eps,
			      .norm = expanded(dev, "rmsnorm_backward", w),
			      .lanes = lanes_take(dev, "rmsnorm_backward", dev->threads, x.cols)};

	if (!p.norm || !p.lanes.at)
		return;
	memset(p.lanes.at, 0, lanes_bytes(dev->threads, x.cols));
	team_rows(dev, x.rows, x.cols, rmsnorm_backward_rows, &p);
	for (int lane = 0; view_present(dw) && lane < dev->threads; lane++)
		p.vec->add(row_f32(dw, 0), lane_of(&p.lanes, lane), dw.cols);
	dev->scratch_used = used;
}

/* ---- rotary, SwiGLU ---------------------------------------------------------- */

static void rope_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct pointwise *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		p->vec->rope(row_f32(p->x, t), row_f32(p->rope->cos, index_at(p, t)),
			     row_f32(p->rope->sin, index_at(p, t)), p->x.cols / p->head_dim, p->head_dim, p->inverse);
}

static void cpu_rope(struct device *dev, struct view x, struct view pos, const struct rope *rope, int head_dim,
		      bool inverse)
{
	struct pointwise p = {.vec = cpu_of(dev)->vec, .x = x, .index = pos, .rope = rope, .head_dim = head_dim,
			      .inverse = inverse};

	if (!check_rope(dev, x, pos, rope, head_dim))
		return;
	if (f32(x))
		team_rows(dev, x.rows, x.cols, rope_rows, &p);
	else
		kernels_reference()->rope(dev, x, pos, rope, head_dim, inverse);
}

static void swiglu_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct pointwise *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		p->vec->swiglu(row_f32(p->y, t), row_f32(p->x, t), row_f32(p->z, t), p->y.cols);
}

static void cpu_swiglu(struct device *dev, struct view y, struct view g, struct view u)
{
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = y, .x = g, .z = u};

	if (!check_same(dev, "swiglu", y, g, u))
		return;
	if (f32(y) && f32(g) && f32(u))
		team_rows(dev, y.rows, y.cols, swiglu_rows, &p);
	else
		kernels_reference()->swiglu(dev, y, g, u);
}

static void swiglu_backward_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct pointwise *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		p->vec->swiglu_backward(NULL, row_f32(p->dx, t), row_f32(p->dw, t), row_f32(p->y, t),
					row_f32(p->x, t), row_f32(p->z, t), p->y.cols);
}

static void cpu_swiglu_backward(struct device *dev, struct view dg, struct view du, struct view dy, struct view g,
				 struct view u)
{
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = dy, .x = g, .z = u, .dx = dg, .dw = du};

	if (!check_same(dev, "swiglu_backward", dg, g, u) || !check_same(dev, "swiglu_backward", du, dy, g))
		return;
	if (f32(dg) && f32(du) && f32(dy) && f32(g) && f32(u))
		team_rows(dev, dy.rows, dy.cols, swiglu_backward_rows, &p);
	else
		kernels_reference()->swiglu_backward(dev, dg, du, dy, g, u);
}

/* ---- rows moved ---------------------------------------------------------------- */

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
	const struct pointwise *p = data;

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
	const struct pointwise *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		if (index_at(p, t) >= 0)
			move_row(p->vec, p->y, index_at(p, t), p->x, t);
}

static void copy_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct pointwise *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		move_row(p->vec, p->y, t, p->x, t);
}

static void fill_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct pointwise *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		fill_row(p->vec, p->y, t, p->value);
}

static void cpu_embed(struct device *dev, struct view y, const struct weight *w, struct view ids)
{
	if (!check_embed(dev, y, w, ids))
		return;
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = y, .x = w->w[0], .index = ids};

	team_rows(dev, y.rows, y.cols, gather, &p);
}

/* Columns [first, first + count) of the gradient, rows in order. */
static void embed_backward_columns(void *data, int64_t first, int64_t count, int lane)
{
	const struct pointwise *p = data;

	(void)lane;
	for (int64_t t = 0; t < p->y.rows; t++)
		p->vec->add(row_f32(p->dw, index_at(p, t)) + first, row_f32(p->y, t) + first, count);
}

static void cpu_embed_backward(struct device *dev, struct view dw, struct view dy, struct view ids)
{
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = dy, .dw = dw, .index = ids};

	if (!check_embed_backward(dev, dw, dy, ids))
		return;
	if (f32(dy))
		team_rows(dev, dw.cols, dy.rows, embed_backward_columns, &p);
	else
		kernels_reference()->embed_backward(dev, dw, dy, ids);
}

static void cpu_gather_rows(struct device *dev, struct view y, struct view x, struct view row)
{
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = y, .x = x, .index = row};

	if (check_rows(dev, "gather_rows", x, y, row))
		team_rows(dev, y.rows, y.cols, gather, &p);
}

static void cpu_scatter_rows(struct device *dev, struct view dx, struct view dy, struct view row)
{
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = dx, .x = dy, .index = row};

	if (!check_rows(dev, "scatter_rows", dx, dy, row))
		return;
	team_rows(dev, dx.rows, dx.cols, fill_rows, &p);
	team_rows(dev, dy.rows, dy.cols, scatter, &p);
}

static void cpu_kv_append(struct device *dev, struct view cache_k, struct view cache_v, struct view k, struct view v,
			   struct view dst)
{
	struct pointwise keys = {.vec = cpu_of(dev)->vec, .y = cache_k, .x = k, .index = dst}, values = keys;

	if (!check_kv_append(dev, cache_k, cache_v, k, v, dst))
		return;
	values.y = cache_v;
	values.x = v;
	team_rows(dev, k.rows, k.cols, scatter, &keys);
	team_rows(dev, v.rows, v.cols, scatter, &values);
}

static void cpu_copy(struct device *dev, struct view y, struct view x)
{
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = y, .x = x};

	if (check_same(dev, "copy", y, x, x))
		team_rows(dev, y.rows, y.cols, copy_rows, &p);
}

static void cpu_fill(struct device *dev, struct view y, float value)
{
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = y, .value = value};

	if (check_view(dev, "fill", "y", y, CHECK_FLOAT))
		team_rows(dev, y.rows, y.cols, fill_rows, &p);
}

static int64_t widest(const struct shape *s)
{
	return at_least(at_least(s->hidden, s->heads * s->head_dim), at_least(s->ffn, s->head_dim));
}

size_t cpu_pointwise_scratch(const struct device *dev, enum op op, const struct shape *shape)
{
	if (op == OP_rmsnorm)
		return lanes_bytes(1, widest(shape));
	return op == OP_rmsnorm_backward ? lanes_bytes(1 + dev->threads, widest(shape)) : 0;
}

void cpu_override_pointwise(struct kernels *table)
{
	table->rmsnorm = cpu_rmsnorm;
	table->rmsnorm_backward = cpu_rmsnorm_backward;
	table->rope = cpu_rope;
	table->swiglu = cpu_swiglu;
	table->swiglu_backward = cpu_swiglu_backward;
	table->embed = cpu_embed;
	table->embed_backward = cpu_embed_backward;
	table->gather_rows = cpu_gather_rows;
	table->scatter_rows = cpu_scatter_rows;
	table->kv_append = cpu_kv_append;
	table->copy = cpu_copy;
	table->fill = cpu_fill;
}
