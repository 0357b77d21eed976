// SPDX-License-Identifier: Apache-2.0
/* The loss head's gradients for full fine-tuning. dW needs every logit once more, after all of its row are known. */
#include "backends/cpu/head.h"

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
	for (head->v = 0; head->v < head->w.rows; head->v += HEAD_VOCAB) {
		head->n = at_most(HEAD_VOCAB, head->w.rows - head->v);
		head_logits(head, 0, count, TEAM);
		team_phase(head->dev, 0, count, TEAM, head->n, dz_rows, head);
		product_dw(head->dev, view_rows(dw, head->v, head->n), view_none(), head->z, HEAD_VOCAB, head->h,
			   head->x.cols, count);
	}
}

static void add_dnorm(const struct head *head, int64_t count, struct view dnorm)
{
	for (int64_t row = 0; row < count; row++)
		cpu_of(head->dev)->vec->rmsnorm_backward(NULL, row_f32(dnorm, 0), head->acc + row * head->x.cols,
							 row_f32(head->x, head->base + row), head->norm_w, head->eps,
							 head->x.cols);
}

void head_weights(struct head *head, int64_t count, const struct head_grads *grads)
{
	if (view_present(grads->w))
		add_dw(head, count, grads->w);
	if (view_present(grads->norm_w))
		add_dnorm(head, count, grads->norm_w);
}
