// SPDX-License-Identifier: Apache-2.0
/* RMSNorm (Zhang and Sennrich 2019) and its gradient. */
#include <math.h>

#include "reference/internal.h"

/* 1 / sqrt(mean(x^2) + eps) of row t */
static double inverse_rms(struct view x, int64_t t, double eps)
{
	return 1.0 / sqrt(ref_dot(x, t, x, t, x.cols) / (double)x.cols + eps);
}

/* y_j = w_j x_j s,  s = 1 / sqrt(mean(x^2) + eps) */
static void ref_rmsnorm(struct device *dev, struct view y, struct view x, struct view w, float eps)
{
	if (!check_rmsnorm(dev, y, x, w))
		return;
	for (int64_t t = 0; t < x.rows; t++) {
		double s = inverse_rms(x, t, (double)eps);
		for (int64_t j = 0; j < x.cols; j++)
			ref_put(y, t, j, ref_get(w, 0, j) * ref_get(x, t, j) * s);
	}
}

/* dx_j += s (w_j dy_j - x_j s^2 / C * sum_i w_i dy_i x_i) */
static void norm_dx(struct view dx, struct view dy, struct view x, struct view w, int64_t t, double s)
{
	double sum = 0;
	for (int64_t j = 0; j < x.cols; j++)
		sum += ref_get(w, 0, j) * ref_get(dy, t, j) * ref_get(x, t, j);
	for (int64_t j = 0; j < x.cols; j++) {
		double own = ref_get(w, 0, j) * ref_get(dy, t, j);
		double shared = ref_get(x, t, j) * s * s / (double)x.cols * sum;
		ref_put(dx, t, j, ref_get(dx, t, j) + s * (own - shared));
	}
}

/* dw_j += sum over t of dy_j x_j s_t */
static void norm_dw(struct view dw, struct view dy, struct view x, const double *s)
{
	for (int64_t j = 0; j < x.cols; j++) {
		double sum = ref_get(dw, 0, j);
		for (int64_t t = 0; t < x.rows; t++)
			sum += ref_get(dy, t, j) * ref_get(x, t, j) * s[t];
		ref_put(dw, 0, j, sum);
	}
}

static void ref_rmsnorm_backward(struct device *dev, struct view dx, struct view dw, struct view dy, struct view x,
				 struct view w, float eps)
{
	if (!check_rmsnorm_backward(dev, dx, dw, dy, x, w))
		return;
	size_t used = dev->scratch_used;
	double *s = device_scratch(dev, "rmsnorm_backward", (size_t)x.rows * sizeof *s);
	if (!s)
		return;
	for (int64_t t = 0; t < x.rows; t++)
		s[t] = inverse_rms(x, t, (double)eps);
	if (view_present(dw))
		norm_dw(dw, dy, x, s);
	for (int64_t t = 0; view_present(dx) && t < x.rows; t++)
		norm_dx(dx, dy, x, w, t, s[t]);
	dev->scratch_used = used;
}

void ref_table_norm(struct kernels *table)
{
	table->rmsnorm = ref_rmsnorm;
	table->rmsnorm_backward = ref_rmsnorm_backward;
}
