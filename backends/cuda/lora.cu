// SPDX-License-Identifier: Apache-2.0
/* One adapter alone: the primitives lora and lora_backward. */
#include "backends/cuda/low_rank.cuh"

#include "reference/check.h"

/* act_dtype copies of one adapter's A and of what stands at its ends. */
struct alone {
	struct view a, b, x, xa;
};

static bool alone_init(struct alone *l, struct device *dev, const char *op, struct view x, const struct lora *lora,
		       const struct dropout *drop)
{
	bool masked = drops(lora, drop);
	l->a = cuda_as_act(dev, op, lora->a);
	l->b = cuda_as_act(dev, op, lora->b);
	l->x = x;
	if (masked || x.dtype != dev->act_dtype)
		l->x = cuda_scratch(dev, op, x.rows, x.cols, dev->act_dtype);
	l->xa = cuda_scratch(dev, op, x.rows, lora->a.rows, dev->act_dtype);
	if (dev->failure[0])
		return false;
	if (masked)
		cuda_drop(dev, op, l->x, x, lora, drop, false);
	else if (x.dtype != dev->act_dtype)
		cuda_convert(dev, op, l->x, x);
	return !dev->failure[0];
}

static void lora_table(struct device *dev, struct view y, struct view xa, struct view x, const struct lora *lora,
			  const struct dropout *drop)
{
	size_t used = dev->scratch_used;
	struct alone l;
	if (!check_lora(dev, y, xa, x, lora, drop) || !alone_init(&l, dev, "lora", x, lora, drop))
		return;
	struct cuda_factor in = {l.x, false}, a = {l.a, true}, mid = {l.xa, false}, b = {l.b, true};
	cuda_multiply(dev, "lora", xa, in, a, 1, false);
	cuda_convert(dev, "lora", l.xa, xa);
	cuda_multiply_any(dev, "lora", y, mid, b, lora->scale, true);
	dev->scratch_used = used;
}

static void alone_dx(struct device *dev, struct view dx, const struct alone *l, const struct lora *lora,
		     const struct dropout *drop)
{
	struct view sum = cuda_scratch(dev, "lora_backward", dx.rows, dx.cols, DTYPE_F32);
	struct cuda_factor g = {l->xa, false}, a = {l->a, false};
	if (!drops(lora, drop)) {
		cuda_multiply_any(dev, "lora_backward", dx, g, a, 1, true);
		return;
	}
	if (!view_present(sum))
		return;
	cuda_multiply(dev, "lora_backward", sum, g, a, 1, false);
	cuda_drop(dev, "lora_backward", dx, sum, lora, drop, true);
}

static void lora_table_backward(struct device *dev, struct view dx, struct view dy, struct view x, struct view xa,
				   const struct lora *lora, const struct dropout *drop)
{
	size_t used = dev->scratch_used;
	struct alone l;
	if (!check_lora_backward(dev, dx, dy, x, xa, lora, drop) || !alone_init(&l, dev, "lora_backward", x, lora, drop))
		return;
	struct view d = cuda_as_act(dev, "lora_backward", dy), in = cuda_as_act(dev, "lora_backward", xa);
	if (dev->failure[0])
		return;
	struct cuda_factor dt = {d, true}, kept = {in, false}, df = {d, false}, b = {l.b, false};
	if (view_present(lora->db))
		cuda_multiply(dev, "lora_backward", lora->db, dt, kept, lora->scale, true);
	cuda_multiply(dev, "lora_backward", l.xa, df, b, lora->scale, false); /* g */
	if (view_present(lora->da)) {
		struct cuda_factor g = {l.xa, true}, low = {l.x, false};
		cuda_multiply(dev, "lora_backward", lora->da, g, low, 1, true);
	}
	if (view_present(dx))
		alone_dx(dev, dx, &l, lora, drop);
	dev->scratch_used = used;
}

size_t cuda_scratch_lora(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev;
	int64_t wide = shape->hidden > shape->ffn ? shape->hidden : shape->ffn, R = shape->rows, r = shape->rank;
	int64_t attn = shape->heads * shape->head_dim;
	wide = attn > wide ? attn : wide;
	if (op != OP_lora && op != OP_lora_backward)
		return 0;
	return 3 * cuda_array_bytes(R, wide, DTYPE_F32) + 2 * cuda_array_bytes(r, wide, DTYPE_F32) +
	       2 * cuda_array_bytes(R, r, DTYPE_F32);
}

void cuda_override_lora(struct kernels *table)
{
	table->lora = lora_table;
	table->lora_backward = lora_table_backward;
}
