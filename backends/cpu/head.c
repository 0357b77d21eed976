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
#include "backends/cpu/head.h"

#include <string.h>

#include "reference/check.h"

static void begin_rows(void *work, int64_t first, int64_t count, int lane)
{
	const struct head *head = work;
	const struct vec *vec = cpu_of(head->dev)->vec;
	int64_t hidden = head->x.cols;

	(void)lane;
	for (int64_t row = first; row < first + count; row++) {
		vec->rmsnorm(head->h + row * hidden, row_f32(head->x, head->base + row), head->norm_w, head->eps,
			     hidden);
		head->rows[row] = (struct head_row){.max = -INFINITY};
		if (head->gradient)
			memset(head->acc + row * hidden, 0, (size_t)hidden * sizeof *head->acc);
	}
}

static void take_block(const struct head *head, int64_t row)
{
	struct head_row *r = head->rows + row;
	float *z = z_row(head, row), max = head->vec->max(z, head->n);
	int64_t target = target_of(head, row) - head->v;

	if (target >= 0 && target < head->n)
		r->target = z[target];
	if (max > r->max) {
		float shrink = expf(r->max - max);

		r->max = max;
		r->sum *= (double)shrink;
		if (head->gradient)
			cpu_of(head->dev)->vec->scale(head->acc + row * head->x.cols, shrink, head->x.cols);
	}
	r->sum += head->vec->exp_in_place(z, head->n, r->max);
}

static void softmax_rows(void *work, int64_t first, int64_t count, int lane)
{
	(void)lane;
	for (int64_t row = first; row < first + count; row++)
		take_block(work, row);
}

/* acc becomes the gradient of h, and dx that of x */
static void gradient_row(const struct head *head, int64_t row, float *spare)
{
	const struct vec *vec = cpu_of(head->dev)->vec;
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
		const struct head_row *r = head->rows + row;

		logp[row] = target_of(head, row) < 0 ? 0.0f : (float)((double)r->target - lse_of(r));
		if (head->gradient)
			gradient_row(head, row, lane_of(&head->spare, lane));
	}
}

void head_logits(const struct head *head, int64_t first, int64_t count, int lane)
{
	struct product product = {z_row(head, first),
				  HEAD_VOCAB,
				  head->h + first * head->x.cols,
				  head->x.cols,
				  view_rows(head->w, head->v, head->n),
				  false,
				  head->from,
				  0};

	product_nt(head->dev, &product, 1, count, lane, &head->panels);
}

static void gradient_block(const struct head *head, int64_t first, int64_t count, int lane)
{
	struct product product = {head->acc + first * head->x.cols,     head->x.cols, z_row(head, first), HEAD_VOCAB,
				  view_rows(head->w, head->v, head->n), true,         head->from,         0};

	product_nn(head->dev, &product, 1, count, lane, &head->panels);
}

static void loss_rows(void *work, int64_t first, int64_t count, int lane)
{
	struct head head = *(const struct head *)work; /* v and n are this lane's */

	team_phase(head.dev, first, count, lane, head.x.cols, begin_rows, &head);
	for (head.v = 0; head.v < head.w.rows; head.v += HEAD_VOCAB) {
		head.n = at_most(HEAD_VOCAB, head.w.rows - head.v);
		head_logits(&head, first, count, lane);
		team_phase(head.dev, first, count, lane, head.n, softmax_rows, &head);
		if (head.gradient)
			gradient_block(&head, first, count, lane);
	}
	team_phase(head.dev, first, count, lane, head.x.cols, end_rows, &head);
}

static int64_t rows_at_once(int64_t rows)
{
	int64_t parts = at_least((rows + HEAD_ROWS - 1) / HEAD_ROWS, 1);

	return round_up_to((rows + parts - 1) / parts, 8);
}

static bool head_begin(struct head *head, struct device *dev, const struct head_params *params)
{
	static const char op[] = "head_loss";
	int64_t hidden = head->x.cols, rows = rows_at_once(head->x.rows);

	head->dev = dev;
	head->vec = vec_head_of(dev);
	head->from = params->w;
	head->w = params->w->w[0];
	head->eps = params->eps;
	head->norm_w = expanded(dev, op, params->norm_w);
	head->rows = device_scratch(dev, op, (size_t)rows * sizeof *head->rows);
	head->h = device_scratch(dev, op, (size_t)(rows * hidden) * sizeof *head->h);
	head->acc = head->gradient ? device_scratch(dev, op, (size_t)(rows * hidden) * sizeof *head->acc) : NULL;
	head->z = device_scratch(dev, op, (size_t)(rows * HEAD_VOCAB) * sizeof *head->z);
	head->panels = lanes_take(dev, op, dev->threads, panel_of(dev));
	head->spare = lanes_take(dev, op, dev->threads, hidden);
	return !dev->failure[0];
}

static void run(struct head *head, const struct head_grads *grads)
{
	int64_t rows = head->x.rows, step = rows_at_once(rows);

	for (head->base = 0; head->base < rows; head->base += step) {
		int64_t count = at_most(step, rows - head->base);

		team_blocks(head->dev, count, team_plan(head->dev, count, false), loss_rows, head);
		if (grads)
			head_weights(head, count, grads);
	}
}

static void head_loss(struct device *dev, struct view logp, struct view dx, const struct head_grads *grads,
		      struct view x, const struct head_params *params, struct view target, struct view weight)
{
	struct head head = {.x = x,
			    .logp = logp,
			    .dx = dx,
			    .target = target,
			    .weight = weight,
			    .gradient = view_present(dx) || (grads && view_present(grads->norm_w))};
	size_t used = dev->scratch_used;

	if (!check_head_loss(dev, logp, dx, grads, x, params, target, weight) || !head_f32(dev, "head_loss", x) ||
	    !head_f32(dev, "head_loss", dx))
		return;
	if (head_begin(&head, dev, params))
		run(&head, grads);
	dev->scratch_used = used;
}

void cpu_override_head(struct kernels *table)
{
	table->head_loss = head_loss;
	table->logits = cpu_logits;
	table->sample = cpu_sample;
}

static size_t rows_bytes(const struct device *dev, int64_t rows, int64_t cols)
{
	return (size_t)rows * (sizeof(struct head_row) + (size_t)cols * sizeof(float)) +
	       lanes_bytes(dev->threads, panel_of(dev)) + lanes_bytes(dev->threads + 1, cols) + 8 * 64;
}

size_t cpu_head_scratch(const struct device *dev, enum op op, const struct shape *shape)
{
	int64_t hidden = shape->hidden;

	if (op == OP_head_loss)
		return rows_bytes(dev, rows_at_once(shape->rows), 2 * hidden + HEAD_VOCAB);
	if (op == OP_logits)
		return cpu_logits_scratch(dev, shape);
	return op == OP_sample ? cpu_sample_scratch(dev, shape) : 0;
}
