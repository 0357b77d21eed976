// SPDX-License-Identifier: Apache-2.0
/*
 * From the last residual to log-probabilities and gradients. Logits exist for
 * a block of rows and VOCAB ids at a time. As in flash attention the sum of
 * e^(z - max) and, for the gradient, that of e^(z - max) W[v] go on from block
 * to block, multiplied by e^(old max - max) where the maximum rises:
 *
 *     h = rmsnorm(x), z = h W^T, logp = z[target] - max - log(sum)
 *     dh = weight (acc / sum - W[target]), acc = sum over v of e^(z_v - max) W[v]
 *
 * so that a gradient costs one product more, not two.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "backends/openblas/head.h"

#include <math.h>
#include <string.h>

#include "backends/openblas/product.h"
#include "reference/check.h"

extern const struct vec_head vec_head_base;
#if HAVE_VEC_AVX2
extern const struct vec_head vec_head_avx2;
#endif
#if HAVE_VEC_AVX512
extern const struct vec_head vec_head_avx512;
#endif

static const struct vec_head *const levels[VEC_LEVEL_COUNT] = {
	[VEC_LEVEL_BASE] = &vec_head_base,
#if HAVE_VEC_AVX2
	[VEC_LEVEL_AVX2] = &vec_head_avx2,
#endif
#if HAVE_VEC_AVX512
	[VEC_LEVEL_AVX512] = &vec_head_avx512,
#endif
};

const struct vec_head *vec_head_of(const struct device *dev)
{
	return levels[openblas_of(dev)->vec->level];
}

enum {
	ROWS = 512,  /* at one time */
	VOCAB = 1024 /* ids of a block of logits */
};

/* Softmax of one row so far. */
struct row {
	double sum; /* of e^(z - max) */
	float max, target;
};

/* One call; arrays hold the rows at hand. */
struct head {
	const struct device *dev;
	const struct vec_head *vec;
	struct view x, w, logp, dx, target, weight;
	const float *norm_w;
	float eps;
	bool gradient;
	int64_t base;     /* the call's row that is row 0 here */
	struct row *rows; /* [ROWS] */
	float *h, *acc;   /* [ROWS, C]; acc ends as the gradient of h, absent without */
	float *z;         /* [ROWS, VOCAB] */
	int64_t v, n;     /* the ids of z: v … v + n - 1 */
	struct lanes panels, spare; /* of the products; [C] */
};

static int32_t target_of(const struct head *head, int64_t row)
{
	return ((const int32_t *)view_row(head->target, 0))[head->base + row];
}

static float *z_row(const struct head *head, int64_t row)
{
	return head->z + row * VOCAB;
}

static void begin_rows(void *work, int64_t first, int64_t count, int lane)
{
	const struct head *head = work;
	const struct vec *vec = openblas_of(head->dev)->vec;
	int64_t hidden = head->x.cols;

	(void)lane;
	for (int64_t row = first; row < first + count; row++) {
		vec->rmsnorm(head->h + row * hidden, row_f32(head->x, head->base + row), head->norm_w, head->eps, hidden);
		head->rows[row] = (struct row){.max = -INFINITY};
		if (head->gradient)
			memset(head->acc + row * hidden, 0, (size_t)hidden * sizeof *head->acc);
	}
}

static void take_block(const struct head *head, int64_t row)
{
	struct row *r = head->rows + row;
	float *z = z_row(head, row), max = head->vec->max(z, head->n);
	int64_t target = target_of(head, row) - head->v;

	if (target >= 0 && target < head->n)
		r->target = z[target];
	if (max > r->max) {
		float shrink = expf(r->max - max);

		r->max = max;
		r->sum *= (double)shrink;
		if (head->gradient)
			openblas_of(head->dev)->vec->scale(head->acc + row * head->x.cols, shrink, head->x.cols);
	}
	r->sum += head->vec->exp_in_place(z, head->n, r->max);
}

static void softmax_rows(void *work, int64_t first, int64_t count, int lane)
{
	(void)lane;
	for (int64_t row = first; row < first + count; row++)
		take_block(work, row);
}

static double lse_of(const struct row *row)
{
	return (double)row->max + log(row->sum);
}

