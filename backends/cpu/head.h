// SPDX-License-Identifier: Apache-2.0
/* head.h - private to head.c, head_weights.c, logits.c and sample.c. */
#ifndef BALDISTILL_BACKENDS_CPU_HEAD_H
#define BALDISTILL_BACKENDS_CPU_HEAD_H

#include <math.h>

#include "backends/cpu/product.h"
#include "backends/cpu/vec_head.h"

/* logits.c: the vector code at the device's CPU level; v absent or f32, a failure kept otherwise. */
const struct vec_head *vec_head_of(const struct device *dev);
bool head_f32(struct device *dev, const char *op, struct view v);

enum {
	HEAD_ROWS = 512,  /* at one time */
	HEAD_VOCAB = 2048 /* ids of a block of logits */
};

/* Softmax of one row so far. */
struct head_row {
	double sum; /* of e^(z - max) */
	float max, target;
};

/* One call; arrays hold the rows at hand. */
struct head {
	const struct device *dev;
	const struct vec_head *vec;
	struct view x, w, logp, dx, target, weight;
	const struct weight *from; /* of w */
	const float *norm_w;
	float eps;
	bool gradient;
	int64_t base;               /* the call's row that is row 0 here */
	struct head_row *rows;      /* [HEAD_ROWS] */
	float *h, *acc;             /* [HEAD_ROWS, C]; acc ends as the gradient of h, absent without */
	float *z;                   /* [HEAD_ROWS, HEAD_VOCAB] */
	int64_t v, n;               /* the ids of z: v … v + n - 1 */
	struct lanes panels, spare; /* of the products; [C] */
};

static inline int32_t target_of(const struct head *head, int64_t row)
{
	return ((const int32_t *)view_row(head->target, 0))[head->base + row];
}

static inline float *z_row(const struct head *head, int64_t row)
{
	return head->z + row * HEAD_VOCAB;
}

static inline double lse_of(const struct head_row *row)
{
	return (double)row->max + log(row->sum);
}

/* head.c: z = h W^T of the rows [first, first + count) and the ids at hand; lane as in team.h */
void head_logits(const struct head *head, int64_t first, int64_t count, int lane);

/* head_weights.c: gradients of the weights, from `count` rows whose softmax is done; absent ones are left out. */
void head_weights(struct head *head, int64_t count, const struct head_grads *grads);

/* logits.c, sample.c */
void cpu_logits(struct device *dev, struct view y, struct view x, const struct head_params *params);
size_t cpu_logits_scratch(const struct device *dev, const struct shape *shape);
void cpu_sample(struct device *dev, struct view id, struct view logp, struct view logits,
		const struct sample_rule *rule, const struct sample_rng *rng);
size_t cpu_sample_scratch(const struct device *dev, const struct shape *shape);

#endif
