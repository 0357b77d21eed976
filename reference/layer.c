// SPDX-License-Identifier: Apache-2.0
/*
 * The parts of a transformer layer, each from primitives called through the
 * device's own table, so that a backend that overrides a primitive speeds up
 * these too. Intermediates are f32 in scratch; `saved` holds in this order
 *     attn_in   x [R,C], low-rank xa of q, k, v [R,r] where adapted, raw q [R,H D] and k [R,K D] with q/k norm
 *     attn_out  xa [R,r] where adapted
 *     mlp       x [R,C], gate [R,F], up [R,F], xa of gate, up, down [R,r] where adapted
 */
#include "reference/internal.h"

/* y += product with the adapter, where there is one; xa is carved from saved, or scratch without. */
static void adapt(struct device *dev, const char *op, struct view y, struct view saved, size_t *at, struct view x,
		  const struct lora *lora, const struct dropout *drop)
{
	if (!lora)
		return;
	size_t used = dev->scratch_used;
	struct view xa = view_present(saved) ? ref_carve(saved, at, x.rows, lora->a.rows)
					     : ref_scratch(dev, op, x.rows, lora->a.rows);
	if (view_present(xa))
		dev->k->lora(dev, y, xa, x, lora, drop);
	dev->scratch_used = used;
}

/* Its gradient; xa lies where adapt() put it. */
static void adapt_backward(struct device *dev, struct view dx, struct view dy, struct view x, struct view saved,
			   size_t *at, const struct lora *lora, const struct dropout *drop)
{
	if (lora)
		dev->k->lora_backward(dev, dx, dy, x, ref_carve(saved, at, x.rows, lora->a.rows), lora, drop);
}

/* RMSNorm of each head in place. */
static void norm_heads(struct device *dev, struct view x, struct view w, float eps, int head_dim)
{
	for (int64_t c = 0; view_present(w) && c < x.cols; c += head_dim) {
		struct view head = view_cols(x, c, head_dim);
		dev->k->rmsnorm(dev, head, head, w, eps);
	}
}

/* In place: d becomes the gradient of the raw heads. */
static void norm_heads_backward(struct device *dev, struct view d, struct view dw, struct view raw, struct view w,
				float eps, int head_dim)
{
	size_t used = dev->scratch_used;
	struct view dx = ref_scratch(dev, "attn_in_backward", d.rows, head_dim);
	for (int64_t c = 0; view_present(w) && view_present(dx) && c < d.cols; c += head_dim) {
		struct view head = view_cols(d, c, head_dim);
		dev->k->fill(dev, dx, 0);
		dev->k->rmsnorm_backward(dev, dx, dw, head, view_cols(raw, c, head_dim), w, eps);
		dev->k->copy(dev, head, dx);
	}
	dev->scratch_used = used;
}

/* k[row(t)], v[row(t)] = y[1..2][t] */
static void store(struct device *dev, struct view k, struct view v, const struct view y[3], struct view row)
{
	if (view_present(row)) {
		dev->k->kv_append(dev, k, v, y[1], y[2], row);
		return;
	}
	dev->k->copy(dev, k, y[1]);
	dev->k->copy(dev, v, y[2]);
}

static bool qk_norm(const struct attn_in_params *p)
{
	return view_present(p->q_norm) || view_present(p->k_norm);
}

/* y[0..2] = q, k, v of the normed rows h, before q/k norm and rotary */
static void project(struct device *dev, struct view y[3], struct view h, struct view saved, size_t *at,
		    const struct attn_in_params *p)
{
	for (int i = 0; i < 3; i++) {
		dev->k->linear(dev, y[i], h, p->wqkv, i, p->bias[i], false);
		adapt(dev, "attn_in", y[i], saved, at, h, p->lora[i], p->drop);
	}
	if (!view_present(saved) || !qk_norm(p))
		return;
	for (int i = 0; i < 2; i++)
		dev->k->copy(dev, ref_carve(saved, at, y[i].rows, y[i].cols), y[i]);
}

