// SPDX-License-Identifier: Apache-2.0
/*
 * What stands before and behind attention. `saved` holds in this order
 *     attn_in   x [R,C] of resid_dtype; x A^T [R, width]; raw q, k [R, H D + K D] with q/k norm
 *     attn_out  o A^T [R, width]
 */
#include "backends/cuda/array.cuh"

#include "reference/check.h"

static int64_t raw_cols(const struct attn_dims *d)
{
	return (int64_t)(d->heads + 2 * d->kv_heads) * d->head_dim;
}

/* q, k or v in rows of all three. */
static struct view raw_part(struct view raw, const struct attn_dims *d, int i)
{
	int64_t q = (int64_t)d->heads * d->head_dim, k = (int64_t)d->kv_heads * d->head_dim;
	return view_cols(raw, i == 0 ? 0 : q + (i - 1) * k, i == 0 ? q : k);
}

static struct view raw_qk(struct view raw, const struct attn_dims *d)
{
	return view_cols(raw, 0, (int64_t)(d->heads + d->kv_heads) * d->head_dim);
}

static bool qk_normed(const struct attn_in_params *p)
{
	return view_present(p->q_norm) || view_present(p->k_norm);
}

struct attn_in_saved {
	struct view x, xa, qk;
};

static struct attn_in_saved attn_in_views(struct device *dev, struct view saved, int64_t rows,
					  const struct attn_in_params *p)
{
	size_t at = 0;
	struct attn_in_saved s = {view_none(), view_none(), view_none()};
	if (!view_present(saved))
		return s;
	s.x = cuda_carve(saved, &at, rows, p->norm_w.cols, dev->resid_dtype);
	int64_t width = cuda_width(p->lora, 3);
	if (width)
		s.xa = cuda_carve(saved, &at, rows, width, dev->act_dtype);
	if (qk_normed(p))
		s.qk = cuda_carve(saved, &at, rows, (int64_t)(p->dims.heads + p->dims.kv_heads) * p->dims.head_dim,
				  dev->act_dtype);
	return s;
}

static void norm_qk(struct device *dev, struct view raw, const struct attn_in_params *p)
{
	const struct view norm[2] = {p->q_norm, p->k_norm};
	for (int i = 0; i < 2; i++)
		if (view_present(norm[i]))
			cuda_norm_heads(dev, "attn_in", raw_part(raw, &p->dims, i), norm[i], p->eps, p->dims.head_dim);
}

static void attn_in(struct device *dev, struct view q, struct view k, struct view v, struct view saved, struct view x,
		    struct view pos, struct view kv_dst, const struct attn_in_params *p)
{
	if (!check_attn_in(dev, q, k, v, saved, x, pos, kv_dst, p))
		return;
	size_t used = dev->scratch_used;
	struct attn_in_saved s = attn_in_views(dev, saved, x.rows, p);
	struct view h = cuda_roomy(dev, "attn_in", x.rows, x.cols, cuda_width(p->lora, 3));
	struct view raw = cuda_scratch(dev, "attn_in", x.rows, raw_cols(&p->dims), dev->act_dtype);
	if (dev->failure[0])
		return;
	cuda_norm(dev, "attn_in", h, s.x, x, p->norm_w, p->eps);
	cuda_adapted(dev, "attn_in", raw, h, s.xa, p->wqkv, p->lora, p->drop, false);
	for (int i = 0; i < 3; i++)
		if (view_present(p->bias[i]))
			cuda_add_bias(dev, "attn_in", raw_part(raw, &p->dims, i), p->bias[i]);
	if (view_present(s.qk))
		cuda_convert(dev, "attn_in", s.qk, raw_qk(raw, &p->dims));
	norm_qk(dev, raw, p);
	cuda_rope_store(dev, "attn_in", q, k, v, raw, pos, kv_dst, &p->rope, p->dims.head_dim);
	dev->scratch_used = used;
}

