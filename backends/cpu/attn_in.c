// SPDX-License-Identifier: Apache-2.0
/*
 * attn_in and its gradient over blocks of tokens.
 *
 * saved: x [R,C], xa [R,r] of q, k, v, and with q/k norm the raw q [R, H D]
 * and k [R, K D], f32, dense.
 */
#include <string.h>

#include "backends/cpu/block.h"
#include "backends/cpu/product.h"
#include "reference/check.h"

/* One call, forward or backward; y is q, k, v or their gradients. */
struct call {
	const struct device *dev;
	const struct vec *vec;
	const struct attn_in_params *p;
	const struct attn_in_grads *grads;
	struct block_adapter low[3];
	struct view y[3], x, kv_dst; /* x is dx in the backward */
	const int32_t *pos, *row;    /* row: kv_dst or NULL */
	const float *norm, *bias[3], *head_norm[2];
	int64_t cols, out[3];
	float *saved_x, *saved_raw[2]; /* NULL: not saved */
	struct lanes panels;
	struct lanes blocks; /* h, then k and v before they are stored, or dh */
	struct lanes work;   /* of a piece of rows */
	struct lanes sums;   /* gradients of the norms, of each lane */
	int64_t block_rows;
	bool want_dx, below; /* x wants a gradient; h does */
};

/* One block: where row `first` of the call lies. */
struct block {
	const struct call *call;
	int64_t first;
	float *h, *dh, *y[3];
	int64_t ldy[3];
};

/* k and v go through the block's buffer where rows move or are stored in 16 bits. */
static bool apart(const struct call *c, int i)
{
	return i > 0 && (c->row || c->y[i].dtype != DTYPE_F32);
}

static struct block block_of(const struct call *c, int64_t first, int lane)
{
	float *at = lane_of(&c->blocks, lane);
	struct block b = {.call = c, .first = first, .h = lane_carve(&at, c->block_rows * c->cols)};

	for (int i = 0; i < 3; i++) {
		b.y[i] = apart(c, i) ? lane_carve(&at, c->block_rows * c->out[i]) : row_f32(c->y[i], first);
		b.ldy[i] = apart(c, i) ? c->out[i] : c->y[i].ld;
	}
	if (c->below)
		b.dh = lane_carve(&at, c->block_rows * c->cols);
	return b;
}

static void norm_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct block *b = data;
	const struct call *c = b->call;

	(void)lane;
	for (int64_t t = first; t < first + count; t++) {
		const float *x = row_f32(c->x, t);

		if (c->saved_x)
			memcpy(c->saved_x + t * c->cols, x, (size_t)c->cols * sizeof *x);
		c->vec->rmsnorm(b->h + (t - b->first) * c->cols, x, c->norm, c->p->eps, c->cols);
	}
}

/* Raw row t of q (i = 0) or k (1): kept, normed by head, turned. */
static void turn_row(const struct call *c, int i, int64_t t, float *y)
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
	const struct block *b = data;
	const struct call *c = b->call;
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
			if (apart(c, i) && to >= 0)
				c->vec->narrow(view_row(c->y[i], to), c->y[i].dtype, y, c->out[i]);
		}
	}
}

static void forward_block(void *data, int64_t first, int64_t count, int lane)
{
	const struct call *c = data;
	struct block b = block_of(c, first, lane);
	struct product list[3];

	for (int i = 0; i < 3; i++)
		list[i] = (struct product){b.y[i], b.ldy[i], b.h, c->cols, c->p->wqkv->w[i], false, c->p->wqkv, i};
	team_phase(c->dev, first, count, lane, c->cols, norm_rows, &b);
	product_nt(c->dev, list, 3, count, lane, &c->panels);
	team_phase(c->dev, first, count, lane, c->out[0] + 2 * c->out[1], finish_rows, &b);
}

/* ---- backward ---------------------------------------------------------------- */

/* Lane sums of the norms' gradients: x, q heads, k heads. */
static float *norm_sum(const struct call *c, int which, int lane)
{
	static const struct view none;
	const struct view *wanted[3] = {c->grads ? &c->grads->norm_w : &none, c->grads ? &c->grads->q_norm : &none,
					c->grads ? &c->grads->k_norm : &none};

	if (!view_present(*wanted[which]))
		return NULL;
	return lane_of(&c->sums, lane) + (which ? c->cols + (which - 1) * c->p->dims.head_dim : 0);
}

