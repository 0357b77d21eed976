// SPDX-License-Identifier: Apache-2.0
/*
 * mlp and its gradient over blocks of tokens, and inside a block over parts of
 * the F columns, so that gate, up and their product stay in the cache and the
 * down product sums up part by part.
 *
 * saved: x [R,C], gate and up, each part after part as [R, columns of the part],
 * xa [R,r] of gate, up, down; f32, dense.
 */
#include "backends/cpu/mlp.h"

#include <string.h>

#include "backends/cpu/block.h"
#include "backends/cpu/product.h"
#include "reference/check.h"

enum { PART = 1024 /* most columns of a part */ };

enum { GATE, UP, DOWN };

/* One call, forward or backward; in the backward x is dx. */
struct call {
	const struct device *dev;
	const struct vec *vec;
	const struct mlp_params *p;
	const struct mlp_grads *grads;
	struct block_adapter low[3];
	struct view x;
	const float *norm;
	int64_t cols, ffn, part;
	float *saved_x, *saved_gate, *saved_up; /* NULL: not saved */
	struct lanes panels;
	struct lanes blocks; /* of a block */
	struct lanes work;   /* of a piece of rows */
	struct lanes sums;   /* gradient of the norm, of each lane */
	int64_t block_rows;
	bool want_dx, below; /* x wants a gradient; h does */
};

/* A block and the part of F it is at; row 0 is row `first` of the call. */
struct block {
	const struct call *call;
	int64_t first, begin, count; /* columns [begin, begin + count) of F */
	float *h, *dh;
	float *gate, *up, *act, *dgate, *dup; /* of the part, [rows, count] */
	float *xa[3], *g[3];                  /* low rank: of the block's rows */
};

static struct block block_of(const struct call *c, int64_t first, int lane, bool backward)
{
	float *at = lane_of(&c->blocks, lane);
	int64_t rows = c->block_rows, part = rows * c->part;
	struct block b = {
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

/* Go to the part that begins at column `begin`. */
static void part_at(struct block *b, int64_t begin)
{
	const struct call *c = b->call;

	b->begin = begin;
	b->count = at_most(c->part, c->ffn - begin);
	if (!c->saved_gate)
		return;
	b->gate = c->saved_gate + c->x.rows * begin + b->first * b->count;
	b->up = c->saved_up + c->x.rows * begin + b->first * b->count;
}

static void norm_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct block *b = data;
	const struct call *c = b->call;
	int64_t skip = first - b->first;

	for (int64_t t = first; t < first + count; t++) {
		const float *x = row_f32(c->x, t);

		if (c->saved_x)
			memcpy(c->saved_x + t * c->cols, x, (size_t)c->cols * sizeof *x);
		c->vec->rmsnorm(b->h + (t - b->first) * c->cols, x, c->norm, c->p->eps, c->cols);
	}
	for (int i = GATE; i <= UP; i++)
		if (c->low[i].lr.lora)
			low_rank_down(&c->low[i].lr, b->xa[i] + skip * c->low[i].lr.rank, b->h + skip * c->cols,
				      c->cols, first, count, 0, c->cols, false, lane_of(&c->work, lane));
}

/* Low rank of gate and up, SwiGLU, low rank of down's input. */
static void activate_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct block *b = data;
	const struct call *c = b->call;
	int64_t skip = first - b->first;
	int64_t n = b->count;
	float *work = lane_of(&c->work, lane), *act = b->act + skip * n;
	float *y[2] = {b->gate + skip * n, b->up + skip * n};

	for (int i = GATE; i <= UP; i++)
		if (c->low[i].lr.lora)
			low_rank_up(&c->low[i].lr, y[i], n, b->xa[i] + skip * c->low[i].lr.rank, count, b->begin, n,
				    work);
	for (int64_t t = 0; t < count; t++)
		c->vec->swiglu(act + t * n, y[GATE] + t * n, y[UP] + t * n, n);
	if (c->low[DOWN].lr.lora)
		low_rank_down(&c->low[DOWN].lr, b->xa[DOWN] + skip * c->low[DOWN].lr.rank, act, n, first, count,
			      b->begin, n, b->begin > 0, work);
}

static void down_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct block *b = data;
	const struct call *c = b->call;
	const struct low_rank *lr = &c->low[DOWN].lr;

	low_rank_up(lr, row_f32(c->x, first), c->x.ld, b->xa[DOWN] + (first - b->first) * lr->rank, count, 0, c->cols,
		    lane_of(&c->work, lane));
}

