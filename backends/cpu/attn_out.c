// SPDX-License-Identifier: Apache-2.0
/* attn_out and its gradient over blocks of tokens; saved: xa [R,r], f32, dense. */
#include "backends/cpu/block.h"
#include "backends/cpu/product.h"
#include "reference/check.h"

/* One call, forward or backward; in the backward x is dx. */
struct call {
	const struct device *dev;
	const struct vec *vec;
	const struct attn_out_params *p;
	const struct attn_out_grads *grads;
	struct block_adapter low;
	struct view x, o, d_o;
	const float *bias;
	struct lanes panels, work;
	bool want_do;
};

static void finish_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct call *c = data;

	block_adapt(&c->low, row_f32(c->x, first), c->x.ld, row_f32(c->o, first), c->o.ld, first, count,
		    lane_of(&c->work, lane));
	for (int64_t t = first; c->bias && t < first + count; t++)
		c->vec->add(row_f32(c->x, t), c->bias, c->x.cols);
}

static void forward_block(void *data, int64_t first, int64_t count, int lane)
{
	struct call *c = data;
	struct product product = {
		row_f32(c->x, first), c->x.ld, row_f32(c->o, first), c->o.ld, c->p->wo->w[0], true, c->p->wo, 0};

	product_nt(c->dev, &product, 1, count, lane, &c->panels);
	if (c->bias || c->low.lr.lora)
		team_phase(c->dev, first, count, lane, c->x.cols + c->o.cols, finish_rows, c);
}

static void adapt_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct call *c = data;

	block_adapt_backward(&c->low, lane, c->want_do ? row_f32(c->d_o, first) : NULL, c->d_o.ld, row_f32(c->x, first),
			     c->x.ld, row_f32(c->o, first), c->o.ld, first, count, lane_of(&c->work, lane));
}

static void backward_block(void *data, int64_t first, int64_t count, int lane)
{
	struct call *c = data;

	if (c->want_do) {
		struct product product = {row_f32(c->d_o, first),
					  c->d_o.ld,
					  row_f32(c->x, first),
					  c->x.ld,
					  c->p->wo->w[0],
					  false,
					  c->p->wo,
					  0};

		product_nn(c->dev, &product, 1, count, lane, &c->panels);
	}
	if (c->grads)
		product_dw(c->dev, c->grads->w, c->grads->bias, row_f32(c->x, first), c->x.ld, row_f32(c->o, first),
			   c->o.ld, count);
	if (c->low.lr.lora)
		team_phase(c->dev, first, count, lane, c->x.cols + c->o.cols, adapt_rows, c);
}

static bool f32(struct device *dev, const char *op, struct view a, struct view b)
{
	if (a.dtype == DTYPE_F32 && b.dtype == DTYPE_F32)
		return true;
	device_fail(dev, op, "x, o and their gradients are f32 on this device, not %s and %s", dtype_name(a.dtype),
		    dtype_name(b.dtype));
	return false;
}

static struct call call_of(struct device *dev, const char *op, struct view x, struct view saved, struct view o,
			   const struct attn_out_params *p, int64_t block_rows)
{
	struct call c = {.dev = dev,
			 .vec = cpu_of(dev)->vec,
			 .p = p,
			 .x = x,
			 .o = o,
			 .low.saved = view_present(saved) ? view_row(saved, 0) : NULL};
	int64_t rank = p->lora ? p->lora->a.rows : 0;

	c.panels = lanes_take(dev, op, dev->threads, panel_of(dev));
	c.work = lanes_take(dev, op, dev->threads, block_adapt_work(block_rows, rank));
	return c;
}

static void cpu_attn_out(struct device *dev, struct view x, struct view saved, struct view o,
			 const struct attn_out_params *p)
{
	if (!check_attn_out(dev, x, saved, o, p) || !f32(dev, "attn_out", x, o))
		return;
	size_t used = dev->scratch_used;
	struct team_plan plan = team_plan(dev, x.rows, false);
	struct call c = call_of(dev, "attn_out", x, saved, o, p, plan.block);

	c.bias = expanded(dev, "attn_out", p->bias);
	c.low.lr = low_rank_of(dev, p->lora, p->drop);
	if (!dev->failure[0])
		team_blocks(dev, x.rows, plan, forward_block, &c);
	dev->scratch_used = used;
}

static void cpu_attn_out_backward(struct device *dev, struct view d_o, const struct attn_out_grads *grads,
				  struct view dx, struct view saved, struct view o, const struct attn_out_params *p,
				  bool want_do)
{
	const char *op = "attn_out_backward";

	if (!check_attn_out_backward(dev, d_o, dx, saved, o, p, want_do) || !f32(dev, op, dx, o) ||
	    !f32(dev, op, want_do ? d_o : dx, dx))
		return;
	size_t used = dev->scratch_used;
	struct team_plan plan = team_plan(dev, dx.rows, grads != NULL);
	struct call c = call_of(dev, op, dx, saved, o, p, plan.block);

	c.d_o = d_o;
	c.grads = grads;
	c.want_do = want_do;
	block_adapt_sums(dev, op, &c.low, p->lora, p->drop);
	if (!dev->failure[0]) {
		team_blocks(dev, dx.rows, plan, backward_block, &c);
		block_adapt_collect(&c.low);
	}
	dev->scratch_used = used;
}

size_t cpu_attn_out_scratch(const struct device *dev, enum op op, const struct shape *s)
{
	int64_t query = s->heads * s->head_dim;

	if (op != OP_attn_out && op != OP_attn_out_backward)
		return 0;
	return lanes_bytes(1, s->hidden) + lanes_bytes(dev->threads, panel_of(dev)) +
	       lanes_bytes(dev->threads, block_adapt_work(team_plan_rows(dev, s->rows), s->rank)) +
	       block_sums_bytes(dev, query, s->hidden, s->rank);
}

size_t cpu_attn_out_saved(const struct device *dev, enum op op, const struct shape *s)
{
	(void)dev;
	return op == OP_attn_out ? saved_bytes(s->rows * s->rank) : 0;
}

void cpu_override_attn_out(struct kernels *table)
{
	table->attn_out = cpu_attn_out;
	table->attn_out_backward = cpu_attn_out_backward;
}
