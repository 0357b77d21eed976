// SPDX-License-Identifier: Apache-2.0
#include "backends/openblas/product.h"

#include <omp.h>

enum {
	DEPTH = 384,  /* of an expanded block, along the sum: about as deep as the library packs at a time */
	FEW_COLS = 64 /* of an expanded block where rows are few: eight rows of it at a time */
};

/* Columns [begin, end) of one product's output. */
typedef void columns_fn(const struct vec *vec, const struct product *p, int64_t rows, int64_t begin, int64_t end,
			float *panel);

void product_rows(const struct vec *vec, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows,
		  struct view w, bool add, float *panel)
{
	int64_t groups = (rows + VEC_FEW - 1) / VEC_FEW;
	bool expand = w.dtype != DTYPE_F32 && groups > 1 && w.rows * w.cols <= PANEL;

	for (int64_t i = 0; expand && i < w.rows; i++)
		vec->expand(panel + i * w.cols, view_row(w, i), w.dtype, w.cols);
	for (int64_t g = 0; g < groups; g++) {
		int64_t first = rows * g / groups, last = rows * (g + 1) / groups;

		vec->few(y + first * ldy, ldy, x + first * ldx, ldx, (int)(last - first),
			 expand ? panel : view_row(w, 0), expand ? w.cols : w.ld, expand ? DTYPE_F32 : w.dtype,
			 w.rows, w.cols, add);
	}
}

static void few_columns(const struct vec *vec, const struct product *p, int64_t rows, int64_t begin, int64_t end,
			float *panel)
{
	int64_t step = at_least(1, at_most(FEW_COLS, PANEL / at_least(p->w.cols, 1)));

	for (int64_t j = begin; j < end; j += step)
		product_rows(vec, p->y + j, p->ldy, p->x, p->ldx, rows,
			     view_rows(p->w, j, at_most(step, end - j)), p->add, panel);
}

static void nt_columns(const struct vec *vec, const struct product *p, int64_t rows, int64_t begin, int64_t end,
		       float *panel)
{
	int64_t depth = at_most(p->w.cols, DEPTH), width = PANEL / at_least(depth, 1);

	if (p->w.dtype == DTYPE_F32) {
		blas_nt(rows, end - begin, p->w.cols, 1, p->x, p->ldx, row_f32(p->w, begin), p->w.ld, p->add,
			p->y + begin, p->ldy);
		return;
	}
	for (int64_t j = begin; j < end; j += width)
		for (int64_t m = 0; m < p->w.cols; m += depth) {
			int64_t n = at_most(width, end - j), k = at_most(depth, p->w.cols - m);
			struct view part = view_cols(view_rows(p->w, j, n), m, k);

			for (int64_t i = 0; i < n; i++)
				vec->expand(panel + i * k, view_row(part, i), part.dtype, k);
			blas_nt(rows, n, k, 1, p->x + m, p->ldx, panel, k, p->add || m, p->y + j, p->ldy);
		}
}

static void nn_columns(const struct vec *vec, const struct product *p, int64_t rows, int64_t begin, int64_t end,
		       float *panel)
{
	int64_t depth = at_most(p->w.rows, DEPTH), width = PANEL / at_least(depth, 1);

	if (p->w.dtype == DTYPE_F32) {
		blas_nn(rows, end - begin, p->w.rows, 1, p->x, p->ldx, row_f32(p->w, 0) + begin, p->w.ld, p->add,
			p->y + begin, p->ldy);
		return;
	}
	for (int64_t j = begin; j < end; j += width)
		for (int64_t m = 0; m < p->w.rows; m += depth) {
			int64_t n = at_most(width, end - j), k = at_most(depth, p->w.rows - m);
			struct view part = view_cols(view_rows(p->w, m, k), j, n);

			for (int64_t i = 0; i < k; i++)
				vec->expand(panel + i * n, view_row(part, i), part.dtype, n);
			blas_nn(rows, n, k, 1, p->x + m, p->ldx, panel, n, p->add || m, p->y + j, p->ldy);
		}
}

/* Columns [begin, end) of all outputs, counted through the list. */
static void span(const struct vec *vec, const struct product *list, int n, int64_t rows, int64_t begin, int64_t end,
		 columns_fn *fn, float *panel)
{
	for (int i = 0; i < n; i++) {
		int64_t cols = list[i].w.rows, from = at_least(begin, 0), to = at_most(end, cols);

		if (from < to)
			fn(vec, &list[i], rows, from, to, panel);
		begin -= cols;
		end -= cols;
	}
}

/* Where the columns of thread `lane` begin: multiples of 16, so that kernels end whole. */
static int64_t share(int64_t cols, int lane, int team)
{
	return lane == team ? cols : cols * lane / team / 16 * 16;
}

void product_nt(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
		const struct lanes *panels)
{
	const struct vec *vec = openblas_of(dev)->vec;
	columns_fn *fn = product_few(dev, rows) ? few_columns : nt_columns;
	int64_t cols = 0;

	for (int i = 0; i < n; i++)
		cols += list[i].w.rows;
	if (lane != TEAM) {
		span(vec, list, n, rows, 0, cols, fn, lane_of(panels, lane));
		return;
	}
#pragma omp parallel num_threads(dev->threads)
	{
		int own = omp_get_thread_num(), team = omp_get_num_threads();

		span(vec, list, n, rows, share(cols, own, team), share(cols, own + 1, team), fn,
		     lane_of(panels, own));
	}
}

/* Columns [begin, end) of the common output. */
static void sum_columns(const struct vec *vec, const struct product *list, int n, int64_t rows, int64_t begin,
			int64_t end, float *panel)
{
	for (int i = 0; i < n && begin < end; i++) {
		struct product p = list[i];

		p.y = list[0].y;
		p.ldy = list[0].ldy;
		p.add = list[0].add || i;
		nn_columns(vec, &p, rows, begin, end, panel);
	}
}

void product_nn(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
		const struct lanes *panels)
{
	const struct vec *vec = openblas_of(dev)->vec;
	int64_t cols = list[0].w.cols;

	if (lane != TEAM) {
		sum_columns(vec, list, n, rows, 0, cols, lane_of(panels, lane));
		return;
	}
#pragma omp parallel num_threads(dev->threads)
	{
		int own = omp_get_thread_num(), team = omp_get_num_threads();

		sum_columns(vec, list, n, rows, share(cols, own, team), share(cols, own + 1, team),
			    lane_of(panels, own));
	}
}
