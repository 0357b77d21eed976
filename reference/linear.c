// SPDX-License-Identifier: Apache-2.0
/* Products with a weight matrix, and their gradients. */
#include "reference/internal.h"

/* y[t,n] = sum_m x[t,m] W[n,m] + bias[n] */
static void ref_linear(struct device *dev, struct view y, struct view x, const struct weight *w, int i,
		       struct view bias, bool add)
{
	if (!check_linear(dev, y, x, w, i, bias))
		return;
	for (int64_t t = 0; t < x.rows; t++)
		for (int64_t n = 0; n < y.cols; n++) {
			double sum = ref_dot(x, t, w->w[i], n, x.cols);
			sum += view_present(bias) ? ref_get(bias, 0, n) : 0;
			ref_put(y, t, n, add ? ref_get(y, t, n) + sum : sum);
		}
}

enum { CHUNK = 256 };

/* One chunk of dx[t,m] = sum_n dy[t,n] W[n,m] */
static void dx_chunk(struct view dx, struct view dy, struct view w, int64_t t, int64_t m, int64_t count, bool add)
{
	double sum[CHUNK] = {0}, row[CHUNK];
	if (add)
		ref_load(sum, dx, t, m, count);
	for (int64_t n = 0; n < dy.cols; n++) {
		double g = ref_get(dy, t, n);
		ref_load(row, w, n, m, count);
		for (int64_t c = 0; c < count; c++)
			sum[c] += g * row[c];
	}
	for (int64_t c = 0; c < count; c++)
		ref_put(dx, t, m + c, sum[c]);
}

static void ref_linear_dx(struct device *dev, struct view dx, struct view dy, const struct weight *w, int i, bool add)
{
	if (!check_linear_dx(dev, dx, dy, w, i))
		return;
	for (int64_t t = 0; t < dx.rows; t++)
		for (int64_t m = 0; m < dx.cols; m += CHUNK)
			dx_chunk(dx, dy, w->w[i], t, m, dx.cols - m < CHUNK ? dx.cols - m : CHUNK, add);
}

/* One chunk of dw[n,m] += sum_t dy[t,n] x[t,m] */
static void dw_chunk(struct view dw, struct view dy, struct view x, int64_t n, int64_t m, int64_t count)
{
	double sum[CHUNK], row[CHUNK];
	ref_load(sum, dw, n, m, count);
	for (int64_t t = 0; t < x.rows; t++) {
		double g = ref_get(dy, t, n);
		ref_load(row, x, t, m, count);
		for (int64_t c = 0; c < count; c++)
			sum[c] += g * row[c];
	}
	for (int64_t c = 0; c < count; c++)
		ref_put(dw, n, m + c, sum[c]);
}

static void ref_linear_dw(struct device *dev, struct view dw, struct view dbias, struct view dy, struct view x)
{
	if (!check_linear_dw(dev, dw, dbias, dy, x))
		return;
	for (int64_t n = 0; view_present(dw) && n < dw.rows; n++)
		for (int64_t m = 0; m < dw.cols; m += CHUNK)
			dw_chunk(dw, dy, x, n, m, dw.cols - m < CHUNK ? dw.cols - m : CHUNK);
	for (int64_t n = 0; view_present(dbias) && n < dy.cols; n++) {
		double sum = ref_get(dbias, 0, n);
		for (int64_t t = 0; t < dy.rows; t++)
			sum += ref_get(dy, t, n);
		ref_put(dbias, 0, n, sum);
	}
}

void ref_table_linear(struct kernels *table)
{
	table->linear = ref_linear;
	table->linear_dx = ref_linear_dx;
	table->linear_dw = ref_linear_dw;
}
