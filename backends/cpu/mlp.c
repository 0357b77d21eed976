// SPDX-License-Identifier: Apache-2.0
/* mlp over blocks of tokens; mlp_work.h tells how. */
#include <string.h>

#include "backends/cpu/mlp_work.h"
#include "backends/cpu/product.h"
#include "reference/check.h"

static void norm_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct mlp_block *b = data;
	const struct mlp_call *c = b->call;
	int64_t skip = first - b->first;

	for (int64_t t = first; t < first + count; t++) {
		const float *x = row_f32(c->x, t);

		if (c->saved_x)
			memcpy(c->saved_x + t * c->cols, x, (size_t)c->cols * sizeof *x);
		c->vec->rmsnorm(b->h + (t - b->first) * c->cols, x, c->norm, c->p->eps, c->cols);
	}
	for (int i = MLP_GATE; i <= MLP_UP; i++)
		if (c->low[i].lr.lora)
			low_rank_down(&c->low[i].lr, b->xa[i] + skip * c->low[i].lr.rank, b->h + skip * c->cols,
				      c->cols, first, count, 0, c->cols, false, lane_of(&c->work, lane));
}

/* Low rank of gate and up, SwiGLU, low rank of down's input. */
static void activate_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct mlp_block *b = data;
	const struct mlp_call *c = b->call;
	int64_t skip = first - b->first;
	int64_t n = b->count;
	float *work = lane_of(&c->work, lane), *act = b->act + skip * n;
	float *y[2] = {b->gate + skip * n, b->up + skip * n};

	for (int i = MLP_GATE; i <= MLP_UP; i++)
		if (c->low[i].lr.lora)
			low_rank_up(&c->low[i].lr, y[i], n, b->xa[i] + skip * c->low[i].lr.rank, count, b->begin, n,
				    work);
	for (int64_t t = 0; t < count; t++)
		c->vec->swiglu(act + t * n, y[MLP_GATE] + t * n, y[MLP_UP] + t * n, n);
	if (c->low[MLP_DOWN].lr.lora)
		low_rank_down(&c->low[MLP_DOWN].lr, b->xa[MLP_DOWN] + skip * c->low[MLP_DOWN].lr.rank, act, n, first,
			      count, b->begin, n, b->begin > 0, work);
}

static void down_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct mlp_block *b = data;
	const struct mlp_call *c = b->call;
	const struct low_rank *lr = &c->low[MLP_DOWN].lr;

	low_rank_up(lr, row_f32(c->x, first), c->x.ld, b->xa[MLP_DOWN] + (first - b->first) * lr->rank, count, 0,
		    c->cols, lane_of(&c->work, lane));
}

static void forward_block(void *data, int64_t first, int64_t count, int lane)
{
	const struct mlp_call *c = data;
	struct mlp_block b = mlp_block_of(c, first, lane, false);

	team_phase(c->dev, first, count, lane, c->cols, norm_rows, &b);
	for (int64_t begin = 0; begin < c->ffn; begin += c->part) {
		mlp_part_at(&b, begin);
		struct product up[2] = {
			{b.gate, b.count, b.h, c->cols, view_rows(c->p->wgu->w[0], begin, b.count), false, c->p->wgu,
			 0},
			{b.up, b.count, b.h, c->cols, view_rows(c->p->wgu->w[1], begin, b.count), false, c->p->wgu, 1},
		};
		struct product down = {row_f32(c->x, first),
				       c->x.ld,
				       b.act,
				       b.count,
				       view_cols(c->p->wdown->w[0], begin, b.count),
				       true,
				       c->p->wdown,
				       0};

		product_nt(c->dev, up, 2, count, lane, &c->panels);
		team_phase(c->dev, first, count, lane, 4 * b.count, activate_rows, &b);
		product_nt(c->dev, &down, 1, count, lane, &c->panels);
	}
	if (c->low[MLP_DOWN].lr.lora)
		team_phase(c->dev, first, count, lane, c->cols, down_rows, &b);
}

static void cpu_mlp(struct device *dev, struct view x, struct view saved, const struct mlp_params *p)
{
	if (!check_mlp(dev, x, saved, p) || !mlp_f32(dev, "mlp", x))
		return;
	size_t used = dev->scratch_used;
	struct team_plan plan = team_plan(dev, x.rows, false);
	struct mlp_call c = mlp_call_of(dev, "mlp", x, saved, p, plan);

	for (int i = 0; i < 3; i++)
		c.low[i].lr = low_rank_of(dev, p->lora[i], p->drop);
	if (!dev->failure[0])
		team_blocks(dev, x.rows, plan, forward_block, &c);
	dev->scratch_used = used;
}

void cpu_override_mlp(struct kernels *table)
{
	table->mlp = cpu_mlp;
	table->mlp_backward = cpu_mlp_backward;
}
