// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/low_rank.h"

#include <string.h>


enum {
	TILE_ROWS = 16, /* of masked input held at a time; with its columns, in the first-level cache */
	TILE_COLS = 512,
	PASS_ROWS = 64  /* of an output's gradient read twice */
};

struct low_rank low_rank_of(const struct device *dev, const struct lora *lora, const struct dropout *drop)
{
	struct low_rank lr = {.dev = dev, .lora = lora, .rank = lora ? lora->a.rows : 0};

	if (!lora || !drop || lora->p <= 0)
		return lr;
	const uint64_t *state = view_row(drop->state, 0);
	lr.drops = true;
	lr.mask.key = philox_stream(state[0], PHILOX_DROPOUT, (uint32_t)state[1], drop->layer, lora->module);
	lr.mask.threshold = dropout_threshold(lora->p);
	lr.mask.keep = (float)(1.0 / (1.0 - (double)lora->p));
	lr.row_key = view_row(drop->row_key, 0);
	return lr;
}

int64_t low_rank_work(int64_t rows, int64_t rank)
{
	return 2 * TILE_ROWS * TILE_COLS + round_up_to(rank * TILE_COLS, 16) + 2 * round_up_to(rows * rank, 16);
}

/* Columns of one tile: equal parts of whole vectors. */
static int64_t tile_cols(int64_t cols)
{
	int64_t tiles = (cols + TILE_COLS - 1) / TILE_COLS;

	return tiles ? round_up_to((cols + tiles - 1) / tiles, 64) : 64;
}

static const struct vec *vec_of(const struct low_rank *lr)
{
	return cpu_of(lr->dev)->vec;
}

/* The mask of row `row` of the call, from feature `col` on. */
static struct vec_mask mask_at(const struct low_rank *lr, int64_t row, int64_t col)
{
	struct vec_mask mask = lr->mask;

	mask.row = lr->row_key[row];
	mask.first = (uint32_t)(col / 4);
	return mask;
}

/* out[rows of a, n] += a[.., cols] w[n, cols]^T */
static void reduce(const struct low_rank *lr, float *out, int64_t ldo, const float *a, int64_t lda, const float *w,
		   int64_t ldw, int64_t n, int64_t cols)
{
	int64_t groups = (lr->rank + VEC_FEW - 1) / VEC_FEW;

	for (int64_t i = 0; i < groups; i++) {
		int64_t k = lr->rank * i / groups, end = lr->rank * (i + 1) / groups;

		vec_of(lr)->few(out + k * ldo, ldo, a + k * lda, lda, (int)(end - k), w, ldw, DTYPE_F32, n, cols,
				true);
	}
}

/* to[cols, rows] = scale * from[rows, cols]^T */
static void transpose(float *to, int64_t ldt, const float *from, int64_t ldf, int64_t rows, int64_t cols, float scale)
{
	for (int64_t i = 0; i < rows; i++)
		for (int64_t j = 0; j < cols; j++)
			to[j * ldt + i] = scale * from[i * ldf + j];
}

/* A tile of x, masked into `work` where there is dropout; *ldx becomes the result's. */
static const float *masked(const struct low_rank *lr, const float *x, int64_t *ldx, int64_t first, int64_t count,
			   int64_t col, int64_t cols, float *work)
{
	if (!lr->drops)
		return x;
	for (int64_t t = 0; t < count; t++) {
		struct vec_mask mask = mask_at(lr, first + t, col);

		vec_of(lr)->dropout(work + t * TILE_COLS, x + t * *ldx, cols, &mask);
	}
	*ldx = TILE_COLS;
	return work;
}

void low_rank_down(const struct low_rank *lr, float *xa, const float *x, int64_t ldx, int64_t first, int64_t count,
		   int64_t col, int64_t cols, bool add, float *work)
{
	const float *a = row_f32(lr->lora->a, 0) + col;
	float *tile = lane_carve(&work, TILE_ROWS * TILE_COLS), *sum = work;
	int64_t step = tile_cols(cols), rank = lr->rank;

	for (int64_t t = 0; t < count; t += TILE_ROWS) {
		int64_t rows = at_most(TILE_ROWS, count - t);

		memset(sum, 0, (size_t)(TILE_ROWS * rank) * sizeof *sum);
		if (add)
			transpose(sum, TILE_ROWS, xa + t * rank, rank, rows, rank, 1);
		for (int64_t j = 0; j < cols; j += step) {
			int64_t ld = ldx, n = at_most(step, cols - j);
			const float *in = masked(lr, x + t * ldx + j, &ld, first + t, rows, col + j, n, tile);

			reduce(lr, sum, TILE_ROWS, a + j, lr->lora->a.ld, in, ld, rows, n);
		}
		transpose(xa + t * rank, rank, sum, TILE_ROWS, rank, rows, 1);
	}
}

void low_rank_up(const struct low_rank *lr, float *y, int64_t ldy, const float *xa, int64_t count, int64_t row,
		 int64_t n, float *work)
{
	int64_t rank = lr->rank, ldb = lr->lora->b.ld;
	float *bt = lane_carve(&work, rank * TILE_COLS), *scaled = work;

	for (int64_t i = 0; i < count * rank; i++)
		scaled[i] = lr->lora->scale * xa[i];
	for (int64_t j = 0; j < n; j += TILE_COLS) {
		int64_t cols = at_most(TILE_COLS, n - j);

		transpose(bt, TILE_COLS, row_f32(lr->lora->b, row + j), ldb, cols, rank, 1);
		vec_of(lr)->rank_expand(y + j, ldy, scaled, rank, bt, TILE_COLS, rank, count, cols);
	}
}

