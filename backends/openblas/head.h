// SPDX-License-Identifier: Apache-2.0
/* head.h - private to head.c and sample.c. */
#ifndef BALDISTILL_BACKENDS_OPENBLAS_HEAD_H
#define BALDISTILL_BACKENDS_OPENBLAS_HEAD_H

#include "backends/openblas/openblas.h"
#include "backends/openblas/vec_head.h"

/* The head's vector code at the device's CPU level. */
const struct vec_head *vec_head_of(const struct device *dev);

/* sample.c */
void openblas_sample(struct device *dev, struct view id, struct view logp, struct view logits,
		     const struct sample_rule *rule, const struct sample_rng *rng);
size_t openblas_sample_scratch(const struct device *dev, const struct shape *shape);

#endif