/* From the gradient of turned, normed heads to that of raw ones, in place. */
static void turn_row_back(const struct call *c, int i, int64_t t, float *d, float *work, float *sum)
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
	const struct block *b = data;
	const struct call *c = b->call;

	for (int64_t t = first; t < first + count; t++) {
		for (int i = 0; i < 2; i++)
			turn_row_back(c, i, t, row_f32(c->y[i], t), lane_of(&c->work, lane), norm_sum(c, i + 1, lane));
		c->vec->rmsnorm(b->h + (t - b->first) * c->cols, c->saved_x + t * c->cols, c->norm, c->p->eps, c->cols);
	}
}

static void input_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct block *b = data;
	const struct call *c = b->call;
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
	const struct call *c = data;
	struct block b = block_of(c, first, lane);
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

/* ---- one call ------------------------------------------------------------------ */

static int64_t rank_of(const struct attn_in_params *p)
{
	int64_t rank = 0;

	for (int i = 0; i < 3; i++)
		rank = p->lora[i] ? at_least(rank, p->lora[i]->a.rows) : rank;
	return rank;
}

static struct shape shape_of(const struct attn_in_params *p, int64_t rows)
{
	return (struct shape){.rows = rows,
			      .hidden = p->norm_w.cols,
			      .heads = p->dims.heads,
			      .kv_heads = p->dims.kv_heads,
			      .head_dim = p->dims.head_dim,
			      .rank = rank_of(p),
			      .qk_norm = view_present(p->q_norm) || view_present(p->k_norm)};
}

enum { BLOCK_ENDS = 16 * 4 }; /* the carvings' ends */

/* Floats of a block's row, and of the other lanes' parts */
static int64_t block_floats(const struct shape *s)
{
	return 2 * s->hidden + 2 * s->kv_heads * s->head_dim;
}

static int64_t work_floats(const struct shape *s, int64_t block_rows)
{
	return at_least(s->head_dim, block_adapt_work(block_rows, s->rank));
}

static int64_t norm_floats(const struct shape *s)
{
	return s->hidden + 2 * s->head_dim;
}

static struct call call_of(struct device *dev, const char *op, const struct attn_in_params *p, int64_t rows,
			   struct team_plan plan)
{
	struct call c = {.dev = dev,
			 .vec = cpu_of(dev)->vec,
			 .p = p,
			 .cols = p->norm_w.cols,
			 .block_rows = plan.block,
			 .norm = expanded(dev, op, p->norm_w),
			 .head_norm = {expanded(dev, op, p->q_norm), expanded(dev, op, p->k_norm)}};
	struct shape shape = shape_of(p, rows);

	for (int i = 0; i < 3; i++) {
		c.out[i] = p->wqkv->w[i].rows;
		c.bias[i] = expanded(dev, op, p->bias[i]);
	}
	c.panels = lanes_take(dev, op, dev->threads, panel_of(dev));
	c.blocks = lanes_take(dev, op, team_plan_lanes(dev, plan), plan.block * block_floats(&shape) + BLOCK_ENDS);
	c.work = lanes_take(dev, op, dev->threads, work_floats(&shape, plan.block));
	return c;
}

/* Where the parts of `saved` lie. */
static void find_saved(struct call *c, struct view saved, int64_t rows)
{
	char *at = view_present(saved) ? view_row(saved, 0) : NULL;

	c->saved_x = saved_carve(&at, rows * c->cols);
	for (int i = 0; i < 3; i++)
		c->low[i].saved = c->p->lora[i] ? saved_carve(&at, rows * c->p->lora[i]->a.rows) : NULL;
	for (int i = 0; i < 2 && (c->head_norm[0] || c->head_norm[1]); i++)
		c->saved_raw[i] = saved_carve(&at, rows * c->out[i]);
}

static bool f32(struct device *dev, const char *op, struct view a, struct view b)
{
	if (a.dtype == DTYPE_F32 && b.dtype == DTYPE_F32)
		return true;
	device_fail(dev, op, "x, q and their gradients are f32 on this device, not %s and %s", dtype_name(a.dtype),
		    dtype_name(b.dtype));
	return false;
}

static void cpu_attn_in(struct device *dev, struct view q, struct view k, struct view v, struct view saved,
			struct view x, struct view pos, struct view kv_dst, const struct attn_in_params *p)
{
	if (!check_attn_in(dev, q, k, v, saved, x, pos, kv_dst, p) || !f32(dev, "attn_in", q, x))
		return;
	size_t used = dev->scratch_used;
	struct team_plan plan = team_plan(dev, x.rows, false);
	struct call c = call_of(dev, "attn_in", p, x.rows, plan);

