// SPDX-License-Identifier: Apache-2.0
/*
 * Products with prepared groups: x rounded to the arithmetic's dtype, then tile after tile. Weights that are not laid
 * out, as of 16 bits where sums and factors are f32, are expanded block by block.
 */
#include <omp.h>

#include "backends/onednn/onednn.h"

enum {
	PANEL_F32 = 512 * 384, /* floats of scratch of a lane: for rows of 16-bit weights, expanded */
	PANEL_BF16 = 1 << 21,  /* and for a block of x in bf16 */
	FEW_F32 = 64,          /* rows that pack nothing: below, packing costs more than it brings */
	FEW_BF16 = 6,          /* one pass over the stored weights */
	BLOCK_BF16 = 256,      /* rows of a block: with its weights laid out, what counts is that it stays in the cache */
	LEAST_BF16 = 64
};

static const char no_memory[] = "oneDNN refused a product: out of memory?";

static void fail(const struct device *dev, const char *what)
{
#pragma omp critical(onednn_failure)
	device_fail((struct device *)(uintptr_t)dev, "product", "%s", what);
}

/*
 * x of one product, to be rounded: in the panel tile after tile, each [rows,
 * cols of the tile] in bf16, as the library wants its factors without gaps, or
 * in pieces.
 */
struct input {
	const struct device *dev;
	const struct product *p;
	int64_t cols, tile, rows, base; /* of x, of a tile; rows at once; the product's row that is row 0 */
	uint16_t *out;
};

/* Columns [at, at + n) of x in the panel. A tile that is not the last has whole pieces. */
static uint16_t *tile_at(const struct device *dev, uint16_t *panel, int64_t rows, int64_t at)
{
	return panel + (onednn_of(dev)->pieces ? pieces_strips(rows) * PIECE_SIDE : rows) * at;
}

static void round_rows(void *work, int64_t first, int64_t count, int lane)
{
	const struct input *in = work;
	const struct pieces *pieces = onednn_of(in->dev)->pieces;

	(void)lane;
	for (int64_t at = 0; at < in->cols; at += in->tile) {
		int64_t n = at_most(in->tile, in->cols - at);
		uint16_t *out = tile_at(in->dev, in->out, in->rows, at);

		for (int64_t t = first; t < first + count; t++) {
			const float *x = in->p->x + (in->base + t) * in->p->ldx + at;

			if (pieces)
				pieces->lay_row((piece *)(void *)out, pieces_steps(n), t, x, n);
			else
				cpu_of(in->dev)->vec->narrow(out + t * n, DTYPE_BF16, x, n);
		}
	}
}

/* Lay the next `rows` rows of p's x out in the panel, unless they are f32 and stay where they are. */
static void lay_out(const struct device *dev, const struct product *p, int64_t cols, int64_t tile, int64_t base,
		    int64_t rows, int lane, float *panel)
{
	struct input in = {dev, p, cols, tile, rows, base, (uint16_t *)panel};

	if (onednn_of(dev)->arithmetic != DTYPE_F32)
		team_phase(dev, 0, rows, lane, cols, round_rows, &in);
}

/* The tiles that make up p->w: rows [row, row_end) and columns [col, col_end) of the grid. */
struct part {
	const struct onednn_matrix *m;
	int64_t row, row_end, col, col_end;
};

static bool part_of(struct part *out, const struct product *p)
{
	const struct onednn_group *group = p->from->packed;

	if (!group)
		return false;
	const struct onednn_matrix *m = &group->matrix[p->matrix];
	struct view whole = p->from->w[p->matrix];
	int64_t at = p->w.offset - whole.offset, row = at / whole.ld, col = at % whole.ld;
	int64_t row_end = row + p->w.rows, col_end = col + p->w.cols;

	*out = (struct part){m, row / m->tile_rows, (row_end + m->tile_rows - 1) / m->tile_rows, col / m->tile_cols,
			     (col_end + m->tile_cols - 1) / m->tile_cols};
	return row % m->tile_rows == 0 && col % m->tile_cols == 0 &&
	       (row_end == whole.rows || row_end % m->tile_rows == 0) &&
	       (col_end == whole.cols || col_end % m->tile_cols == 0);
}

/* Columns of x that belong to a tile. */
static int64_t tile_of(const struct onednn_matrix *m, bool forward)
{
	return forward ? m->tile_cols : m->tile_rows;
}

/* Columns [at, …) of rows [base, base + rows) of x, as they lie in the panel or where they are; *ld apart. */
static const void *input_at(const struct device *dev, const struct product *p, const float *panel, int64_t base,
			    int64_t rows, int64_t at, int64_t k, int64_t *ld)
{
	bool plain = onednn_of(dev)->arithmetic == DTYPE_F32;

	*ld = plain ? p->ldx : k;
	return plain ? (const void *)(p->x + base * p->ldx + at) : tile_at(dev, (uint16_t *)(uintptr_t)panel, rows, at);
}

