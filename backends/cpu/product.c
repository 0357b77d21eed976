// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/product.h"

#include <omp.h>

enum { FEW_COLS = 64 /* of an expanded block where rows are few: eight rows of it at a time */ };

/* Is a product of so many rows done without packing? */
static bool is_few(const struct device *dev, int64_t rows)
{
	return rows <= cpu_of(dev)->products->few || dev->batch_invariant;
}

/* On the caller's thread: y[rows, n] (+)= x[rows, m] w[n, m]^T, w of at most FEW_COLS rows. */
static void few_rows(const struct device *dev, const struct product *p, int64_t rows, int64_t begin, struct view w,
		     float *panel)
{
	const struct vec *vec = cpu_of(dev)->vec;
	int64_t groups = (rows + VEC_FEW - 1) / VEC_FEW;
	bool expand = w.dtype != DTYPE_F32 && groups > 1 && w.rows * w.cols <= panel_of(dev);

	for (int64_t i = 0; expand && i < w.rows; i++)
		vec->expand(panel + i * w.cols, view_row(w, i), w.dtype, w.cols);
	for (int64_t g = 0; g < groups; g++) {
		int64_t first = rows * g / groups, last = rows * (g + 1) / groups;

		vec->few(p->y + first * p->ldy + begin, p->ldy, p->x + first * p->ldx, p->ldx, (int)(last - first),
			 expand ? panel : view_row(w, 0), expand ? w.cols : w.ld, expand ? DTYPE_F32 : w.dtype, w.rows,
			 w.cols, p->add);
	}
}

static void few_columns(const struct device *dev, const struct product *p, int64_t rows, int64_t begin, int64_t end,
			float *panel)
{
	int64_t step = at_least(1, at_most(FEW_COLS, panel_of(dev) / at_least(p->w.cols, 1)));

	for (int64_t j = begin; j < end; j += step)
		few_rows(dev, p, rows, j, view_rows(p->w, j, at_most(step, end - j)), panel);
}

/* A list and what is to be done with its columns. */
struct columns {
	const struct device *dev;
	const struct product *list;
	int n;
	int64_t rows;
	columns_fn *fn;
};

/* Columns [begin, end). */
typedef void span_fn(const struct columns *c, int64_t begin, int64_t end, float *panel);

static void span_all(const struct columns *c, int64_t begin, int64_t end, float *panel)
{
	for (int i = 0; i < c->n; i++) {
		int64_t cols = c->list[i].w.rows, from = at_least(begin, 0), to = at_most(end, cols);

		if (from < to)
			c->fn(c->dev, &c->list[i], c->rows, from, to, panel);
		begin -= cols;
		end -= cols;
	}
}

static void span_common(const struct columns *c, int64_t begin, int64_t end, float *panel)
{
	for (int i = 0; i < c->n && begin < end; i++) {
		struct product p = product_common(c->list, i);

		c->fn(c->dev, &p, c->rows, begin, end, panel);
	}
}

/* Where the columns of thread `lane` of a team begin. */
static int64_t share(int64_t cols, int lane, int team)
{
	return lane == team ? cols : cols * lane / team / 16 * 16;
}

static void split(const struct columns *c, int64_t cols, int lane, const struct lanes *panels, span_fn *span)
{
	if (lane != TEAM) {
		span(c, 0, cols, lane_of(panels, lane));
		return;
	}
#pragma omp parallel num_threads(c->dev->threads)
	{
		int own = omp_get_thread_num(), team = omp_get_num_threads();

		span(c, share(cols, own, team), share(cols, own + 1, team), lane_of(panels, own));
	}
}

void product_columns(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
		     const struct lanes *panels, columns_fn *fn)
{
	const struct columns c = {dev, list, n, rows, fn};
	int64_t cols = 0;

	for (int i = 0; i < n; i++)
		cols += list[i].w.rows;
	split(&c, cols, lane, panels, span_all);
}

void product_common_columns(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
			    const struct lanes *panels, columns_fn *fn)
{
	const struct columns c = {dev, list, n, rows, fn};

	split(&c, list[0].w.cols, lane, panels, span_common);
}

void product_threads(const struct device *dev)
{
	omp_set_dynamic(0);
	cpu_of(dev)->products->threads(dev->threads);
}

void product_nt(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
		const struct lanes *panels)
{
	if (is_few(dev, rows))
		product_columns(dev, list, n, rows, lane, panels, few_columns);
	else
		cpu_of(dev)->products->nt(dev, list, n, rows, lane, panels);
}

void product_nn(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
		const struct lanes *panels)
{
	cpu_of(dev)->products->nn(dev, list, n, rows, lane, panels);
}
