// SPDX-License-Identifier: Apache-2.0
/*
 * The MLP. `saved` holds x [R,C] of resid_dtype, gate and up [R, 2 F], and the
 * adapters' x A^T of gate and up [R, width] and of down [R, width]; the norm
 * and SwiGLU are computed again.
 */
#include "backends/cuda/array.cuh"

#include "reference/check.h"

struct mlp_saved {
	struct view x, gu, xa_gu, xa_down;
};

static struct mlp_saved mlp_views(struct device *dev, struct view saved, int64_t rows, const struct mlp_params *p)
{
	size_t at = 0;
	struct mlp_saved s = {view_none(), view_none(), view_none(), view_none()};
	int64_t gu = cuda_width(p->lora, 2), down = cuda_width(p->lora + 2, 1);
	if (!view_present(saved))
		return s;
	s.x = cuda_carve(saved, &at, rows, p->norm_w.cols, dev->resid_dtype);
	s.gu = cuda_carve(saved, &at, rows, 2 * p->wgu->w[0].rows, dev->act_dtype);
	if (gu)
		s.xa_gu = cuda_carve(saved, &at, rows, gu, dev->act_dtype);
	if (down)
		s.xa_down = cuda_carve(saved, &at, rows, down, dev->act_dtype);
	return s;
}

static struct view gu_half(struct view gu, int i)
{
	return view_cols(gu, i * (gu.cols / 2), gu.cols / 2);
}

static void mlp(struct device *dev, struct view x, struct view saved, const struct mlp_params *p)
{
	if (!check_mlp(dev, x, saved, p))
		return;
	size_t used = dev->scratch_used;
	int64_t ffn = p->wgu->w[0].rows;
	struct mlp_saved s = mlp_views(dev, saved, x.rows, p);
	struct view h = cuda_roomy(dev, "mlp", x.rows, x.cols, cuda_width(p->lora, 2));
	struct view a = cuda_roomy(dev, "mlp", x.rows, ffn, cuda_width(p->lora + 2, 1));
	struct view gu = view_present(s.gu) ? s.gu : cuda_scratch(dev, "mlp", x.rows, 2 * ffn, dev->act_dtype);
	if (dev->failure[0])
		return;
	cuda_norm(dev, "mlp", h, s.x, x, p->norm_w, p->eps);
	cuda_adapted(dev, "mlp", gu, h, s.xa_gu, p->wgu, p->lora, p->drop, false);
	cuda_swiglu(dev, "mlp", a, gu_half(gu, 0), gu_half(gu, 1));
	cuda_adapted(dev, "mlp", x, a, s.xa_down, p->wdown, p->lora + 2, p->drop, true);
	dev->scratch_used = used;
}

static void mlp_weight_gradient(struct device *dev, struct view dw, struct view dy, struct view x)
{
	struct cuda_factor a = {dy, true}, b = {x, false};
	if (view_present(dw))
		cuda_multiply(dev, "mlp_backward", dw, a, b, 1, true);
}

/* dgu [R, 2 F] from dx: through down and SwiGLU, which gives down's input again on the way. */
static void down_backward(struct device *dev, struct view dgu, struct view dx, const struct mlp_saved *s,
			  const struct mlp_grads *grads, const struct mlp_params *p)
{
	const char *op = "mlp_backward";
	size_t used = dev->scratch_used;
	int64_t width = cuda_width(p->lora + 2, 1);
	struct view gate = gu_half(s->gu, 0), up = gu_half(s->gu, 1), dy = cuda_as_act(dev, op, dx);
	struct view a = cuda_scratch(dev, op, dx.rows, gate.cols, dev->act_dtype);
	struct view da = cuda_scratch(dev, op, dx.rows, gate.cols, dev->act_dtype);
	struct view g = cuda_scratch(dev, op, dx.rows, width, dev->act_dtype);
	if (dev->failure[0])
		return;
	cuda_adapted_dx(dev, op, da, g, dy, s->xa_down, p->wdown, p->lora + 2, p->drop);
	cuda_swiglu_backward(dev, op, gu_half(dgu, 0), gu_half(dgu, 1), grads || width ? a : view_none(), da, gate, up);
	cuda_adapted_da(dev, op, g, a, p->wdown, p->lora + 2, p->drop);
	if (grads)
		mlp_weight_gradient(dev, grads->down, dy, a);
	dev->scratch_used = used;
}