static void ref_attn_in(struct device *dev, struct view q, struct view k, struct view v, struct view saved,
			struct view x, struct view pos, struct view kv_dst, const struct attn_in_params *p)
{
	if (!check_attn_in(dev, q, k, v, saved, x, pos, kv_dst, p))
		return;
	size_t used = dev->scratch_used, at = 0;
	struct view h = ref_scratch(dev, "attn_in", x.rows, x.cols);
	struct view y[3] = {ref_scratch(dev, "attn_in", x.rows, q.cols), ref_scratch(dev, "attn_in", x.rows, k.cols),
			    ref_scratch(dev, "attn_in", x.rows, k.cols)};
	if (!view_present(y[2]))
		return;
	if (view_present(saved))
		dev->k->copy(dev, ref_carve(saved, &at, x.rows, x.cols), x);
	dev->k->rmsnorm(dev, h, x, p->norm_w, p->eps);
	project(dev, y, h, saved, &at, p);
	norm_heads(dev, y[0], p->q_norm, p->eps, p->dims.head_dim);
	norm_heads(dev, y[1], p->k_norm, p->eps, p->dims.head_dim);
	dev->k->rope(dev, y[0], pos, &p->rope, p->dims.head_dim, false);
	dev->k->rope(dev, y[1], pos, &p->rope, p->dims.head_dim, false);
	dev->k->copy(dev, q, y[0]);
	store(dev, k, v, y, kv_dst);
	dev->scratch_used = used;
}

/* d[0..1] from gradients of rotated, normed q, k to those of the raw products. */
static void unrotate(struct device *dev, struct view d[3], struct view saved, size_t at, struct view pos,
		     const struct attn_in_grads *grads, const struct attn_in_params *p)
{
	const struct view norm[2] = {p->q_norm, p->k_norm};
	const struct view dnorm[2] = {grads ? grads->q_norm : view_none(), grads ? grads->k_norm : view_none()};
	for (int i = 0; i < 2; i++) {
		dev->k->rope(dev, d[i], pos, &p->rope, p->dims.head_dim, true);
		if (qk_norm(p))
			norm_heads_backward(dev, d[i], dnorm[i], ref_carve(saved, &at, d[i].rows, d[i].cols), norm[i],
					    p->eps, p->dims.head_dim);
	}
}

/* dh = gradient of the normed rows; gradients of weights and adapters. */
static void project_backward(struct device *dev, struct view dh, struct view d[3], struct view h, struct view saved,
			     size_t at, const struct attn_in_grads *grads, const struct attn_in_params *p)
{
	for (int i = 0; i < 3; i++) {
		if (view_present(dh))
			dev->k->linear_dx(dev, dh, d[i], p->wqkv, i, i > 0);
		if (grads)
			dev->k->linear_dw(dev, grads->w[i], grads->bias[i], d[i], h);
	}
	for (int i = 0; i < 3; i++)
		adapt_backward(dev, dh, d[i], h, saved, &at, p->lora[i], p->drop);
}

static size_t adapters_bytes(const struct lora *const lora[], int n, int64_t rows)
{
	size_t bytes = 0;
	for (int i = 0; i < n; i++)
		bytes += lora[i] ? ref_bytes(rows * lora[i]->a.rows) : 0;
	return bytes;
}

static void ref_attn_in_backward(struct device *dev, struct view dx, const struct attn_in_grads *grads, struct view dq,
				 struct view dk, struct view dv, struct view saved, struct view pos,
				 const struct attn_in_params *p, bool want_dx)
{
	if (!check_attn_in_backward(dev, dx, dq, dk, dv, saved, pos, p))
		return;
	size_t used = dev->scratch_used, at = 0;
	bool norm = grads && view_present(grads->norm_w), below = want_dx || norm;
	struct view x = ref_carve(saved, &at, dx.rows, dx.cols), d[3] = {dq, dk, dv};
	struct view h = ref_scratch(dev, "attn_in_backward", dx.rows, dx.cols);
	struct view dh = below ? ref_scratch(dev, "attn_in_backward", dx.rows, dx.cols) : view_none();
	if (dev->failure[0])
		return;
	dev->k->rmsnorm(dev, h, x, p->norm_w, p->eps);
	unrotate(dev, d, saved, at + adapters_bytes(p->lora, 3, dx.rows), pos, grads, p);
	project_backward(dev, dh, d, h, saved, at, grads, p);
	if (below)
		dev->k->rmsnorm_backward(dev, want_dx ? dx : view_none(), norm ? grads->norm_w : view_none(), dh, x,
					 p->norm_w, p->eps);
	dev->scratch_used = used;
}

