// SPDX-License-Identifier: Apache-2.0
#include <omp.h>

#include "backends/openblas/openblas.h"

enum {
	PANEL = 512 * 384, /* floats of an expanded block: with what the library packs, in the second-level cache */
	DEPTH = 384        /* of it, along the sum: about as deep as the library packs at a time */
};

static void nt_columns(const struct device *dev, const struct product *p, int64_t rows, int64_t begin, int64_t end,
		       float *panel)
{
	const struct vec *vec = cpu_of(dev)->vec;
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

static void nn_columns(const struct device *dev, const struct product *p, int64_t rows, int64_t begin, int64_t end,
		       float *panel)
{
	const struct vec *vec = cpu_of(dev)->vec;
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

static void blas_product_nt(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
			    const struct lanes *panels)
{
	product_columns(dev, list, n, rows, lane, panels, nt_columns);
}

/* Columns [begin, end) of the common output. */
static void sum_columns(const struct device *dev, const struct product *list, int n, int64_t rows, int64_t begin,
			int64_t end, float *panel)
{
	for (int i = 0; i < n && begin < end; i++) {
		struct product p = list[i];

		p.y = list[0].y;
		p.ldy = list[0].ldy;
		p.add = list[0].add || i;
		nn_columns(dev, &p, rows, begin, end, panel);
	}
}

static void blas_product_nn(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
			    const struct lanes *panels)
{
	int64_t cols = list[0].w.cols;

	if (lane != TEAM) {
		sum_columns(dev, list, n, rows, 0, cols, lane_of(panels, lane));
		return;
	}
#pragma omp parallel num_threads(dev->threads)
	{
		int own = omp_get_thread_num(), team = omp_get_num_threads();

		sum_columns(dev, list, n, rows, product_share(cols, own, team), product_share(cols, own + 1, team),
			    lane_of(panels, own));
	}
}

const struct products openblas_products = {
	.panel = PANEL,
	.few = 64,
	.nt = blas_product_nt,
	.nn = blas_product_nn,
	.gemm_nn = blas_nn,
	.gemm_tn = blas_tn,
	.threads = blas_threads,
};
