// SPDX-License-Identifier: Apache-2.0
/* One call of attn_in or of its gradient: how it is cut, and its buffers. */
#include "backends/cpu/attn_in_work.h"

#include "backends/cpu/product.h"

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

int64_t attn_in_norm_floats(int64_t hidden, int64_t head_dim)
{
	return hidden + 2 * head_dim;
}

struct attn_in_call attn_in_call_of(struct device *dev, const char *op, const struct attn_in_params *p, int64_t rows,
				    struct team_plan plan)
{
	struct attn_in_call c = {.dev = dev,
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

void attn_in_find_saved(struct attn_in_call *c, struct view saved, int64_t rows)
{
	char *at = view_present(saved) ? view_row(saved, 0) : NULL;

	c->saved_x = saved_carve(&at, rows * c->cols);
	for (int i = 0; i < 3; i++)
		c->low[i].saved = c->p->lora[i] ? saved_carve(&at, rows * c->p->lora[i]->a.rows) : NULL;
	for (int i = 0; i < 2 && (c->head_norm[0] || c->head_norm[1]); i++)
		c->saved_raw[i] = saved_carve(&at, rows * c->out[i]);
}

bool attn_in_f32(struct device *dev, const char *op, struct view a, struct view b)
{
	if (a.dtype == DTYPE_F32 && b.dtype == DTYPE_F32)
		return true;
	device_fail(dev, op, "x, q and their gradients are f32 on this device, not %s and %s", dtype_name(a.dtype),
		    dtype_name(b.dtype));
	return false;
}

bool attn_in_apart(const struct attn_in_call *c, int i)
{
	return i > 0 && (c->row || c->y[i].dtype != DTYPE_F32);
}

struct attn_in_block attn_in_block_of(const struct attn_in_call *c, int64_t first, int lane)
{
	float *at = lane_of(&c->blocks, lane);
	struct attn_in_block b = {.call = c, .first = first, .h = lane_carve(&at, c->block_rows * c->cols)};

	for (int i = 0; i < 3; i++) {
		b.y[i] = attn_in_apart(c, i) ? lane_carve(&at, c->block_rows * c->out[i]) : row_f32(c->y[i], first);
		b.ldy[i] = attn_in_apart(c, i) ? c->out[i] : c->y[i].ld;
	}
	if (c->below)
		b.dh = lane_carve(&at, c->block_rows * c->cols);
	return b;
}

/* ---- sizes ------------------------------------------------------------------- */

size_t cpu_attn_in_scratch(const struct device *dev, enum op op, const struct shape *s)
{
	int64_t rows = team_plan_rows(dev, s->rows), key = s->kv_heads * s->head_dim, query = s->heads * s->head_dim;
	int64_t expanded_floats = s->hidden + query + 2 * key + 2 * s->head_dim + 6 * 16;

	if (op != OP_attn_in && op != OP_attn_in_backward)
		return 0;
	return lanes_bytes(1, expanded_floats) + lanes_bytes(dev->threads, panel_of(dev)) +
	       lanes_bytes(1, rows * block_floats(s) + BLOCK_ENDS * dev->threads) +
	       lanes_bytes(dev->threads, work_floats(s, rows)) +
	       lanes_bytes(dev->threads, attn_in_norm_floats(s->hidden, s->head_dim)) +
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
