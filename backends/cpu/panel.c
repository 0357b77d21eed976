// SPDX-License-Identifier: Apache-2.0
/*
 * Products over a library's sgemm: 16-bit weights are expanded block by block
 * into a panel that stays in the cache, so that no f32 copy of them is kept.
 */
#include "backends/cpu/product.h"

enum { DEPTH = 384 /* of an expanded block, along the sum: about as deep as the libraries pack at a time */ };

/* The block's elements in f32, in the panel. */
static void expand(const struct device *dev, float *panel, struct view block)
{
	for (int64_t i = 0; i < block.rows; i++)
		cpu_of(dev)->vec->expand(panel + i * block.cols, view_row(block, i), block.dtype, block.cols);
}

/* How wide a block of this depth may be. */
static int64_t width_of(const struct device *dev, int64_t depth)
{
	return at_least(1, panel_of(dev) / at_least(depth, 1));
}

static void nt_columns(const struct device *dev, const struct product *p, int64_t rows, int64_t begin, int64_t end,
		       float *panel)
{
	gemm_fn *gemm = cpu_of(dev)->products->gemm_nt;
	int64_t depth = at_most(p->w.cols, DEPTH), width = width_of(dev, depth);

	if (p->w.dtype == DTYPE_F32) {
		gemm(dev, rows, end - begin, p->w.cols, 1, p->x, p->ldx, row_f32(p->w, begin), p->w.ld, p->add,
		     p->y + begin, p->ldy);
		return;
	}
	for (int64_t j = begin; j < end; j += width)
		for (int64_t m = 0; m < p->w.cols; m += depth) {
			int64_t n = at_most(width, end - j), k = at_most(depth, p->w.cols - m);

			expand(dev, panel, view_cols(view_rows(p->w, j, n), m, k));
			gemm(dev, rows, n, k, 1, p->x + m, p->ldx, panel, k, p->add || m, p->y + j, p->ldy);
		}
}

static void nn_columns(const struct device *dev, const struct product *p, int64_t rows, int64_t begin, int64_t end,
		       float *panel)
{
	gemm_fn *gemm = cpu_of(dev)->products->gemm_nn;
	int64_t depth = at_most(p->w.rows, DEPTH), width = width_of(dev, depth);

	if (p->w.dtype == DTYPE_F32) {
		gemm(dev, rows, end - begin, p->w.rows, 1, p->x, p->ldx, row_f32(p->w, 0) + begin, p->w.ld, p->add,
		     p->y + begin, p->ldy);
		return;
	}
	for (int64_t j = begin; j < end; j += width)
		for (int64_t m = 0; m < p->w.rows; m += depth) {
			int64_t n = at_most(width, end - j), k = at_most(depth, p->w.rows - m);

			expand(dev, panel, view_cols(view_rows(p->w, m, k), j, n));
			gemm(dev, rows, n, k, 1, p->x + m, p->ldx, panel, n, p->add || m, p->y + j, p->ldy);
		}
}

void panel_nt(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
	      const struct lanes *panels)
{
	product_columns(dev, list, n, rows, lane, panels, nt_columns);
}

void panel_nn(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
	      const struct lanes *panels)
{
	product_common_columns(dev, list, n, rows, lane, panels, nn_columns);
}