/* acc becomes the gradient of h, and dx that of x */
static void gradient_row(const struct head *head, int64_t row, float *spare)
{
	const struct vec *vec = openblas_of(head->dev)->vec;
	int64_t hidden = head->x.cols, at = head->base + row;
	int32_t target = target_of(head, row);
	float *dh = head->acc + row * hidden, weight = ((const float *)view_row(head->weight, 0))[at];

	if (target < 0) {
		memset(dh, 0, (size_t)hidden * sizeof *dh);
	} else {
		vec->expand(spare, view_row(head->w, target), head->w.dtype, hidden);
		vec->scale(dh, (float)((double)weight / head->rows[row].sum), hidden);
		vec->axpy(dh, -weight, spare, hidden);
	}
	if (view_present(head->dx)) {
		memset(row_f32(head->dx, at), 0, (size_t)hidden * sizeof *dh);
		vec->rmsnorm_backward(row_f32(head->dx, at), NULL, dh, row_f32(head->x, at), head->norm_w, head->eps,
				      hidden);
	}
}

static void end_rows(void *work, int64_t first, int64_t count, int lane)
{
	const struct head *head = work;
	float *logp = row_f32(head->logp, 0) + head->base;

	for (int64_t row = first; row < first + count; row++) {
		const struct row *r = head->rows + row;

		logp[row] = target_of(head, row) < 0 ? 0.0f : (float)((double)r->target - lse_of(r));
		if (head->gradient)
			gradient_row(head, row, lane_of(&head->spare, lane));
	}
}

/* z = h W^T of the rows [first, first + count) and the block's ids */
static void logits_block(const struct head *head, int64_t first, int64_t count, int lane)
{
	struct product product = {z_row(head, first), VOCAB, head->h + first * head->x.cols, head->x.cols,
				  view_rows(head->w, head->v, head->n), false};

	product_nt(head->dev, &product, 1, count, lane, &head->panels);
}

static void gradient_block(const struct head *head, int64_t first, int64_t count, int lane)
{
	struct product product = {head->acc + first * head->x.cols, head->x.cols, z_row(head, first), VOCAB,
				  view_rows(head->w, head->v, head->n), true};

	product_nn(head->dev, &product, 1, count, lane, &head->panels);
}

static void loss_rows(void *work, int64_t first, int64_t count, int lane)
{
	struct head head = *(const struct head *)work; /* v and n are this lane's */

	team_phase(head.dev, first, count, lane, head.x.cols, begin_rows, &head);
	for (head.v = 0; head.v < head.w.rows; head.v += VOCAB) {
		head.n = at_most(VOCAB, head.w.rows - head.v);
		logits_block(&head, first, count, lane);
		team_phase(head.dev, first, count, lane, head.n, softmax_rows, &head);
		if (head.gradient)
			gradient_block(&head, first, count, lane);
	}
	team_phase(head.dev, first, count, lane, head.x.cols, end_rows, &head);
}

/* ---- gradients of the weights -------------------------------------------------- */

/* z becomes dz = weight (e^(z - lse) - [v = target]) */
static void dz_rows(void *work, int64_t first, int64_t count, int lane)
{
	const struct head *head = work;

	(void)lane;
	for (int64_t row = first; row < first + count; row++) {
		int64_t target = target_of(head, row), at = target - head->v;
		float weight = target < 0 ? 0.0f : ((const float *)view_row(head->weight, 0))[head->base + row];
		float *z = z_row(head, row);

		head->vec->softmax(z, head->n, (float)lse_of(head->rows + row), weight);
		if (at >= 0 && at < head->n)
			z[at] -= weight;
	}
}

/* dw += dz^T h, the logits computed again */
static void add_dw(struct head *head, int64_t count, struct view dw)
{
	for (head->v = 0; head->v < head->w.rows; head->v += VOCAB) {
		head->n = at_most(VOCAB, head->w.rows - head->v);
		logits_block(head, 0, count, TEAM);
		team_phase(head->dev, 0, count, TEAM, head->n, dz_rows, head);
		product_dw(head->dev, view_rows(dw, head->v, head->n), view_none(), head->z, VOCAB, head->h,
			   head->x.cols, count);
	}
}

static void add_dnorm(const struct head *head, int64_t count, struct view dnorm)
{
	for (int64_t row = 0; row < count; row++)
		openblas_of(head->dev)->vec->rmsnorm_backward(NULL, row_f32(dnorm, 0), head->acc + row * head->x.cols,
							      row_f32(head->x, head->base + row), head->norm_w,
							      head->eps, head->x.cols);
}

/* ---- entries --------------------------------------------------------------------- */

static int64_t rows_at_once(int64_t rows)
{
	int64_t parts = at_least((rows + ROWS - 1) / ROWS, 1);

	return round_up_to((rows + parts - 1) / parts, 8);
}

