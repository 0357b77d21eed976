// SPDX-License-Identifier: Apache-2.0
/*
 * parameters.h - what is trained: named tensors on a device, their gradients,
 * and the two moving averages of AdamW.
 *
 *     struct parameters params;
 *     parameters_init(&params, dev);
 *     parameters_add(&params, &(struct parameter){.name = "…lora_A.weight", .p = a, .decay = true}, &err);
 *     …
 *     parameters_make(&params, &err);            // now list[i].g, .m and .v are there, all 0
 *     parameters_zero(&params);                  // gradients, before the first micro-batch of a step
 *     …                                          // pass.h adds to list[i].g
 *     parameters_step(&params, &rule, step, lr, &norm, &err);
 *     parameters_release(&params);
 *
 * The tensors themselves belong to whoever added them (adapter.h, full.h) and
 * outlive the list. Gradients and averages are rows of three arrays.
 */
#ifndef BALDISTILL_MODEL_PARAMETERS_H
#define BALDISTILL_MODEL_PARAMETERS_H

#include "reference/kernel.h"
#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PARAMETER_NAME = 160 };

struct parameter {
	char name[PARAMETER_NAME]; /* in files: PEFT's for an adapter, the checkpoint's own in full fine-tuning */
	struct view p;             /* f32 */
	struct view shadow;        /* the same numbers in a lower precision; may be absent */
	struct view g, m, v;       /* as p; set by parameters_make */
	bool vector;               /* [1, n] here, [n] in files */
	bool decay;                /* false for norms and biases */
	struct weight *group;      /* refreshed after an update; NULL: none */
};

struct parameters {
	struct device *dev;
	struct parameter *list;
	size_t n, room;
	int64_t total;             /* numbers in all tensors */
	struct buffer *buffer[5];  /* g, m, v, norm, hyper */
	struct view g, m, v;       /* f32 [1, total] */
	struct adamw_item *items;  /* [n] */
};

/* AdamW and clipping, as torch.optim.AdamW and clip_grad_norm_. */
struct adamw_rule {
	double beta1, beta2, eps, weight_decay;
	double max_grad_norm; /* 0: no clipping */
};

void parameters_init(struct parameters *params, struct device *dev);
void parameters_release(struct parameters *params);

/* Copies *parameter; ERR_MEMORY. */
int parameters_add(struct parameters *params, const struct parameter *parameter, struct err *err);

/* Arrays for all that was added; ERR_MEMORY. */
int parameters_make(struct parameters *params, struct err *err);

/* Bytes that parameters_make takes for so many numbers. */
uint64_t parameters_bytes(uint64_t total);

void parameters_zero(struct parameters *params);

/* Values were changed from outside: shadows and prepared groups follow. */
void parameters_refresh(struct parameters *params);

/*
 * One update, `step` from 1; *norm is the gradients' norm before clipping. -1
 * with ERR_NOTFINITE, and every tensor unchanged, where that norm is not finite.
 */
int parameters_step(struct parameters *params, const struct adamw_rule *rule, int64_t step, double lr, double *norm,
		    struct err *err);

/*
 * Files (safetensors.h, whose failures these have). Values and gradients are
 * tensors under their names; the averages are two flat tensors, "m" and "v".
 * Loading asks for exactly the tensors of the list, in their shapes.
 */
enum parameter_file { PARAMETER_VALUES, PARAMETER_GRADIENTS, PARAMETER_MOMENTS };

int parameters_save(const struct parameters *params, enum parameter_file what, const char *path, struct err *err);
int parameters_load(struct parameters *params, enum parameter_file what, const char *path, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