static void mlp_backward(struct device *dev, struct view dx, const struct mlp_grads *grads, struct view saved,
			 const struct mlp_params *p, bool want_dx)
{
	const char *op = "mlp_backward";
	if (!check_mlp_backward(dev, dx, saved, p))
		return;
	size_t used = dev->scratch_used;
	bool norm = grads && view_present(grads->norm_w), below = want_dx || norm;
	int64_t width = cuda_width(p->lora, 2);
	struct mlp_saved s = mlp_views(dev, saved, dx.rows, p);
	struct view dgu = cuda_scratch(dev, op, dx.rows, s.gu.cols, dev->act_dtype);
	struct view h = cuda_scratch(dev, op, dx.rows, dx.cols, dev->act_dtype);
	struct view dh = cuda_scratch(dev, op, dx.rows, dx.cols, dev->act_dtype);
	struct view g = cuda_scratch(dev, op, dx.rows, width, dev->act_dtype);
	if (dev->failure[0])
		return;
	down_backward(dev, dgu, dx, &s, grads, p);
	if (grads || width)
		cuda_norm(dev, op, h, view_none(), s.x, p->norm_w, p->eps);
	if (grads) {
		mlp_weight_gradient(dev, grads->gate, gu_half(dgu, 0), h);
		mlp_weight_gradient(dev, grads->up, gu_half(dgu, 1), h);
	}
	cuda_adapted_dx(dev, op, below ? dh : view_none(), g, dgu, s.xa_gu, p->wgu, p->lora, p->drop);
	cuda_adapted_da(dev, op, g, h, p->wgu, p->lora, p->drop);
	if (below)
		cuda_norm_backward(dev, op, want_dx ? dx : view_none(), norm ? grads->norm_w : view_none(), dh, s.x,
				   p->norm_w, p->eps);
	dev->scratch_used = used;
}

size_t cuda_scratch_mlp(const struct device *dev, enum op op, const struct shape *s)
{
	if (op != OP_mlp && op != OP_mlp_backward)
		return 0;
	int64_t R = s->rows, C = s->hidden, F = s->ffn;
	size_t up = cuda_adapted_scratch(dev, s, 2, C, 2 * F), down = cuda_adapted_scratch(dev, s, 1, F, C);
	return 2 * cuda_array_bytes(R, C, dev->act_dtype) + cuda_roomy_bytes(dev, R, C, cuda_most_width(s, 2)) +
	       cuda_array_bytes(R, F, dev->act_dtype) + cuda_roomy_bytes(dev, R, F, cuda_most_width(s, 1)) +
	       cuda_array_bytes(R, 2 * F, dev->act_dtype) + (up > down ? up : down) +
	       cuda_array_bytes(R, cuda_most_width(s, 2), dev->act_dtype) +
	       cuda_array_bytes(R, cuda_most_width(s, 1), dev->act_dtype) +
	       (op == OP_mlp_backward ? cuda_norm_backward_scratch(R, C) : 0);
}

size_t cuda_saved_mlp(const struct device *dev, enum op op, const struct shape *s)
{
	if (op != OP_mlp)
		return 0;
	return cuda_array_bytes(s->rows, s->hidden, dev->resid_dtype) +
	       cuda_array_bytes(s->rows, 2 * s->ffn, dev->act_dtype) +
	       cuda_array_bytes(s->rows, cuda_most_width(s, 2), dev->act_dtype) +
	       cuda_array_bytes(s->rows, cuda_most_width(s, 1), dev->act_dtype);
}

void cuda_override_mlp(struct kernels *table)
{
	table->mlp = mlp;
	table->mlp_backward = mlp_backward;
}