void low_rank_up_backward(const struct low_rank *lr, const struct low_rank_sums *sums, float *g, const float *dy,
			  int64_t ldy, const float *xa, int64_t count, int64_t row, int64_t n, bool add, float *work)
{
	bool trained = view_present(lr->lora->db);
	int64_t rank = lr->rank, out = lr->lora->b.rows;
	float *bt = lane_carve(&work, rank * TILE_COLS), *gt = work, scale = lr->lora->scale;

	memset(gt, 0, (size_t)(count * rank) * sizeof *gt);
	for (int64_t j = 0; j < n; j += TILE_COLS) {
		int64_t cols = at_most(TILE_COLS, n - j);

		transpose(bt, TILE_COLS, row_f32(lr->lora->b, row + j), lr->lora->b.ld, cols, rank, scale);
		for (int64_t t = 0; t < count; t += PASS_ROWS) {
			int64_t rows = at_most(PASS_ROWS, count - t);

			reduce(lr, gt + t, count, bt, TILE_COLS, dy + t * ldy + j, ldy, rows, cols);
			if (trained)
				vec_of(lr)->rank_outer(sums->db + row + j, out, xa + t * rank, rank,
						       dy + t * ldy + j, ldy, rank, rows, cols);
		}
	}
	for (int64_t t = 0; t < count; t++)
		for (int64_t k = 0; k < rank; k++)
			g[t * rank + k] = (add ? g[t * rank + k] : 0) + gt[k * count + t];
}

/* One tile with dropout: g A into `product`, then both gradients by one drawing of the mask. */
static void masked_tile(const struct low_rank *lr, float *in, float *dx, int64_t lddx, const float *g, const float *x,
			int64_t ldx, int64_t first, int64_t rows, int64_t col, int64_t cols, float *product)
{
	const struct vec *vec = vec_of(lr);

	if (dx) {
		memset(product, 0, (size_t)(rows * TILE_COLS) * sizeof *product);
		vec->rank_expand(product, TILE_COLS, g, lr->rank, row_f32(lr->lora->a, 0) + col, lr->lora->a.ld,
				 lr->rank, rows, cols);
	}
	for (int64_t t = 0; t < rows; t++) {
		struct vec_mask mask = mask_at(lr, first + t, col);
		float *masked_x = in + t * TILE_COLS, *d = dx ? dx + t * lddx : NULL;

		if (dx && x)
			vec->dropout_both(masked_x, x + t * ldx, d, product + t * TILE_COLS, cols, &mask);
		else if (dx)
			vec->dropout_add(d, product + t * TILE_COLS, cols, &mask);
		else
			vec->dropout(masked_x, x + t * ldx, cols, &mask);
	}
}

static void down_tile(const struct low_rank *lr, const struct low_rank_sums *sums, float *dx, int64_t lddx,
		      const float *g, const float *x, int64_t ldx, int64_t first, int64_t rows, int64_t col,
		      int64_t cols, float *work)
{
	const struct vec *vec = vec_of(lr);
	float *product = lane_carve(&work, TILE_ROWS * TILE_COLS), *in = work;

	if (!x && !dx)
		return;
	if (lr->drops) {
		masked_tile(lr, in, dx, lddx, g, x, ldx, first, rows, col, cols, product);
		x = x ? in : NULL;
		ldx = TILE_COLS;
	} else if (dx) {
		vec->rank_expand(dx, lddx, g, lr->rank, row_f32(lr->lora->a, 0) + col, lr->lora->a.ld, lr->rank, rows,
				 cols);
	}
	if (x)
		vec->rank_outer(sums->da + col, lr->lora->a.cols, g, lr->rank, x, ldx, lr->rank, rows, cols);
}

void low_rank_down_backward(const struct low_rank *lr, const struct low_rank_sums *sums, float *dx, int64_t lddx,
			    const float *g, const float *x, int64_t ldx, int64_t first, int64_t count, int64_t col,
			    int64_t cols, float *work)
{
	int64_t step = tile_cols(cols);

	if (!view_present(lr->lora->da))
		x = NULL;
	for (int64_t t = 0; t < count; t += TILE_ROWS)
		for (int64_t j = 0; j < cols; j += step)
			down_tile(lr, sums, dx ? dx + t * lddx + j : NULL, lddx, g + t * lr->rank,
				  x ? x + t * ldx + j : NULL, ldx, first + t, at_most(TILE_ROWS, count - t), col + j,
				  at_most(step, cols - j), work);
}

int64_t low_rank_sums_size(int64_t out, int64_t in, int64_t rank)
{
	return round_up_to(rank * in, 16) + round_up_to(rank * out, 16);
}

struct low_rank_sums low_rank_sums_at(const struct low_rank *lr, float **at)
{
	if (!lr->lora)
		return (struct low_rank_sums){0};
	int64_t in = lr->lora->a.cols * lr->rank, out = lr->lora->b.rows * lr->rank;
	struct low_rank_sums sums = {lane_carve(at, in), lane_carve(at, out)};

	memset(sums.da, 0, (size_t)in * sizeof *sums.da);
	memset(sums.db, 0, (size_t)out * sizeof *sums.db);
	return sums;
}

void low_rank_collect(const struct low_rank *lr, const struct low_rank_sums *sums)
{
	for (int lane = 0; lr->lora && lane < lr->dev->threads; lane++) {
		struct view da = lr->lora->da, db = lr->lora->db;

		for (int64_t k = 0; view_present(da) && k < lr->rank; k++)
			vec_of(lr)->add(row_f32(da, k), sums[lane].da + k * da.cols, da.cols);
		for (int64_t n = 0; view_present(db) && n < db.rows; n++)
			for (int64_t k = 0; k < lr->rank; k++)
				row_f32(db, n)[k] += lr->lora->scale * sums[lane].db[k * db.rows + n];
	}
}