/* Rows [base, base + rows) of one product, forward or dx, from an x that is laid out already. */
static int multiply(const struct device *dev, const struct product *p, const struct part *part, bool forward,
		    int64_t base, int64_t rows, int lane, const float *panel)
{
	const struct onednn_matrix *m = part->m;
	int bad = 0;

	for (int64_t i = part->row; i < part->row_end; i++)
		for (int64_t j = part->col; j < part->col_end && !bad; j++) {
			int64_t row = (i - part->row) * m->tile_rows, col = (j - part->col) * m->tile_cols, ld;
			int64_t in = forward ? col : row, out = forward ? row : col;
			int64_t k = at_most(tile_of(m, forward), (forward ? p->w.cols : p->w.rows) - in);
			const struct tile *tile = (forward ? m->forward : m->dx)[i * m->down + j];
			const void *x = input_at(dev, p, panel, base, rows, in, k, &ld);

			bad = matmul_run(onednn_of(dev)->matmul, lane, p->y + base * p->ldy + out, p->ldy, x, ld, rows,
					 tile, p->add || in);
		}
	return bad;
}

/* Rows of x that fit the panel, in pieces two strips of 16 at a time; 0: not even those. */
static int64_t rows_at_once(const struct device *dev, int64_t rows, int64_t cols)
{
	bool plain = onednn_of(dev)->arithmetic == DTYPE_F32;
	int64_t fit = 2 * panel_of(dev) / round_up_to(cols, PIECE_TERMS);

	if (plain)
		return at_least(1, rows);
	return onednn_of(dev)->pieces ? at_most(rows, fit / (2 * PIECE_SIDE) * (2 * PIECE_SIDE)) : at_most(rows, fit);
}

/* A call: a list, forward or dx. */
struct call {
	const struct device *dev;
	const struct product *list;
	int n, lane;
	bool forward;
	float *panel;
};

static int64_t input_cols(const struct call *c, int i)
{
	return c->forward ? c->list[i].w.cols : c->list[i].w.rows;
}

/* Rows [base, base + rows) of all products; neighbours that read the same x have it laid out once. */
static void run_rows(const struct call *c, int64_t base, int64_t rows)
{
	const float *x = NULL; /* in the panel: so many columns, for tiles of so many */
	int64_t cols = 0, tile = 0;

	for (int i = 0; i < c->n; i++) {
		struct product p = c->forward ? c->list[i] : product_common(c->list, i);
		struct part part;

		if (p.w.rows == 0 || p.w.cols == 0)
			continue;
		if (!part_of(&part, &p) || !(c->forward ? part.m->forward : part.m->dx)) {
			fail(c->dev, "a part of a matrix that was not prepared for it");
			return;
		}
		if (p.x != x || input_cols(c, i) != cols || tile_of(part.m, c->forward) != tile) {
			x = p.x;
			cols = input_cols(c, i);
			tile = tile_of(part.m, c->forward);
			lay_out(c->dev, &p, cols, tile, base, rows, c->lane, c->panel);
		}
		if (multiply(c->dev, &p, &part, c->forward, base, rows, c->lane, c->panel))
			fail(c->dev, no_memory);
	}
}

static bool laid_out(const struct product *list, int n)
{
	for (int i = 0; i < n; i++)
		if (!list[i].from->packed)
			return false;
	return true;
}

static void run(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
		const struct lanes *panels, bool forward)
{
	if (onednn_of(dev)->arithmetic == DTYPE_F32 && !laid_out(list, n)) {
		(forward ? panel_nt : panel_nn)(dev, list, n, rows, lane, panels);
		return;
	}
	struct call c = {dev, list, n, lane, forward, lane_of(panels, lane)};
	int64_t widest = 1;

	for (int i = 0; i < n; i++)
		widest = at_least(widest, input_cols(&c, i));
	int64_t step = rows_at_once(dev, rows, widest);

	if (rows > 0 && step == 0)
		fail(dev, "a row is longer than this backend multiplies in bf16");
	for (int64_t base = 0; step > 0 && base < rows; base += step)
		run_rows(&c, base, at_most(step, rows - base));
}

static void product_forward(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
			    const struct lanes *panels)
{
	run(dev, list, n, rows, lane, panels, true);
}

static void product_backward(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
			     const struct lanes *panels)
{
	run(dev, list, n, rows, lane, panels, false);
}

static void gemm_nt(const struct device *dev, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
		    const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
	if (matmul_gemm('N', 'T', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
		fail(dev, no_memory);
}

static void gemm_nn(const struct device *dev, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
		    const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
	if (matmul_gemm('N', 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
		fail(dev, no_memory);
}

static void gemm_tn(const struct device *dev, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
		    const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
	if (matmul_gemm('T', 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
		fail(dev, no_memory);
}

static void set_threads(int threads)
{
	if (!omp_in_parallel() && omp_get_max_threads() != threads)
		omp_set_num_threads(threads);
}

#define PRODUCTS(panel_floats, few_rows, most_rows, fewest_rows)                                                       \
	{                                                                                                              \
		.panel = (panel_floats), .few = (few_rows), .block_rows = (most_rows), .least_rows = (fewest_rows),    \
		.nt = product_forward, .nn = product_backward, .gemm_nt = gemm_nt, .gemm_nn = gemm_nn,                 \
		.gemm_tn = gemm_tn, .threads = set_threads,                                                            \
	}
const struct products onednn_products_f32 = PRODUCTS(PANEL_F32, FEW_F32, PACKING_BLOCK_ROWS, PACKING_LEAST_ROWS);
const struct products onednn_products_bf16 = PRODUCTS(PANEL_BF16, FEW_BF16, BLOCK_BF16, LEAST_BF16);
