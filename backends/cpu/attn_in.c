// SPDX-License-Identifier: Apache-2.0
/* attn_in over blocks of tokens; attn_in_work.h tells how. */
#include <string.h>

#include "backends/cpu/attn_in_work.h"
#include "backends/cpu/product.h"
#include "reference/check.h"

static void norm_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct attn_in_block *b = data;
	const struct attn_in_call *c = b->call;

	(void)lane;
	for (int64_t t = first; t < first + count; t++) {
		const float *x = row_f32(c->x, t);

		if (c->saved_x)
			memcpy(c->saved_x + t * c->cols, x, (size_t)c->cols * sizeof *x);
		c->vec->rmsnorm(b->h + (t - b->first) * c->cols, x, c->norm, c->p->eps, c->cols);
	}
}

/* Raw row t of q (i = 0) or k (1): kept, normed by head, turned. */
static void turn_row(const struct attn_in_call *c, int i, int64_t t, float *y)
{
	int64_t dim = c->p->dims.head_dim, heads = c->out[i] / dim, at = c->pos[t];

	if (c->saved_raw[i])
		memcpy(c->saved_raw[i] + t * c->out[i], y, (size_t)c->out[i] * sizeof *y);
	for (int64_t h = 0; c->head_norm[i] && h < heads; h++)
		c->vec->rmsnorm(y + h * dim, y + h * dim, c->head_norm[i], c->p->eps, dim);
	c->vec->rope(y, row_f32(c->p->rope.cos, at), row_f32(c->p->rope.sin, at), heads, dim, false);
}

static void finish_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct attn_in_block *b = data;
	const struct attn_in_call *c = b->call;
	int64_t skip = first - b->first;
	float *work = lane_of(&c->work, lane);

	for (int i = 0; i < 3; i++) {
		float *y = b->y[i] + skip * b->ldy[i];

		block_adapt(&c->low[i], y, b->ldy[i], b->h + skip * c->cols, c->cols, first, count, work);
		for (int64_t t = first; t < first + count; t++, y += b->ldy[i]) {
			int64_t to = c->row && i ? c->row[t] : t;

			if (c->bias[i])
				c->vec->add(y, c->bias[i], c->out[i]);
			if (i < 2)
				turn_row(c, i, t, y);
			if (attn_in_apart(c, i) && to >= 0)
				c->vec->narrow(view_row(c->y[i], to), c->y[i].dtype, y, c->out[i]);
		}
	}
}

static void forward_block(void *data, int64_t first, int64_t count, int lane)
{
	const struct attn_in_call *c = data;
	struct attn_in_block b = attn_in_block_of(c, first, lane);
	struct product list[3];

	for (int i = 0; i < 3; i++)
		list[i] = (struct product){b.y[i], b.ldy[i], b.h, c->cols, c->p->wqkv->w[i], false, c->p->wqkv, i};
	team_phase(c->dev, first, count, lane, c->cols, norm_rows, &b);
	product_nt(c->dev, list, 3, count, lane, &c->panels);
	team_phase(c->dev, first, count, lane, c->out[0] + 2 * c->out[1], finish_rows, &b);
}

static void cpu_attn_in(struct device *dev, struct view q, struct view k, struct view v, struct view saved,
			struct view x, struct view pos, struct view kv_dst, const struct attn_in_params *p)
{
	if (!check_attn_in(dev, q, k, v, saved, x, pos, kv_dst, p) || !attn_in_f32(dev, "attn_in", q, x))
		return;
	size_t used = dev->scratch_used;
	struct team_plan plan = team_plan(dev, x.rows, false);
	struct attn_in_call c = attn_in_call_of(dev, "attn_in", p, x.rows, plan);

	c.y[0] = q;
	c.y[1] = k;
	c.y[2] = v;
	c.x = x;
	c.pos = view_row(pos, 0);
	c.row = view_present(kv_dst) ? view_row(kv_dst, 0) : NULL;
	attn_in_find_saved(&c, saved, x.rows);
	for (int i = 0; i < 3; i++)
		c.low[i].lr = low_rank_of(dev, p->lora[i], p->drop);
	if (!dev->failure[0])
		team_blocks(dev, x.rows, plan, forward_block, &c);
	dev->scratch_used = used;
}

void cpu_override_attn_in(struct kernels *table)
{
	table->attn_in = cpu_attn_in;
	table->attn_in_backward = cpu_attn_in_backward;
}
