// SPDX-License-Identifier: Apache-2.0
/* Products with a prepared weight, and their gradients. */
#include "backends/cpu/product.h"
#include "reference/check.h"

struct bias_work {
	const struct vec *vec;
	struct view out, bias;
	const float *y; /* gradient of the output, `rows` rows */
	int64_t ldy, rows;
};

static void add_bias(void *data, int64_t first, int64_t count, int lane)
{
	const struct bias_work *work = data;
	float part[256];

	(void)lane;
	for (int64_t j = 0; j < work->out.cols; j += 256) {
		int64_t n = at_most(256, work->out.cols - j);

		work->vec->expand(part, view_row(view_cols(work->bias, j, n), 0), work->bias.dtype, n);
		for (int64_t t = first; t < first + count; t++)
			work->vec->add(row_f32(work->out, t) + j, part, n);
	}
}

/* Columns [first, first + count) of the gradient, rows in order. */
static void column_sums(void *data, int64_t first, int64_t count, int lane)
{
	const struct bias_work *work = data;

	(void)lane;
	for (int64_t t = 0; t < work->rows; t++)
		work->vec->add(row_f32(work->bias, 0) + first, work->y + t * work->ldy + first, count);
}

static void cpu_linear(struct device *dev, struct view y, struct view x, const struct weight *w, int i,
		       struct view bias, bool add)
{
	if (!check_linear(dev, y, x, w, i, bias))
		return;
	if (!all_f32(y) || !all_f32(x)) {
		kernels_reference()->linear(dev, y, x, w, i, bias, add);
		return;
	}
	size_t used = dev->scratch_used;
	struct lanes panels = lanes_take(dev, "linear", dev->threads, panel_of(dev));
	struct product product = {row_f32(y, 0), y.ld, row_f32(x, 0), x.ld, w->w[i], add, w, i};
	struct bias_work work = {.vec = cpu_of(dev)->vec, .out = y, .bias = bias};

	if (!panels.at)
		return;
	product_threads(dev);
	product_nt(dev, &product, 1, y.rows, TEAM, &panels);
	if (view_present(bias))
		team_rows(dev, y.rows, y.cols, add_bias, &work);
	dev->scratch_used = used;
}

static void cpu_linear_dx(struct device *dev, struct view dx, struct view dy, const struct weight *w, int i, bool add)
{
	if (!check_linear_dx(dev, dx, dy, w, i))
		return;
	if (!all_f32(dx) || !all_f32(dy)) {
		kernels_reference()->linear_dx(dev, dx, dy, w, i, add);
		return;
	}
	size_t used = dev->scratch_used;
	struct lanes panels = lanes_take(dev, "linear_dx", dev->threads, panel_of(dev));
	struct product product = {row_f32(dx, 0), dx.ld, row_f32(dy, 0), dy.ld, w->w[i], add, w, i};

	if (!panels.at)
		return;
	product_threads(dev);
	product_nn(dev, &product, 1, dx.rows, TEAM, &panels);
	dev->scratch_used = used;
}

void product_dw(const struct device *dev, struct view dw, struct view dbias, const float *dy, int64_t ldy,
		const float *x, int64_t ldx, int64_t rows)
{
	struct bias_work work = {.vec = cpu_of(dev)->vec, .bias = dbias, .y = dy, .ldy = ldy, .rows = rows};

	product_threads(dev);
	if (view_present(dw))
		cpu_of(dev)->products->gemm_tn(dev, dw.rows, dw.cols, rows, 1, dy, ldy, x, ldx, 1, row_f32(dw, 0),
					      dw.ld);
	if (view_present(dbias))
		team_rows(dev, dbias.cols, rows, column_sums, &work);
}

static void cpu_linear_dw(struct device *dev, struct view dw, struct view dbias, struct view dy, struct view x)
{
	if (!check_linear_dw(dev, dw, dbias, dy, x))
		return;
	if (!all_f32(dy) || !all_f32(x))
		kernels_reference()->linear_dw(dev, dw, dbias, dy, x);
	else
		product_dw(dev, dw, dbias, row_f32(dy, 0), dy.ld, row_f32(x, 0), x.ld, dy.rows);
}

size_t cpu_linear_scratch(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)shape;
	return op == OP_linear || op == OP_linear_dx ? lanes_bytes(dev->threads, panel_of(dev)) : 0;
}

void cpu_override_linear(struct kernels *table)
{
	table->linear = cpu_linear;
	table->linear_dx = cpu_linear_dx;
	table->linear_dw = cpu_linear_dw;
}
