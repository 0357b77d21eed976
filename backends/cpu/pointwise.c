// SPDX-License-Identifier: Apache-2.0
/* Norm, rotary and SwiGLU, over pieces of rows. */
#include <string.h>

#include "backends/cpu/team.h"
#include "reference/check.h"

/* What the operations of this file share; each uses some of it. */
struct pointwise {
	const struct vec *vec;
	struct view y, x, w, z, dx, dw; /* z: a second input */
	struct view pos;
	const struct rope *rope;
	const float *norm;    /* w expanded */
	struct lanes lanes;
	int64_t head_dim;
	float eps;
	bool inverse;
};

/* ---- norm ----------------------------------------------------------------- */

static void rmsnorm_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct pointwise *p = data;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		p->vec->rmsnorm(row_f32(p->y, t), row_f32(p->x, t), p->norm, p->eps, p->x.cols);
}

static void cpu_rmsnorm(struct device *dev, struct view y, struct view x, struct view w, float eps)
{
	if (!check_rmsnorm(dev, y, x, w))
		return;
	if (!all_f32(y) || !all_f32(x)) {
		kernels_reference()->rmsnorm(dev, y, x, w, eps);
		return;
	}
	size_t used = dev->scratch_used;
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = y, .x = x, .eps = eps,
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
					 row_f32(p->x, t), p->norm, p->eps, p->x.cols);
}

static void cpu_rmsnorm_backward(struct device *dev, struct view dx, struct view dw, struct view dy, struct view x,
				  struct view w, float eps)
{
	if (!check_rmsnorm_backward(dev, dx, dw, dy, x, w))
		return;
	if (!all_f32(dx) || !all_f32(dy) || !all_f32(x)) {
		kernels_reference()->rmsnorm_backward(dev, dx, dw, dy, x, w, eps);
		return;
	}
	size_t used = dev->scratch_used;
	struct pointwise p = {.vec = cpu_of(dev)->vec, .y = dy, .x = x, .dx = dx, .dw = dw, .eps = eps,
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
	const int32_t *at = (const int32_t *)view_row(p->pos, 0);

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		p->vec->rope(row_f32(p->x, t), row_f32(p->rope->cos, at[t]), row_f32(p->rope->sin, at[t]),
			     p->x.cols / p->head_dim, p->head_dim, p->inverse);
}

static void cpu_rope(struct device *dev, struct view x, struct view pos, const struct rope *rope, int head_dim,
		      bool inverse)
{
	struct pointwise p = {.vec = cpu_of(dev)->vec, .x = x, .pos = pos, .rope = rope, .head_dim = head_dim,
			      .inverse = inverse};

	if (!check_rope(dev, x, pos, rope, head_dim))
		return;
	if (all_f32(x))
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
	if (all_f32(y) && all_f32(g) && all_f32(u))
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
	if (all_f32(dg) && all_f32(du) && all_f32(dy) && all_f32(g) && all_f32(u))
		team_rows(dev, dy.rows, dy.cols, swiglu_backward_rows, &p);
	else
		kernels_reference()->swiglu_backward(dev, dg, du, dy, g, u);
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
}