static void forward_block(void *data, int64_t first, int64_t count, int lane)
{
	const struct call *c = data;
	struct block b = block_of(c, first, lane, false);

	team_phase(c->dev, first, count, lane, c->cols, norm_rows, &b);
	for (int64_t begin = 0; begin < c->ffn; begin += c->part) {
		part_at(&b, begin);
		struct product up[2] = {
			{b.gate, b.count, b.h, c->cols, view_rows(c->p->wgu->w[0], begin, b.count), false, c->p->wgu, 0},
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
	if (c->low[DOWN].lr.lora)
		team_phase(c->dev, first, count, lane, c->cols, down_rows, &b);
}

/* ---- backward ---------------------------------------------------------------- */

static float *norm_sum(const struct call *c, int lane)
{
	return c->grads && view_present(c->grads->norm_w) ? lane_of(&c->sums, lane) : NULL;
}

/* g of down, h again */
static void begin_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct block *b = data;
	const struct call *c = b->call;
	const struct block_adapter *down = &c->low[DOWN];
	int64_t skip = first - b->first;

	for (int64_t t = first; t < first + count; t++)
		c->vec->rmsnorm(b->h + (t - b->first) * c->cols, c->saved_x + t * c->cols, c->norm, c->p->eps, c->cols);
	if (down->lr.lora)
		low_rank_up_backward(&down->lr, &down->sums[lane], b->g[DOWN] + skip * down->lr.rank,
				     row_f32(c->x, first), c->x.ld, b->xa[DOWN] + skip * down->lr.rank, count, 0,
				     c->cols, false, lane_of(&c->work, lane));
}

/* In act the gradient of the activated rows without down's low rank; dgate, dup, act itself. */
static void deactivate_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct block *b = data;
	const struct call *c = b->call;
	const struct block_adapter *down = &c->low[DOWN];
	int64_t skip = first - b->first, n = b->count;
	float *act = b->act + skip * n, *d[2] = {b->dgate + skip * n, b->dup + skip * n};
	float *work = lane_of(&c->work, lane);
	const float *gate = b->gate + skip * n, *up = b->up + skip * n, *g = b->g[DOWN] + skip * down->lr.rank;

	for (int64_t t = 0; down->lr.lora && t < count; t++)
		c->vec->swiglu(d[0] + t * n, gate + t * n, up + t * n, n);
	if (down->lr.lora)
		low_rank_down_backward(&down->lr, &down->sums[lane], act, n, g, d[0], n, first, count, b->begin, n,
				       work);
	for (int64_t t = 0; t < count; t++)
		c->vec->swiglu_backward(act + t * n, d[GATE] + t * n, d[UP] + t * n, act + t * n, gate + t * n,
					up + t * n, n);
	for (int i = GATE; i <= UP; i++)
		if (c->low[i].lr.lora)
			low_rank_up_backward(&c->low[i].lr, &c->low[i].sums[lane], b->g[i] + skip * c->low[i].lr.rank,
					     d[i], n, b->xa[i] + skip * c->low[i].lr.rank, count, b->begin, n,
					     b->begin > 0, work);
}

/* Low rank of gate and up into dh, then through the norm. */
static void input_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct block *b = data;
	const struct call *c = b->call;
	int64_t skip = first - b->first;
	float *dh = c->below ? b->dh + skip * c->cols : NULL;

	for (int i = GATE; i <= UP; i++)
		if (c->low[i].lr.lora)
			low_rank_down_backward(&c->low[i].lr, &c->low[i].sums[lane], dh, c->cols,
					       b->g[i] + skip * c->low[i].lr.rank, b->h + skip * c->cols, c->cols,
					       first, count, 0, c->cols, lane_of(&c->work, lane));
	for (int64_t t = first; c->below && t < first + count; t++, dh += c->cols)
		c->vec->rmsnorm_backward(c->want_dx ? row_f32(c->x, t) : NULL, norm_sum(c, lane), dh,
					 c->saved_x + t * c->cols, c->norm, c->p->eps, c->cols);
}

/* Full fine-tuning: the part's rows of gate and up, its columns of down. */
static void part_dw(const struct block *b, int64_t count)
{
	const struct call *c = b->call;
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

static void backward_part(const struct block *b, int64_t count, int lane)
{
	const struct call *c = b->call;
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
	const struct call *c = data;
	struct block b = block_of(c, first, lane, true);

	team_phase(c->dev, first, count, lane, c->cols, begin_rows, &b);
	for (int64_t begin = 0; begin < c->ffn; begin += c->part) {
		part_at(&b, begin);
		backward_part(&b, count, lane);
	}
	team_phase(c->dev, first, count, lane, 2 * c->cols, input_rows, &b);
}

/* ---- one call ------------------------------------------------------------------ */

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

static struct call call_of(struct device *dev, const char *op, struct view x, struct view saved,
			   const struct mlp_params *p, struct team_plan plan)
{
	int64_t ffn = p->wgu->w[0].rows, rank = 0, part = part_of(dev, ffn, x.rows);
	char *at = view_present(saved) ? view_row(saved, 0) : NULL;
	struct call c = {.dev = dev,
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

static bool f32(struct device *dev, const char *op, struct view x)
{
	if (x.dtype != DTYPE_F32)
		device_fail(dev, op, "x is f32 on this device, not %s", dtype_name(x.dtype));
	return x.dtype == DTYPE_F32;
}

static void cpu_mlp(struct device *dev, struct view x, struct view saved, const struct mlp_params *p)
{
	if (!check_mlp(dev, x, saved, p) || !f32(dev, "mlp", x))
		return;
	size_t used = dev->scratch_used;
	struct team_plan plan = team_plan(dev, x.rows, false);
	struct call c = call_of(dev, "mlp", x, saved, p, plan);

	for (int i = 0; i < 3; i++)
		c.low[i].lr = low_rank_of(dev, p->lora[i], p->drop);
	if (!dev->failure[0])
		team_blocks(dev, x.rows, plan, forward_block, &c);
	dev->scratch_used = used;
}

static void cpu_mlp_backward(struct device *dev, struct view dx, const struct mlp_grads *grads, struct view saved,
			     const struct mlp_params *p, bool want_dx)
{
	const char *op = "mlp_backward";

	if (!check_mlp_backward(dev, dx, saved, p) || !f32(dev, op, dx))
		return;
	size_t used = dev->scratch_used;
	struct team_plan plan = team_plan(dev, dx.rows, grads != NULL);
	struct call c = call_of(dev, op, dx, saved, p, plan);

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

void cpu_override_mlp(struct kernels *table)
{
	table->mlp = cpu_mlp;
	table->mlp_backward = cpu_mlp_backward;
}
