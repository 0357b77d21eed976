// SPDX-License-Identifier: Apache-2.0
/* The gradient of attn_in over blocks of tokens; attn_in_work.h tells how. */
#include <string.h>

#include "backends/cpu/attn_in_work.h"
#include "backends/cpu/product.h"
#include "reference/check.h"

/* Lane sums of the norms' gradients: x, q heads, k heads. */
static float *norm_sum(const struct attn_in_call *c, int which, int lane)
{
	static const struct view none;
	const struct view *wanted[3] = {c->grads ? &c->grads->norm_w : &none, c->grads ? &c->grads->q_norm : &none,
					c->grads ? &c->grads->k_norm : &none};

	if (!view_present(*wanted[which]))
		return NULL;
	return lane_of(&c->sums, lane) + (which ? c->cols + (which - 1) * c->p->dims.head_dim : 0);
}

/* From the gradient of turned, normed heads to that of raw ones, in place. */
static void turn_row_back(const struct attn_in_call *c, int i, int64_t t, float *d, float *work, float *sum)
{
	int64_t dim = c->p->dims.head_dim, heads = c->out[i] / dim, at = c->pos[t];

	c->vec->rope(d, row_f32(c->p->rope.cos, at), row_f32(c->p->rope.sin, at), heads, dim, true);
	for (int64_t h = 0; c->head_norm[i] && h < heads; h++) {
		memset(work, 0, (size_t)dim * sizeof *work);
		c->vec->rmsnorm_backward(work, sum, d + h * dim, c->saved_raw[i] + t * c->out[i] + h * dim,
					 c->head_norm[i], c->p->eps, dim);
		memcpy(d + h * dim, work, (size_t)dim * sizeof *work);
	}
}

static void unturn_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct attn_in_block *b = data;
	const struct attn_in_call *c = b->call;

	for (int64_t t = first; t < first + count; t++) {
		for (int i = 0; i < 2; i++)
			turn_row_back(c, i, t, row_f32(c->y[i], t), lane_of(&c->work, lane), norm_sum(c, i + 1, lane));
		c->vec->rmsnorm(b->h + (t - b->first) * c->cols, c->saved_x + t * c->cols, c->norm, c->p->eps, c->cols);
	}
}

static void input_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct attn_in_block *b = data;
	const struct attn_in_call *c = b->call;
	int64_t skip = (first - b->first) * c->cols;
	float *dh = c->below ? b->dh + skip : NULL;

	for (int i = 0; i < 3; i++)
		block_adapt_backward(&c->low[i], lane, dh, c->cols, row_f32(c->y[i], first), c->y[i].ld, b->h + skip,
				     c->cols, first, count, lane_of(&c->work, lane));
	for (int64_t t = first; c->below && t < first + count; t++, dh += c->cols)
		c->vec->rmsnorm_backward(c->want_dx ? row_f32(c->x, t) : NULL, norm_sum(c, 0, lane), dh,
					 c->saved_x + t * c->cols, c->norm, c->p->eps, c->cols);
}

static void backward_block(void *data, int64_t first, int64_t count, int lane)
{
	const struct attn_in_call *c = data;
	struct attn_in_block b = attn_in_block_of(c, first, lane);
	struct product list[3];

	for (int i = 0; i < 3; i++)
		list[i] = (struct product){b.dh, c->cols, b.y[i], b.ldy[i], c->p->wqkv->w[i], false, c->p->wqkv, i};
	team_phase(c->dev, first, count, lane, c->out[0] + c->cols, unturn_rows, &b);
	if (c->below)
		product_nn(c->dev, list, 3, count, lane, &c->panels);
	for (int i = 0; c->grads && i < 3; i++)
		product_dw(c->dev, c->grads->w[i], c->grads->bias[i], b.y[i], b.ldy[i], b.h, c->cols, count);
	team_phase(c->dev, first, count, lane, 2 * c->cols, input_rows, &b);
}

/* Sums of all lanes into the gradients. */
static void collect(const struct attn_in_call *c)
{
	const struct view to[3] = {c->grads ? c->grads->norm_w : view_none(), c->grads ? c->grads->q_norm : view_none(),
				   c->grads ? c->grads->k_norm : view_none()};

	for (int i = 0; i < 3; i++) {
		block_adapt_collect(&c->low[i]);
		for (int lane = 0; view_present(to[i]) && lane < c->dev->threads; lane++)
			c->vec->add(row_f32(to[i], 0), norm_sum(c, i, lane), to[i].cols);
	}
}

void cpu_attn_in_backward(struct device *dev, struct view dx, const struct attn_in_grads *grads, struct view dq,
			  struct view dk, struct view dv, struct view saved, struct view pos,
			  const struct attn_in_params *p, bool want_dx)
{
	const char *op = "attn_in_backward";

	if (!check_attn_in_backward(dev, dx, dq, dk, dv, saved, pos, p) || !attn_in_f32(dev, op, dx, dq) ||
	    !attn_in_f32(dev, op, dk, dv))
		return;
	size_t used = dev->scratch_used;
	struct team_plan plan = team_plan(dev, dx.rows, grads != NULL);
	struct attn_in_call c = attn_in_call_of(dev, op, p, dx.rows, plan);
	int64_t sums = attn_in_norm_floats(c.cols, p->dims.head_dim);

	c.y[0] = dq;
	c.y[1] = dk;
	c.y[2] = dv;
	c.x = dx;
	c.pos = view_row(pos, 0);
	c.grads = grads;
	c.want_dx = want_dx;
	c.below = want_dx || (grads && view_present(grads->norm_w));
	c.sums = lanes_take(dev, op, dev->threads, sums);
	attn_in_find_saved(&c, saved, dx.rows);
	for (int i = 0; i < 3; i++)
		block_adapt_sums(dev, op, &c.low[i], p->lora[i], p->drop);
	if (!dev->failure[0]) {
		memset(c.sums.at, 0, lanes_bytes(dev->threads, sums));
		team_blocks(dev, dx.rows, plan, backward_block, &c);
		collect(&c);
	}
	dev->scratch_used = used;
}
