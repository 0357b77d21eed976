// SPDX-License-Identifier: Apache-2.0
/* The gradient of mlp over blocks of tokens; mlp_work.h tells how. */
#include <string.h>

#include "backends/cpu/mlp_work.h"
#include "backends/cpu/product.h"
#include "reference/check.h"

static float *norm_sum(const struct mlp_call *c, int lane)
{
	return c->grads && view_present(c->grads->norm_w) ? lane_of(&c->sums, lane) : NULL;
}

/* g of down, h again */
static void begin_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct mlp_block *b = data;
	const struct mlp_call *c = b->call;
	const struct block_adapter *down = &c->low[MLP_DOWN];
	int64_t skip = first - b->first;

	for (int64_t t = first; t < first + count; t++)
		c->vec->rmsnorm(b->h + (t - b->first) * c->cols, c->saved_x + t * c->cols, c->norm, c->p->eps, c->cols);
	if (down->lr.lora)
		low_rank_up_backward(&down->lr, &down->sums[lane], b->g[MLP_DOWN] + skip * down->lr.rank,
				     row_f32(c->x, first), c->x.ld, b->xa[MLP_DOWN] + skip * down->lr.rank, count, 0,
				     c->cols, false, lane_of(&c->work, lane));
}

/* In act the gradient of the activated rows without down's low rank; dgate, dup, act itself. */
static void deactivate_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct mlp_block *b = data;
	const struct mlp_call *c = b->call;
	const struct block_adapter *down = &c->low[MLP_DOWN];
	int64_t skip = first - b->first, n = b->count;
	float *act = b->act + skip * n, *d[2] = {b->dgate + skip * n, b->dup + skip * n};
	float *work = lane_of(&c->work, lane);
	const float *gate = b->gate + skip * n, *up = b->up + skip * n, *g = b->g[MLP_DOWN] + skip * down->lr.rank;

	for (int64_t t = 0; down->lr.lora && t < count; t++)
		c->vec->swiglu(d[0] + t * n, gate + t * n, up + t * n, n);
	if (down->lr.lora)
		low_rank_down_backward(&down->lr, &down->sums[lane], act, n, g, d[0], n, first, count, b->begin, n,
				       work);
	for (int64_t t = 0; t < count; t++)
		c->vec->swiglu_backward(act + t * n, d[MLP_GATE] + t * n, d[MLP_UP] + t * n, act + t * n, gate + t * n,
					up + t * n, n);
	for (int i = MLP_GATE; i <= MLP_UP; i++)
		if (c->low[i].lr.lora)
			low_rank_up_backward(&c->low[i].lr, &c->low[i].sums[lane], b->g[i] + skip * c->low[i].lr.rank,
					     d[i], n, b->xa[i] + skip * c->low[i].lr.rank, count, b->begin, n,
					     b->begin > 0, work);
}

/* Low rank of gate and up into dh, then through the norm. */
static void input_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct mlp_block *b = data;
	const struct mlp_call *c = b->call;
	int64_t skip = first - b->first;
	float *dh = c->below ? b->dh + skip * c->cols : NULL;

	for (int i = MLP_GATE; i <= MLP_UP; i++)
		if (c->low[i].lr.lora)
			low_rank_down_backward(&c->low[i].lr, &c->low[i].sums[lane], dh, c->cols,
					       b->g[i] + skip * c->low[i].lr.rank, b->h + skip * c->cols, c->cols,
					       first, count, 0, c->cols, lane_of(&c->work, lane));
	for (int64_t t = first; c->below && t < first + count; t++, dh += c->cols)
		c->vec->rmsnorm_backward(c->want_dx ? row_f32(c->x, t) : NULL, norm_sum(c, lane), dh,
					 c->saved_x + t * c->cols, c->norm, c->p->eps, c->cols);
}

/* Full fine-tuning: the part's rows of gate and up, its columns of down. */
static void part_dw(const struct mlp_block *b, int64_t count)
{
	const struct mlp_call *c = b->call;
	const struct mlp_grads *g = c->grads;
	struct view none = view_none();

	if (view_present(g->down))
		product_dw(c->dev, view_cols(g->down, b->begin, b->count), none, row_f32(c->x, b->first), c->x.ld,
			   b->act, b->count, count);
	if (view_present(g->gate))
		product_dw(c->dev, view_rows(g->gate, b->begin, b->count), none, b->dgate, b->count, b->h, c->cols,
			   count);
	if (view_present(g->up))
		product_dw(c->dev, view_rows(g->up, b->begin, b->count), none, b->dup, b->count, b->h, c->cols, count);
}

static void backward_part(const struct mlp_block *b, int64_t count, int lane)
{
	const struct mlp_call *c = b->call;
	struct product down = {b->act,
			       b->count,
			       row_f32(c->x, b->first),
			       c->x.ld,
			       view_cols(c->p->wdown->w[0], b->begin, b->count),
			       false,
			       c->p->wdown,
			       0};
	struct product up[2] = {
		{b->dh, c->cols, b->dgate, b->count, view_rows(c->p->wgu->w[0], b->begin, b->count), b->begin > 0,
		 c->p->wgu, 0},
		{b->dh, c->cols, b->dup, b->count, view_rows(c->p->wgu->w[1], b->begin, b->count), true, c->p->wgu, 1},
	};

	product_nn(c->dev, &down, 1, count, lane, &c->panels);
	team_phase(c->dev, b->first, count, lane, 4 * b->count, deactivate_rows, (void *)b);
	if (c->below)
		product_nn(c->dev, up, 2, count, lane, &c->panels);
	if (c->grads)
		part_dw(b, count);
}

static void backward_block(void *data, int64_t first, int64_t count, int lane)
{
	const struct mlp_call *c = data;
	struct mlp_block b = mlp_block_of(c, first, lane, true);

	team_phase(c->dev, first, count, lane, c->cols, begin_rows, &b);
	for (int64_t begin = 0; begin < c->ffn; begin += c->part) {
		mlp_part_at(&b, begin);
		backward_part(&b, count, lane);
	}
	team_phase(c->dev, first, count, lane, 2 * c->cols, input_rows, &b);
}

void cpu_mlp_backward(struct device *dev, struct view dx, const struct mlp_grads *grads, struct view saved,
		      const struct mlp_params *p, bool want_dx)
{
	const char *op = "mlp_backward";

	if (!check_mlp_backward(dev, dx, saved, p) || !mlp_f32(dev, op, dx))
		return;
	size_t used = dev->scratch_used;
	struct team_plan plan = team_plan(dev, dx.rows, grads != NULL);
	struct mlp_call c = mlp_call_of(dev, op, dx, saved, p, plan);

	c.grads = grads;
	c.want_dx = want_dx;
	c.below = want_dx || (grads && view_present(grads->norm_w));
	c.sums = lanes_take(dev, op, dev->threads, c.cols);
	for (int i = 0; i < 3; i++)
		block_adapt_sums(dev, op, &c.low[i], p->lora[i], p->drop);
	if (!dev->failure[0]) {
		memset(c.sums.at, 0, lanes_bytes(dev->threads, c.cols));
		team_blocks(dev, dx.rows, plan, backward_block, &c);
		for (int i = 0; i < 3; i++)
			block_adapt_collect(&c.low[i]);
		for (int lane = 0; norm_sum(&c, lane) && lane < dev->threads; lane++)
			c.vec->add(row_f32(grads->norm_w, 0), norm_sum(&c, lane), c.cols);
	}
	dev->scratch_used = used;
}