/* x += y */
static void add(struct view x, struct view y)
{
	for (int64_t t = 0; t < x.rows; t++)
		for (int64_t j = 0; j < x.cols; j++)
			ref_put(x, t, j, ref_get(x, t, j) + ref_get(y, t, j));
}

static void ref_attn_out(struct device *dev, struct view x, struct view saved, struct view o,
			 const struct attn_out_params *p)
{
	if (!check_attn_out(dev, x, saved, o, p))
		return;
	size_t used = dev->scratch_used, at = 0;
	struct view y = ref_scratch(dev, "attn_out", x.rows, x.cols);
	if (!view_present(y))
		return;
	dev->k->linear(dev, y, o, p->wo, 0, p->bias, false);
	adapt(dev, "attn_out", y, saved, &at, o, p->lora, p->drop);
	if (!dev->failure[0])
		add(x, y);
	dev->scratch_used = used;
}

static void ref_attn_out_backward(struct device *dev, struct view d_o, const struct attn_out_grads *grads,
				  struct view dx, struct view saved, struct view o, const struct attn_out_params *p,
				  bool want_do)
{
	if (!check_attn_out_backward(dev, d_o, dx, saved, o, p, want_do))
		return;
	size_t at = 0;
	if (want_do)
		dev->k->linear_dx(dev, d_o, dx, p->wo, 0, false);
	if (grads)
		dev->k->linear_dw(dev, grads->w, grads->bias, dx, o);
	adapt_backward(dev, want_do ? d_o : view_none(), dx, o, saved, &at, p->lora, p->drop);
}

static void ref_mlp(struct device *dev, struct view x, struct view saved, const struct mlp_params *p)
{
	if (!check_mlp(dev, x, saved, p))
		return;
	size_t used = dev->scratch_used, at = 0;
	int64_t ffn = p->wgu->w[0].rows;
	bool keep = view_present(saved);
	struct view h = ref_scratch(dev, "mlp", x.rows, x.cols), a = ref_scratch(dev, "mlp", x.rows, ffn);
	if (keep)
		dev->k->copy(dev, ref_carve(saved, &at, x.rows, x.cols), x);
	struct view g = keep ? ref_carve(saved, &at, x.rows, ffn) : ref_scratch(dev, "mlp", x.rows, ffn);
	struct view u = keep ? ref_carve(saved, &at, x.rows, ffn) : ref_scratch(dev, "mlp", x.rows, ffn);
	if (dev->failure[0])
		return;
	dev->k->rmsnorm(dev, h, x, p->norm_w, p->eps);
	dev->k->linear(dev, g, h, p->wgu, 0, view_none(), false);
	adapt(dev, "mlp", g, saved, &at, h, p->lora[0], p->drop);
	dev->k->linear(dev, u, h, p->wgu, 1, view_none(), false);
	adapt(dev, "mlp", u, saved, &at, h, p->lora[1], p->drop);
	dev->k->swiglu(dev, a, g, u);
	dev->k->linear(dev, h, a, p->wdown, 0, view_none(), false);
	adapt(dev, "mlp", h, saved, &at, a, p->lora[2], p->drop);
	if (!dev->failure[0])
		add(x, h);
	dev->scratch_used = used;
}