	c.y[0] = q;
	c.y[1] = k;
	c.y[2] = v;
	c.x = x;
	c.pos = view_row(pos, 0);
	c.row = view_present(kv_dst) ? view_row(kv_dst, 0) : NULL;
	find_saved(&c, saved, x.rows);
	for (int i = 0; i < 3; i++)
		c.low[i].lr = low_rank_of(dev, p->lora[i], p->drop);
	if (!dev->failure[0])
		team_blocks(dev, x.rows, plan, forward_block, &c);
	dev->scratch_used = used;
}

/* Sums of all lanes into the gradients. */
static void collect(const struct call *c)
{
	const struct view to[3] = {c->grads ? c->grads->norm_w : view_none(), c->grads ? c->grads->q_norm : view_none(),
				   c->grads ? c->grads->k_norm : view_none()};

	for (int i = 0; i < 3; i++) {
		block_adapt_collect(&c->low[i]);
		for (int lane = 0; view_present(to[i]) && lane < c->dev->threads; lane++)
			c->vec->add(row_f32(to[i], 0), norm_sum(c, i, lane), to[i].cols);
	}
}

static void cpu_attn_in_backward(struct device *dev, struct view dx, const struct attn_in_grads *grads, struct view dq,
				 struct view dk, struct view dv, struct view saved, struct view pos,
				 const struct attn_in_params *p, bool want_dx)
{
	const char *op = "attn_in_backward";

	if (!check_attn_in_backward(dev, dx, dq, dk, dv, saved, pos, p) || !f32(dev, op, dx, dq) ||
	    !f32(dev, op, dk, dv))
		return;
	size_t used = dev->scratch_used;
	struct team_plan plan = team_plan(dev, dx.rows, grads != NULL);
	struct call c = call_of(dev, op, p, dx.rows, plan);
	struct shape shape = shape_of(p, dx.rows);

	c.y[0] = dq;
	c.y[1] = dk;
	c.y[2] = dv;
	c.x = dx;
	c.pos = view_row(pos, 0);
	c.grads = grads;
	c.want_dx = want_dx;
	c.below = want_dx || (grads && view_present(grads->norm_w));
	c.sums = lanes_take(dev, op, dev->threads, norm_floats(&shape));
	find_saved(&c, saved, dx.rows);
	for (int i = 0; i < 3; i++)
		block_adapt_sums(dev, op, &c.low[i], p->lora[i], p->drop);
	if (!dev->failure[0]) {
		memset(c.sums.at, 0, lanes_bytes(dev->threads, norm_floats(&shape)));
		team_blocks(dev, dx.rows, plan, backward_block, &c);
		collect(&c);
	}
	dev->scratch_used = used;
}

size_t cpu_attn_in_scratch(const struct device *dev, enum op op, const struct shape *s)
{
	int64_t rows = team_plan_rows(dev, s->rows), key = s->kv_heads * s->head_dim, query = s->heads * s->head_dim;
	int64_t expanded_floats = s->hidden + query + 2 * key + 2 * s->head_dim + 6 * 16;

	if (op != OP_attn_in && op != OP_attn_in_backward)
		return 0;
	return lanes_bytes(1, expanded_floats) + lanes_bytes(dev->threads, panel_of(dev)) +
	       lanes_bytes(1, rows * block_floats(s) + BLOCK_ENDS * dev->threads) +
	       lanes_bytes(dev->threads, work_floats(s, rows)) + lanes_bytes(dev->threads, norm_floats(s)) +
	       2 * block_sums_bytes(dev, s->hidden, key, s->rank) + block_sums_bytes(dev, s->hidden, query, s->rank);
}

size_t cpu_attn_in_saved(const struct device *dev, enum op op, const struct shape *s)
{
	int64_t raw = s->qk_norm ? s->head_dim : 0;

	(void)dev;
	if (op != OP_attn_in)
		return 0;
	return saved_bytes(s->rows * s->hidden) + 3 * saved_bytes(s->rows * s->rank) +
	       saved_bytes(s->rows * s->heads * raw) + saved_bytes(s->rows * s->kv_heads * raw);
}

void cpu_override_attn_in(struct kernels *table)
{
	table->attn_in = cpu_attn_in;
	table->attn_in_backward = cpu_attn_in_backward;
}
