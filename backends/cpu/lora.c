// SPDX-License-Identifier: Apache-2.0
/* The low-rank operations of the table over pieces of rows, and the merge. */
#include "backends/cpu/low_rank.h"
#include "backends/cpu/product.h"
#include "reference/check.h"

struct lora_work {
	struct low_rank lr;
	struct view x, y, xa; /* forward; y is dy and x's gradient is dx in the backward */
	struct view dx;
	struct lanes lanes;
	struct low_rank_sums *sums; /* of each lane */
};

enum { LORA_ROWS = 128 }; /* of a piece */

/* xa is dense inside a piece, the caller's may have another row length. */
static void move_rows(float *to, int64_t ldt, const float *from, int64_t ldf, int64_t rows, int64_t cols)
{
	for (int64_t t = 0; t < rows; t++)
		for (int64_t j = 0; j < cols; j++)
			to[t * ldt + j] = from[t * ldf + j];
}

static void forward_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct lora_work *w = data;
	int64_t rank = w->lr.rank;

	for (int64_t t = first; t < first + count; t += LORA_ROWS) {
		int64_t n = at_most(LORA_ROWS, first + count - t);
		float *at = lane_of(&w->lanes, lane), *xa = lane_carve(&at, LORA_ROWS * rank);

		low_rank_down(&w->lr, xa, row_f32(w->x, t), w->x.ld, t, n, 0, w->x.cols, false, at);
		low_rank_up(&w->lr, row_f32(w->y, t), w->y.ld, xa, n, 0, w->y.cols, at);
		move_rows(row_f32(w->xa, t), w->xa.ld, xa, rank, n, rank);
	}
}

static void backward_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct lora_work *w = data;
	const struct low_rank_sums *sums = &w->sums[lane];
	int64_t rank = w->lr.rank;

	for (int64_t t = first; t < first + count; t += LORA_ROWS) {
		int64_t n = at_most(LORA_ROWS, first + count - t);
		float *at = lane_of(&w->lanes, lane) + low_rank_sums_size(w->y.cols, w->x.cols, rank);
		float *xa = lane_carve(&at, LORA_ROWS * rank), *g = lane_carve(&at, LORA_ROWS * rank);

		move_rows(xa, rank, row_f32(w->xa, t), w->xa.ld, n, rank);
		low_rank_up_backward(&w->lr, sums, g, row_f32(w->y, t), w->y.ld, xa, n, 0, w->y.cols, false, at);
		low_rank_down_backward(&w->lr, sums, view_present(w->dx) ? row_f32(w->dx, t) : NULL, w->dx.ld, g,
				       row_f32(w->x, t), w->x.ld, t, n, 0, w->x.cols, at);
	}
}

/* Floats of one lane */
static int64_t forward_floats(int64_t rank)
{
	return round_up_to(LORA_ROWS * rank, 16) + low_rank_work(LORA_ROWS, rank);
}

static int64_t backward_floats(int64_t out, int64_t in, int64_t rank)
{
	return low_rank_sums_size(out, in, rank) + round_up_to(LORA_ROWS * rank, 16) + forward_floats(rank);
}

static void cpu_lora(struct device *dev, struct view y, struct view xa, struct view x, const struct lora *lora,
		     const struct dropout *drop)
{
	if (!check_lora(dev, y, xa, x, lora, drop))
		return;
	if (!all_f32(y) || !all_f32(x)) {
		kernels_reference()->lora(dev, y, xa, x, lora, drop);
		return;
	}
	size_t used = dev->scratch_used;
	struct lora_work work = {.lr = low_rank_of(dev, lora, drop), .x = x, .y = y, .xa = xa};

	work.lanes = lanes_take(dev, "lora", dev->threads, forward_floats(work.lr.rank));
	if (work.lanes.at)
		team_rows(dev, x.rows, x.cols + y.cols, forward_rows, &work);
	dev->scratch_used = used;
}