/* The gradients of q, k, v as one array, back through rotary and the heads' norms. */
static void unrotate(struct device *dev, struct view raw, const struct view d[3], struct view qk, struct view pos,
		     const struct attn_in_grads *grads, const struct attn_in_params *p)
{
	const char *op = "attn_in_backward";
	const struct view norm[2] = {p->q_norm, p->k_norm};
	const struct view dnorm[2] = {grads ? grads->q_norm : view_none(), grads ? grads->k_norm : view_none()};
	cuda_rope_back(dev, op, raw, d[0], d[1], d[2], pos, &p->rope, p->dims.head_dim);
	for (int i = 0; i < 2; i++)
		if (view_present(norm[i]))
			cuda_norm_heads_backward(dev, op, raw_part(raw, &p->dims, i), dnorm[i],
						 raw_part(qk, &p->dims, i), norm[i], p->eps, p->dims.head_dim);
}

/* dw += dy^T x, dbias += column sums of dy; each may be absent */
static void weight_gradient(struct device *dev, const char *op, struct view dw, struct view dbias, struct view dy,
			    struct view x)
{
	struct cuda_factor a = {dy, true}, b = {x, false};
	if (view_present(dw))
		cuda_multiply(dev, op, dw, a, b, 1, true);
	if (view_present(dbias))
		cuda_column_sums(dev, op, dbias, dy);
}

static void attn_in_backward(struct device *dev, struct view dx, const struct attn_in_grads *grads, struct view dq,
			     struct view dk, struct view dv, struct view saved, struct view pos,
			     const struct attn_in_params *p, bool want_dx)
{
	const char *op = "attn_in_backward";
	if (!check_attn_in_backward(dev, dx, dq, dk, dv, saved, pos, p))
		return;
	size_t used = dev->scratch_used;
	bool norm = grads && view_present(grads->norm_w), below = want_dx || norm;
	int64_t width = cuda_width(p->lora, 3);
	struct attn_in_saved s = attn_in_views(dev, saved, dx.rows, p);
	struct view h = cuda_scratch(dev, op, dx.rows, dx.cols, dev->act_dtype);
	struct view dh = cuda_scratch(dev, op, dx.rows, dx.cols, dev->act_dtype);
	struct view raw = cuda_scratch(dev, op, dx.rows, raw_cols(&p->dims), dev->act_dtype);
	struct view g = cuda_scratch(dev, op, dx.rows, width, dev->act_dtype);
	if (dev->failure[0])
		return;
	const struct view d[3] = {dq, dk, dv};
	unrotate(dev, raw, d, s.qk, pos, grads, p);
	if (grads || width)
		cuda_norm(dev, op, h, view_none(), s.x, p->norm_w, p->eps);
	for (int i = 0; grads && i < 3; i++)
		weight_gradient(dev, op, grads->w[i], grads->bias[i], raw_part(raw, &p->dims, i), h);
	cuda_adapted_dx(dev, op, below ? dh : view_none(), g, raw, s.xa, p->wqkv, p->lora, p->drop);
	cuda_adapted_da(dev, op, g, h, p->wqkv, p->lora, p->drop);
	if (below)
		cuda_norm_backward(dev, op, want_dx ? dx : view_none(), norm ? grads->norm_w : view_none(), dh, s.x,
				   p->norm_w, p->eps);
	dev->scratch_used = used;
}

/* ---- behind attention ---------------------------------------------------------------- */

/* o in act_dtype with room behind its rows: a copy unless it is so already. */
static struct view roomy_copy(struct device *dev, const char *op, struct view o, int64_t width)
{
	if (!width && o.dtype == dev->act_dtype)
		return o;
	struct view copy = cuda_roomy(dev, op, o.rows, o.cols, width);
	if (!dev->failure[0])
		cuda_convert(dev, op, copy, o);
	return copy;
}

static struct view attn_out_saved(struct device *dev, struct view saved, int64_t rows, const struct attn_out_params *p)
{
	size_t at = 0;
	int64_t width = cuda_width(&p->lora, 1);
	return view_present(saved) && width ? cuda_carve(saved, &at, rows, width, dev->act_dtype) : view_none();
}

static void attn_out(struct device *dev, struct view x, struct view saved, struct view o,
		     const struct attn_out_params *p)
{
	if (!check_attn_out(dev, x, saved, o, p))
		return;
	size_t used = dev->scratch_used;
	struct view in = roomy_copy(dev, "attn_out", o, cuda_width(&p->lora, 1));
	if (dev->failure[0])
		return;
	cuda_adapted(dev, "attn_out", x, in, attn_out_saved(dev, saved, x.rows, p), p->wo, &p->lora, p->drop, true);
	if (view_present(p->bias))
		cuda_add_bias(dev, "attn_out", x, p->bias);
	dev->scratch_used = used;
}

