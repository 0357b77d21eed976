// SPDX-License-Identifier: Apache-2.0
/* One call of mlp or of its gradient: how it is cut, and its buffers. */
#include "backends/cpu/mlp_work.h"

#include "backends/cpu/mlp.h"
#include "backends/cpu/product.h"

enum { PART = 1024 /* most columns of a part */ };

int64_t mlp_part(int64_t ffn)
{
	int64_t parts = (ffn + PART - 1) / PART;

	return parts == 0 ? ffn : round_up_to((ffn + parts - 1) / parts, 64);
}

/* All of F where a call has few rows and may sum in another order: decoding reads weights, it keeps nothing. */
static int64_t part_of(const struct device *dev, int64_t ffn, int64_t rows)
{
	return rows <= cpu_of(dev)->products->few && !dev->batch_invariant ? ffn : mlp_part(ffn);
}

/* Floats of a block of so many rows; the carvings' ends included */
static int64_t block_floats(int64_t rows, int64_t cols, int64_t part, int64_t rank)
{
	return rows * (2 * cols + 3 * part + 6 * rank) + 16 * 12;
}

struct mlp_call mlp_call_of(struct device *dev, const char *op, struct view x, struct view saved,
			    const struct mlp_params *p, struct team_plan plan)
{
	int64_t ffn = p->wgu->w[0].rows, rank = 0, part = part_of(dev, ffn, x.rows);
	char *at = view_present(saved) ? view_row(saved, 0) : NULL;
	struct mlp_call c = {.dev = dev,
			     .vec = cpu_of(dev)->vec,
			     .p = p,
			     .x = x,
			     .cols = x.cols,
			     .ffn = ffn,
			     .part = part,
			     .block_rows = plan.block,
			     .norm = expanded(dev, op, p->norm_w)};

	c.saved_x = saved_carve(&at, x.rows * x.cols);
	c.saved_gate = saved_carve(&at, x.rows * ffn);
	c.saved_up = saved_carve(&at, x.rows * ffn);
	for (int i = 0; i < 3; i++) {
		if (!p->lora[i])
			continue;
		rank = at_least(rank, p->lora[i]->a.rows);
		c.low[i].saved = saved_carve(&at, x.rows * p->lora[i]->a.rows);
	}
	c.panels = lanes_take(dev, op, dev->threads, panel_of(dev));
	c.blocks = lanes_take(dev, op, team_plan_lanes(dev, plan), block_floats(plan.block, x.cols, part, rank));
	c.work = lanes_take(dev, op, dev->threads, block_adapt_work(plan.block, rank));
	return c;
}

bool mlp_f32(struct device *dev, const char *op, struct view x)
{
	if (x.dtype != DTYPE_F32)
		device_fail(dev, op, "x is f32 on this device, not %s", dtype_name(x.dtype));
	return x.dtype == DTYPE_F32;
}

struct mlp_block mlp_block_of(const struct mlp_call *c, int64_t first, int lane, bool backward)
{
	float *at = lane_of(&c->blocks, lane);
	int64_t rows = c->block_rows, part = rows * c->part;
	struct mlp_block b = {
		.call = c, .first = first, .h = lane_carve(&at, rows * c->cols), .act = lane_carve(&at, part)};

	for (int i = 0; i < 3; i++)
		b.xa[i] = c->low[i].saved ? c->low[i].saved + first * c->low[i].lr.rank
					  : lane_carve(&at, rows * c->low[i].lr.rank);
	if (!backward && !c->saved_gate) {
		b.gate = lane_carve(&at, part);
		b.up = lane_carve(&at, part);
	}
	if (!backward)
		return b;
	b.dgate = lane_carve(&at, part);
	b.dup = lane_carve(&at, part);
	b.dh = lane_carve(&at, rows * c->cols);
	for (int i = 0; i < 3; i++)
		b.g[i] = lane_carve(&at, rows * c->low[i].lr.rank);
	return b;
}

void mlp_part_at(struct mlp_block *b, int64_t begin)
{
	const struct mlp_call *c = b->call;

	b->begin = begin;
	b->count = at_most(c->part, c->ffn - begin);
	if (!c->saved_gate)
		return;
	b->gate = c->saved_gate + c->x.rows * begin + b->first * b->count;
	b->up = c->saved_up + c->x.rows * begin + b->first * b->count;
}

/* ---- sizes ------------------------------------------------------------------- */

/* All of F for few rows, a part of it for many: the larger. */
static int64_t most_block_floats(const struct device *dev, const struct shape *s)
{
	int64_t rows = team_plan_rows(dev, s->rows), few = at_most(rows, cpu_of(dev)->products->few);

	return at_least(block_floats(rows, s->hidden, part_of(dev, s->ffn, s->rows), s->rank) + dev->threads * 16 * 12,
			block_floats(few, s->hidden, s->ffn, s->rank));
}

size_t cpu_mlp_scratch(const struct device *dev, enum op op, const struct shape *s)
{
	if (op != OP_mlp && op != OP_mlp_backward)
		return 0;
	return lanes_bytes(1 + dev->threads, s->hidden) + lanes_bytes(dev->threads, panel_of(dev)) +
	       lanes_bytes(1, most_block_floats(dev, s)) +
	       lanes_bytes(dev->threads, block_adapt_work(team_plan_rows(dev, s->rows), s->rank)) +
	       2 * block_sums_bytes(dev, s->hidden, s->ffn, s->rank) +
	       block_sums_bytes(dev, s->ffn, s->hidden, s->rank);
}

size_t cpu_mlp_saved(const struct device *dev, enum op op, const struct shape *s)
{
	(void)dev;
	return op == OP_mlp ? saved_bytes(s->rows * s->hidden) + 2 * saved_bytes(s->rows * s->ffn) +
				      3 * saved_bytes(s->rows * s->rank)
			    : 0;
}
