// SPDX-License-Identifier: Apache-2.0
/* The optimizer step: gradient norm and AdamW (Loshchilov and Hutter 2019). */
#include <math.h>

#include "reference/internal.h"

static void ref_norm2(struct device *dev, struct view out, const struct view list[], int n)
{
	double sum = 0;
	if (!check_norm2(dev, out, list, n))
		return;
	for (int i = 0; i < n; i++)
		for (int64_t t = 0; t < list[i].rows; t++)
			sum += ref_dot(list[i], t, list[i], t, list[i].cols);
	ref_put(out, 0, 0, sum);
}

/* What multiplies every gradient: min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_; a NaN stays one */
static double clip(struct view hyper, struct view norm2)
{
	double max_norm = ref_get(hyper, 0, ADAMW_MAX_NORM);
	if (!view_present(norm2) || max_norm <= 0)
		return 1.0;
	double scale = max_norm / (sqrt(ref_get(norm2, 0, 0)) + 1e-6);
	return scale > 1.0 ? 1.0 : scale;
}

/* One element; h[] as ADAMW_LR … name them. */
static void adamw_element(const struct adamw_item *item, int64_t t, int64_t j, const double *h, double scale)
{
	double p = ref_get(item->p, t, j), g = ref_get(item->g, t, j) * scale;
	double m = h[ADAMW_BETA1] * ref_get(item->m, t, j) + (1 - h[ADAMW_BETA1]) * g;
	double v = h[ADAMW_BETA2] * ref_get(item->v, t, j) + (1 - h[ADAMW_BETA2]) * g * g;
	p -= item->decay ? h[ADAMW_LR] * h[ADAMW_DECAY] * p : 0;
	p -= h[ADAMW_LR] * (m / h[ADAMW_CORRECTION1]) / (sqrt(v / h[ADAMW_CORRECTION2]) + h[ADAMW_EPS]);
	ref_put(item->p, t, j, p);
	ref_put(item->m, t, j, m);
	ref_put(item->v, t, j, v);
	if (view_present(item->shadow))
		ref_put(item->shadow, t, j, ref_get(item->p, t, j));
}

static void ref_adamw(struct device *dev, const struct adamw_item list[], int n, struct view hyper, struct view norm2)
{
	if (!check_adamw(dev, list, n, hyper, norm2))
		return;
	double h[ADAMW_HYPER], scale = clip(hyper, norm2);
	ref_load(h, hyper, 0, 0, ADAMW_HYPER);
	for (int i = 0; i < n; i++)
		for (int64_t t = 0; t < list[i].p.rows; t++)
			for (int64_t j = 0; j < list[i].p.cols; j++)
				adamw_element(&list[i], t, j, h, scale);
}

void ref_table_optim(struct kernels *table)
{
	table->norm2 = ref_norm2;
	table->adamw = ref_adamw;
}