static void attn_out_backward(struct device *dev, struct view d_o, const struct attn_out_grads *grads, struct view dx,
			      struct view saved, struct view o, const struct attn_out_params *p, bool want_do)
{
	const char *op = "attn_out_backward";
	if (!check_attn_out_backward(dev, d_o, dx, saved, o, p, want_do))
		return;
	size_t used = dev->scratch_used;
	int64_t width = cuda_width(&p->lora, 1);
	bool direct = want_do && d_o.dtype == dev->act_dtype;
	struct view dy = cuda_as_act(dev, op, dx), in = cuda_as_act(dev, op, o);
	struct view to = direct ? d_o : cuda_scratch(dev, op, o.rows, o.cols, dev->act_dtype);
	struct view g = cuda_scratch(dev, op, dx.rows, width, dev->act_dtype);
	if (dev->failure[0])
		return;
	if (grads)
		weight_gradient(dev, op, grads->w, grads->bias, dy, in);
	cuda_adapted_dx(dev, op, want_do ? to : view_none(), g, dy, attn_out_saved(dev, saved, dx.rows, p), p->wo, &p->lora,
			p->drop);
	cuda_adapted_da(dev, op, g, in, p->wo, &p->lora, p->drop);
	if (want_do && !direct)
		cuda_convert(dev, op, d_o, to);
	dev->scratch_used = used;
}

/* ---- sizes ------------------------------------------------------------------------------- */

static size_t attn_in_bytes(const struct device *dev, const struct shape *s)
{
	int64_t raw = (s->heads + 2 * s->kv_heads) * s->head_dim, width = cuda_most_width(s, 3);
	return cuda_array_bytes(s->rows, s->hidden, dev->act_dtype) + cuda_roomy_bytes(dev, s->rows, s->hidden, width) +
	       cuda_array_bytes(s->rows, raw, dev->act_dtype) + cuda_array_bytes(s->rows, width, dev->act_dtype) +
	       cuda_adapted_scratch(dev, s, 3, s->hidden, raw);
}

static size_t attn_out_bytes(const struct device *dev, const struct shape *s)
{
	int64_t attn = s->heads * s->head_dim, width = cuda_most_width(s, 1);
	return cuda_array_bytes(s->rows, s->hidden, dev->act_dtype) + cuda_array_bytes(s->rows, attn, dev->act_dtype) +
	       cuda_roomy_bytes(dev, s->rows, attn, width) + cuda_array_bytes(s->rows, width, dev->act_dtype) +
	       cuda_adapted_scratch(dev, s, 1, attn, s->hidden);
}

size_t cuda_scratch_attn(const struct device *dev, enum op op, const struct shape *shape)
{
	switch (op) {
	case OP_attn_in:
		return attn_in_bytes(dev, shape);
	case OP_attn_in_backward:
		return attn_in_bytes(dev, shape) + cuda_norm_backward_scratch(shape->rows, shape->hidden) +
		       cuda_norm_backward_scratch(shape->rows * shape->heads, shape->head_dim);
	case OP_attn_out:
	case OP_attn_out_backward:
		return attn_out_bytes(dev, shape);
	default:
		return 0;
	}
}

size_t cuda_saved_attn(const struct device *dev, enum op op, const struct shape *s)
{
	if (op == OP_attn_out)
		return cuda_array_bytes(s->rows, cuda_most_width(s, 1), dev->act_dtype);
	if (op != OP_attn_in)
		return 0;
	int64_t qk = s->qk_norm ? (s->heads + s->kv_heads) * s->head_dim : 0;
	return cuda_array_bytes(s->rows, s->hidden, dev->resid_dtype) +
	       cuda_array_bytes(s->rows, cuda_most_width(s, 3), dev->act_dtype) +
	       cuda_array_bytes(s->rows, qk, dev->act_dtype);
}

void cuda_override_attn(struct kernels *table)
{
	table->attn_in = attn_in;
	table->attn_in_backward = attn_in_backward;
	table->attn_out = attn_out;
	table->attn_out_backward = attn_out_backward;
}