static bool head_begin(struct head *head, struct device *dev, const struct head_params *params)
{
	static const char op[] = "head_loss";
	int64_t hidden = head->x.cols, rows = rows_at_once(head->x.rows);

	head->dev = dev;
	head->vec = vec_head_of(dev);
	head->w = params->w->w[0];
	head->eps = params->eps;
	head->norm_w = expanded(dev, op, params->norm_w);
	head->rows = device_scratch(dev, op, (size_t)rows * sizeof *head->rows);
	head->h = device_scratch(dev, op, (size_t)(rows * hidden) * sizeof *head->h);
	head->acc = head->gradient ? device_scratch(dev, op, (size_t)(rows * hidden) * sizeof *head->acc) : NULL;
	head->z = device_scratch(dev, op, (size_t)(rows * VOCAB) * sizeof *head->z);
	head->panels = lanes_take(dev, op, dev->threads, PANEL);
	head->spare = lanes_take(dev, op, dev->threads, hidden);
	return !dev->failure[0];
}

static void run(struct head *head, const struct head_grads *grads)
{
	int64_t rows = head->x.rows, step = rows_at_once(rows);

	for (head->base = 0; head->base < rows; head->base += step) {
		int64_t count = at_most(step, rows - head->base);

		team_blocks(head->dev, count, team_plan(head->dev, count, false), loss_rows, head);
		if (grads && view_present(grads->w))
			add_dw(head, count, grads->w);
		if (grads && view_present(grads->norm_w))
			add_dnorm(head, count, grads->norm_w);
	}
}

static bool f32(struct device *dev, const char *op, struct view v)
{
	if (view_present(v) && v.dtype != DTYPE_F32)
		device_fail(dev, op, "rows are %s, expected f32", dtype_name(v.dtype));
	return !dev->failure[0];
}

static void head_loss(struct device *dev, struct view logp, struct view dx, const struct head_grads *grads,
		      struct view x, const struct head_params *params, struct view target, struct view weight)
{
	struct head head = {.x = x, .logp = logp, .dx = dx, .target = target, .weight = weight,
			    .gradient = view_present(dx) || (grads && view_present(grads->norm_w))};
	size_t used = dev->scratch_used;

	if (!check_head_loss(dev, logp, dx, grads, x, params, target, weight) || !f32(dev, "head_loss", x) ||
	    !f32(dev, "head_loss", dx))
		return;
	if (head_begin(&head, dev, params))
		run(&head, grads);
	dev->scratch_used = used;
}

static void logits(struct device *dev, struct view y, struct view x, const struct head_params *params)
{
	static const char op[] = "logits";
	struct head head = {.dev = dev, .x = x, .eps = params->eps};
	size_t used = dev->scratch_used;

	if (!check_logits(dev, y, x, params) || !f32(dev, op, x) || !f32(dev, op, y))
		return;
	head.norm_w = expanded(dev, op, params->norm_w);
	head.rows = device_scratch(dev, op, (size_t)x.rows * sizeof *head.rows);
	head.h = device_scratch(dev, op, (size_t)(x.rows * x.cols) * sizeof *head.h);
	head.panels = lanes_take(dev, op, dev->threads, PANEL);
	if (!dev->failure[0]) {
		struct product product = {row_f32(y, 0), y.ld, head.h, x.cols, params->w->w[0], false};

		blas_threads(dev->threads);
		team_rows(dev, x.rows, x.cols, begin_rows, &head);
		product_nt(dev, &product, 1, x.rows, TEAM, &head.panels);
	}
	dev->scratch_used = used;
}

void openblas_override_head(struct kernels *table)
{
	table->head_loss = head_loss;
	table->logits = logits;
	table->sample = openblas_sample;
}

static size_t rows_bytes(const struct device *dev, int64_t rows, int64_t cols)
{
	return (size_t)rows * (sizeof(struct row) + (size_t)cols * sizeof(float)) + lanes_bytes(dev->threads, PANEL) +
	       lanes_bytes(dev->threads + 1, cols) + 8 * 64;
}

size_t openblas_head_scratch(const struct device *dev, enum op op, const struct shape *shape)
{
	int64_t hidden = shape->hidden;

	if (op == OP_head_loss)
		return rows_bytes(dev, rows_at_once(shape->rows), 2 * hidden + VOCAB);
	if (op == OP_logits)
		return rows_bytes(dev, shape->rows, hidden);
	return op == OP_sample ? openblas_sample_scratch(dev, shape) : 0;
}
