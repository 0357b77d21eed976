// SPDX-License-Identifier: Apache-2.0
/* From the last residual to log-probabilities of targets, and the gradient; one row's logits at a time. */
#include <math.h>

#include "reference/internal.h"

/* log(sum_j e^z_j) */
static double log_sum_exp(const double *z, int64_t n)
{
	double max = -INFINITY, sum = 0;
	for (int64_t j = 0; j < n; j++)
		max = z[j] > max ? z[j] : max;
	for (int64_t j = 0; j < n; j++)
		sum += exp(z[j] - max);
	return max + log(sum);
}

static void ref_log_softmax(struct device *dev, struct view y, struct view x)
{
	if (!check_same(dev, "log_softmax", y, x, x))
		return;
	size_t used = dev->scratch_used;
	double *z = device_scratch(dev, "log_softmax", (size_t)x.cols * sizeof *z);
	for (int64_t t = 0; z && t < x.rows; t++) {
		ref_load(z, x, t, 0, x.cols);
		double lse = log_sum_exp(z, x.cols);
		for (int64_t j = 0; j < x.cols; j++)
			ref_put(y, t, j, z[j] - lse);
	}
	dev->scratch_used = used;
}

static void ref_logits(struct device *dev, struct view y, struct view x, const struct head_params *p)
{
	if (!check_logits(dev, y, x, p))
		return;
	size_t used = dev->scratch_used;
	struct view h = ref_scratch(dev, "logits", x.rows, x.cols);
	if (view_present(h)) {
		dev->k->rmsnorm(dev, h, x, p->norm_w, p->eps);
		dev->k->linear(dev, y, h, p->w, 0, view_none(), false);
	}
	dev->scratch_used = used;
}

/* What one head_loss call works on. */
struct head {
	struct view h, dh;     /* normed rows, their gradient */
	struct view w;         /* [V, C] */
	struct view target, weight;
	double *lse;           /* [R] */
	double *z;             /* [max(R, V)] */
};

/* dL/dz of row t at id v, L = -sum weight logp: weight (e^(z - lse) - [v = target]) */
static double dz(const struct head *a, int64_t t, int64_t v, double z)
{
	if (ref_i32(a->target, t) < 0)
		return 0;
	return ref_get(a->weight, 0, t) * (exp(z - a->lse[t]) - (v == ref_i32(a->target, t) ? 1.0 : 0.0));
}

/* logp of row t; with dh its row of the gradient, sum_v dz_v W[v] */
static double head_row(const struct head *a, int64_t t)
{
	int64_t target = ref_i32(a->target, t);
	for (int64_t v = 0; v < a->w.rows; v++)
		a->z[v] = ref_dot(a->h, t, a->w, v, a->h.cols);
	a->lse[t] = log_sum_exp(a->z, a->w.rows);
	double logp = target < 0 ? 0 : a->z[target] - a->lse[t];
	if (!view_present(a->dh))
		return logp;
	for (int64_t v = 0; v < a->w.rows; v++)
		a->z[v] = dz(a, t, v, a->z[v]);
	for (int64_t c = 0; c < a->h.cols; c++) {
		double sum = 0;
		for (int64_t v = 0; v < a->w.rows; v++)
			sum += a->z[v] * ref_get(a->w, v, c);
		ref_put(a->dh, t, c, sum);
	}
	return logp;
}

/* dw[v,c] += sum_t dz[t,v] h[t,c] */
static void head_dw(const struct head *a, struct view dw)
{
	for (int64_t v = 0; v < dw.rows; v++) {
		for (int64_t t = 0; t < a->h.rows; t++)
			a->z[t] = dz(a, t, v, ref_dot(a->h, t, a->w, v, a->h.cols));
		for (int64_t c = 0; c < dw.cols; c++) {
			double sum = ref_get(dw, v, c);
			for (int64_t t = 0; t < a->h.rows; t++)
				sum += a->z[t] * ref_get(a->h, t, c);
			ref_put(dw, v, c, sum);
		}
	}
}

static bool head_init(struct head *a, struct device *dev, struct view x, const struct head_params *p, bool gradient)
{
	int64_t rows = x.rows, vocab = p->w->w[0].rows, longest = rows > vocab ? rows : vocab;
	a->w = p->w->w[0];
	a->h = ref_scratch(dev, "head_loss", rows, x.cols);
	a->dh = gradient ? ref_scratch(dev, "head_loss", rows, x.cols) : view_none();
	a->lse = device_scratch(dev, "head_loss", (size_t)rows * sizeof *a->lse);
	a->z = device_scratch(dev, "head_loss", (size_t)longest * sizeof *a->z);
	if (!dev->failure[0])
		dev->k->rmsnorm(dev, a->h, x, p->norm_w, p->eps);
	return !dev->failure[0];
}

static void ref_head_loss(struct device *dev, struct view logp, struct view dx, const struct head_grads *grads,
			  struct view x, const struct head_params *p, struct view target, struct view weight)
{
	if (!check_head_loss(dev, logp, dx, grads, x, p, target, weight))
		return;
	size_t used = dev->scratch_used;
	struct view dnorm = grads ? grads->norm_w : view_none();
	struct head a = {.target = target, .weight = weight};
	if (!head_init(&a, dev, x, p, view_present(dx) || view_present(dnorm)))
		return;
	for (int64_t t = 0; t < x.rows; t++)
		ref_put(logp, 0, t, head_row(&a, t));
	if (grads && view_present(grads->w))
		head_dw(&a, grads->w);
	if (view_present(dx))
		dev->k->fill(dev, dx, 0);
	if (view_present(a.dh))
		dev->k->rmsnorm_backward(dev, dx, dnorm, a.dh, x, p->norm_w, p->eps);
	dev->scratch_used = used;
}

void ref_table_loss(struct kernels *table)
{
	table->log_softmax = ref_log_softmax;
	table->logits = ref_logits;
	table->head_loss = ref_head_loss;
}
