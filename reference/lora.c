// SPDX-License-Identifier: Apache-2.0
/* The low-rank product of LoRA (Hu et al. 2021) with dropout on its input, its gradient, and the merge. */
#include "reference/internal.h"
#include "reference/philox.h"

/* The mask of one call: none, or drawn per (row key, feature). */
struct mask {
	bool none;
	struct philox_key key;
	uint32_t threshold;
	double keep; /* 1 / (1 - p) */
	struct view row_key;
};

static struct mask mask_of(const struct lora *lora, const struct dropout *drop)
{
	struct mask mask = {.none = !drop || lora->p <= 0};
	if (mask.none)
		return mask;
	mask.key = philox_stream(ref_u64(drop->state, 0), PHILOX_DROPOUT, (uint32_t)ref_u64(drop->state, 1),
				 drop->layer, lora->module);
	mask.threshold = dropout_threshold(lora->p);
	mask.keep = 1.0 / (1.0 - (double)lora->p);
	mask.row_key = drop->row_key;
	return mask;
}

/* 0 or 1 / (1 - p): what feature m of row t is multiplied by */
static double mask_at(const struct mask *mask, int64_t t, int64_t m)
{
	if (mask->none)
		return 1.0;
	struct philox_words words = philox_at(mask->key, (uint32_t)(m / 4), ref_u64(mask->row_key, t));
	return words.w[m % 4] >= mask->threshold ? mask->keep : 0.0;
}

/* drop(x) in the scratch */
static struct view dropped(struct device *dev, const char *op, struct view x, const struct mask *mask)
{
	struct view out = ref_scratch(dev, op, x.rows, x.cols);
	for (int64_t t = 0; view_present(out) && t < x.rows; t++)
		for (int64_t m = 0; m < x.cols; m++)
			ref_put(out, t, m, ref_get(x, t, m) * mask_at(mask, t, m));
	return out;
}

/* xa[t,k] = sum_m drop(x)[t,m] A[k,m];  y[t,n] += scale * sum_k xa[t,k] B[n,k] */
static void ref_lora(struct device *dev, struct view y, struct view xa, struct view x, const struct lora *lora,
		     const struct dropout *drop)
{
	if (!check_lora(dev, y, xa, x, lora, drop))
		return;
	size_t used = dev->scratch_used;
	struct mask mask = mask_of(lora, drop);
	struct view d = dropped(dev, "lora", x, &mask);
	for (int64_t t = 0; view_present(d) && t < x.rows; t++) {
		for (int64_t k = 0; k < xa.cols; k++)
			ref_put(xa, t, k, ref_dot(d, t, lora->a, k, x.cols));
		for (int64_t n = 0; n < y.cols; n++)
			ref_put(y, t, n, ref_get(y, t, n) + (double)lora->scale * ref_dot(xa, t, lora->b, n, xa.cols));
	}
	dev->scratch_used = used;
}

/* db[n,k] += scale * sum_t dy[t,n] xa[t,k] */
static void lora_db(const struct lora *lora, struct view dy, struct view xa)
{
	for (int64_t n = 0; n < dy.cols; n++)
		for (int64_t k = 0; k < xa.cols; k++) {
			double sum = 0;
			for (int64_t t = 0; t < dy.rows; t++)
				sum += ref_get(dy, t, n) * ref_get(xa, t, k);
			ref_put(lora->db, n, k, ref_get(lora->db, n, k) + (double)lora->scale * sum);
		}
}

/* g[t,k] = scale * sum_n dy[t,n] B[n,k] */
static void lora_g(struct view g, struct view dy, const struct lora *lora)
{
	for (int64_t t = 0; t < dy.rows; t++)
		for (int64_t k = 0; k < g.cols; k++) {
			double sum = 0;
			for (int64_t n = 0; n < dy.cols; n++)
				sum += ref_get(dy, t, n) * ref_get(lora->b, n, k);
			ref_put(g, t, k, (double)lora->scale * sum);
		}
}

/* da[k,m] += sum_t g[t,k] d[t,m], d = drop(x) */
static void lora_da(const struct lora *lora, struct view g, struct view d)
{
	for (int64_t m = 0; m < d.cols; m++)
		for (int64_t k = 0; k < g.cols; k++) {
			double sum = ref_get(lora->da, k, m);
			for (int64_t t = 0; t < d.rows; t++)
				sum += ref_get(g, t, k) * ref_get(d, t, m);
			ref_put(lora->da, k, m, sum);
		}
}

/* dx[t,m] += mask[t,m] * sum_k g[t,k] A[k,m] */
static void lora_dx(struct view dx, struct view g, const struct lora *lora, const struct mask *mask)
{
	for (int64_t t = 0; t < dx.rows; t++)
		for (int64_t m = 0; m < dx.cols; m++) {
			double sum = 0;
			for (int64_t k = 0; k < g.cols; k++)
				sum += ref_get(g, t, k) * ref_get(lora->a, k, m);
			ref_put(dx, t, m, ref_get(dx, t, m) + mask_at(mask, t, m) * sum);
		}
}

static void ref_lora_backward(struct device *dev, struct view dx, struct view dy, struct view x, struct view xa,
			      const struct lora *lora, const struct dropout *drop)
{
	if (!check_lora_backward(dev, dx, dy, x, xa, lora, drop))
		return;
	size_t used = dev->scratch_used;
	struct mask mask = mask_of(lora, drop);
	struct view g = ref_scratch(dev, "lora_backward", x.rows, xa.cols);
	struct view d = dropped(dev, "lora_backward", x, &mask);
	bool room = view_present(g) && view_present(d);
	if (room)
		lora_g(g, dy, lora);
	if (room && view_present(lora->db))
		lora_db(lora, dy, xa);
	if (room && view_present(lora->da))
		lora_da(lora, g, d);
	if (room && view_present(dx))
		lora_dx(dx, g, lora, &mask);
	dev->scratch_used = used;
}

/* out[n,m] = W[n,m] + scale * sum_k B[n,k] A[k,m] */
static void ref_merge(struct device *dev, struct view out, struct view w, const struct lora *lora)
{
	if (!check_merge(dev, out, w, lora))
		return;
	for (int64_t n = 0; n < w.rows; n++)
		for (int64_t m = 0; m < w.cols; m++) {
			double sum = 0;
			for (int64_t k = 0; k < lora->a.rows; k++)
				sum += ref_get(lora->b, n, k) * ref_get(lora->a, k, m);
			ref_put(out, n, m, ref_get(w, n, m) + (double)lora->scale * sum);
		}
}

void ref_table_lora(struct kernels *table)
{
	table->lora = ref_lora;
	table->lora_backward = ref_lora_backward;
	table->merge = ref_merge;
}