static void cpu_lora_backward(struct device *dev, struct view dx, struct view dy, struct view x, struct view xa,
			      const struct lora *lora, const struct dropout *drop)
{
	if (!check_lora_backward(dev, dx, dy, x, xa, lora, drop))
		return;
	if (!all_f32(dx) || !all_f32(dy) || !all_f32(x)) {
		kernels_reference()->lora_backward(dev, dx, dy, x, xa, lora, drop);
		return;
	}
	size_t used = dev->scratch_used;
	struct low_rank_sums *sums = device_scratch(dev, "lora_backward", (size_t)dev->threads * sizeof *sums);
	struct lora_work work = {.lr = low_rank_of(dev, lora, drop), .x = x, .y = dy, .xa = xa, .dx = dx, .sums = sums};

	work.lanes = lanes_take(dev, "lora_backward", dev->threads, backward_floats(dy.cols, x.cols, work.lr.rank));
	if (!work.lanes.at)
		return;
	for (int lane = 0; lane < dev->threads; lane++) {
		float *at = lane_of(&work.lanes, lane);

		sums[lane] = low_rank_sums_at(&work.lr, &at);
	}
	team_rows(dev, x.rows, x.cols + dy.cols, backward_rows, &work);
	low_rank_collect(&work.lr, sums);
	dev->scratch_used = used;
}

/* ---- merge ---------------------------------------------------------------- */

enum { MERGE_ROWS = 32 };

struct merge_work {
	const struct device *dev;
	const struct lora *lora;
	struct view out, w;
	struct lanes lanes;
};

static void merge_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct merge_work *m = data;
	const struct vec *vec = cpu_of(m->dev)->vec;
	gemm_fn *gemm = cpu_of(m->dev)->products->gemm_nn;
	struct view a = m->lora->a, b = m->lora->b;
	float *sum = lane_of(&m->lanes, lane);
	int64_t cols = m->w.cols;

	for (int64_t i = first; i < first + count; i += MERGE_ROWS) {
		int64_t n = at_most(MERGE_ROWS, first + count - i);

		for (int64_t t = 0; t < n; t++)
			vec->expand(sum + t * cols, view_row(m->w, i + t), m->w.dtype, cols);
		gemm(m->dev, n, cols, a.rows, m->lora->scale, row_f32(b, i), b.ld, row_f32(a, 0), a.ld, 1, sum, cols);
		for (int64_t t = 0; t < n; t++)
			vec->narrow(view_row(m->out, i + t), m->out.dtype, sum + t * cols, cols);
	}
}

static void cpu_merge(struct device *dev, struct view out, struct view w, const struct lora *lora)
{
	if (!check_merge(dev, out, w, lora))
		return;
	size_t used = dev->scratch_used;
	struct merge_work work = {dev, lora, out, w, lanes_take(dev, "merge", dev->threads, MERGE_ROWS * w.cols)};

	if (work.lanes.at)
		team_rows(dev, w.rows, w.cols, merge_rows, &work);
	dev->scratch_used = used;
}

/* The widest input or output of an adapted matrix. */
static int64_t widest(const struct shape *s)
{
	return at_least(at_least(s->hidden, s->heads * s->head_dim), s->ffn);
}

size_t cpu_lora_scratch(const struct device *dev, enum op op, const struct shape *shape)
{
	int64_t cols = widest(shape), rank = shape->rank;

	switch (op) {
	case OP_lora:
		return lanes_bytes(dev->threads, forward_floats(rank));
	case OP_lora_backward:
		return lanes_bytes(dev->threads, backward_floats(cols, cols, rank)) +
		       (size_t)round_up_to((int64_t)sizeof(struct low_rank_sums) * dev->threads, 64);
	case OP_merge:
		return lanes_bytes(dev->threads, MERGE_ROWS * at_least(cols, shape->vocab));
	default:
		return 0;
	}
}

void cpu_override_lora(struct kernels *table)
{
	table->lora = cpu_lora;
	table->lora_backward = cpu_lora_backward;
	table->merge = cpu_merge;
}