/* What the steps of the MLP's backward share. */
struct mlp_backward {
	struct view x, g, u;       /* saved */
	struct view xa;            /* saved, from `at` on */
	size_t at[3];              /* where the low-rank parts of gate, up, down begin */
	struct view h, a, da, dh;  /* scratch */
};

/* da = gradient of the activated rows; gradients of down and its adapter. */
static void down_backward(struct device *dev, struct mlp_backward *b, struct view dy, const struct mlp_grads *grads,
			  const struct mlp_params *p)
{
	dev->k->swiglu(dev, b->a, b->g, b->u);
	dev->k->linear_dx(dev, b->da, dy, p->wdown, 0, false);
	if (grads)
		dev->k->linear_dw(dev, grads->down, view_none(), dy, b->a);
	adapt_backward(dev, b->da, dy, b->a, b->xa, &b->at[2], p->lora[2], p->drop);
}

/* From da to dh through gate and up. */
static void up_backward(struct device *dev, struct mlp_backward *b, bool below, const struct mlp_grads *grads,
			const struct mlp_params *p)
{
	struct view dg = b->a, du = b->da, dh = below ? b->dh : view_none();
	dev->k->swiglu_backward(dev, dg, du, b->da, b->g, b->u);
	dev->k->rmsnorm(dev, b->h, b->x, p->norm_w, p->eps);
	if (grads) {
		dev->k->linear_dw(dev, grads->gate, view_none(), dg, b->h);
		dev->k->linear_dw(dev, grads->up, view_none(), du, b->h);
	}
	if (below) {
		dev->k->linear_dx(dev, dh, dg, p->wgu, 0, false);
		dev->k->linear_dx(dev, dh, du, p->wgu, 1, true);
	}
	adapt_backward(dev, dh, dg, b->h, b->xa, &b->at[0], p->lora[0], p->drop);
	adapt_backward(dev, dh, du, b->h, b->xa, &b->at[1], p->lora[1], p->drop);
}

static struct mlp_backward mlp_views(struct device *dev, struct view dx, struct view saved, const struct mlp_params *p)
{
	int64_t rows = dx.rows, ffn = p->wgu->w[0].rows;
	size_t at = 0;
	struct mlp_backward b = {.x = ref_carve(saved, &at, rows, dx.cols), .g = ref_carve(saved, &at, rows, ffn),
				 .u = ref_carve(saved, &at, rows, ffn), .xa = saved};
	for (int i = 0; i < 3; i++) {
		b.at[i] = at;
		at += adapters_bytes(&p->lora[i], 1, rows);
	}
	b.h = ref_scratch(dev, "mlp_backward", rows, dx.cols);
	b.dh = ref_scratch(dev, "mlp_backward", rows, dx.cols);
	b.a = ref_scratch(dev, "mlp_backward", rows, ffn);
	b.da = ref_scratch(dev, "mlp_backward", rows, ffn);
	return b;
}

static void ref_mlp_backward(struct device *dev, struct view dx, const struct mlp_grads *grads, struct view saved,
			     const struct mlp_params *p, bool want_dx)
{
	if (!check_mlp_backward(dev, dx, saved, p))
		return;
	size_t used = dev->scratch_used;
	bool norm = grads && view_present(grads->norm_w), below = want_dx || norm;
	struct mlp_backward b = mlp_views(dev, dx, saved, p);
	if (dev->failure[0])
		return;
	down_backward(dev, &b, dx, grads, p);
	up_backward(dev, &b, below, grads, p);
	if (below)
		dev->k->rmsnorm_backward(dev, want_dx ? dx : view_none(), norm ? grads->norm_w : view_none(), b.dh,
					 b.x, p->norm_w, p->eps);
	dev->scratch_used = used;
}

void ref_table_layer(struct kernels *table)
{
	table->attn_in = ref_attn_in;
	table->attn_in_backward = ref_attn_in_backward;
	table->attn_out = ref_attn_out;
	table->attn_out_backward = ref_attn_out_backward;
	table->mlp = ref_mlp;
	table->mlp_backward = ref_mlp_backward;
}
