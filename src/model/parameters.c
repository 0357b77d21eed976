// SPDX-License-Identifier: Apache-2.0
#include "src/model/parameters.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/mem.h"
#include "src/model/model.h"

enum { G, M, V, NORM, HYPER, ARRAYS };

void parameters_init(struct parameters *params, struct device *dev)
{
	*params = (struct parameters){.dev = dev};
}

void parameters_release(struct parameters *params)
{
	for (int i = 0; i < ARRAYS; i++)
		if (params->buffer[i])
			params->dev->k->free(params->dev, params->buffer[i]);
	free(params->list);
	free(params->items);
	*params = (struct parameters){0};
}

int parameters_add(struct parameters *params, const struct parameter *parameter, struct err *err)
{
	if (mem_grow(&params->list, &params->room, params->n + 1, sizeof *params->list, err))
		return -1;
	params->list[params->n++] = *parameter;
	params->total += parameter->p.rows * parameter->p.cols;
	return 0;
}

/* The part of a flat array that begins at `at`, in the shape of p. */
static struct view part(struct view flat, int64_t at, struct view p)
{
	flat.offset += at;
	flat.rows = p.rows;
	flat.cols = flat.ld = p.cols;
	return flat;
}

static void place(struct parameters *params)
{
	int64_t at = 0;
	for (size_t i = 0; i < params->n; i++) {
		struct parameter *x = &params->list[i];
		x->g = part(params->g, at, x->p);
		x->m = part(params->m, at, x->p);
		x->v = part(params->v, at, x->p);
		params->items[i] = (struct adamw_item){x->p, x->g, x->m, x->v, x->shadow, x->decay};
		at += x->p.rows * x->p.cols;
	}
}

uint64_t parameters_bytes(uint64_t total)
{
	return 3 * total * sizeof(float);
}

int parameters_make(struct parameters *params, struct err *err)
{
	size_t n = (size_t)params->total * sizeof(float);
	const size_t bytes[ARRAYS] = {n, n, n, sizeof(float), ADAMW_HYPER * sizeof(float)};
	params->items = mem_array(params->n, sizeof *params->items, err);
	if (!params->items)
		return -1;
	for (int i = 0; i < ARRAYS; i++) {
		params->buffer[i] = params->dev->k->alloc(params->dev, bytes[i]);
		if (!params->buffer[i])
			return device_finish(params->dev, ERR_MEMORY, err);
	}
	params->g = view_of(params->buffer[G], 1, params->total, DTYPE_F32);
	params->m = view_of(params->buffer[M], 1, params->total, DTYPE_F32);
	params->v = view_of(params->buffer[V], 1, params->total, DTYPE_F32);
	place(params);
	return 0;
}

void parameters_zero(struct parameters *params)
{
	params->dev->k->fill(params->dev, params->g, 0);
}

static void refresh_groups(struct parameters *params)
{
	for (size_t i = 0; i < params->n; i++)
		if (params->list[i].group && (!i || params->list[i].group != params->list[i - 1].group))
			params->dev->k->refresh(params->dev, params->list[i].group);
}

void parameters_refresh(struct parameters *params)
{
	for (size_t i = 0; i < params->n; i++)
		if (view_present(params->list[i].shadow))
			params->dev->k->copy(params->dev, params->list[i].shadow, params->list[i].p);
	refresh_groups(params);
}

static void put_hyper(struct parameters *params, struct view hyper, const struct adamw_rule *r, int64_t step, double lr)
{
	const float values[ADAMW_HYPER] = {
		[ADAMW_LR] = (float)lr, [ADAMW_BETA1] = (float)r->beta1, [ADAMW_BETA2] = (float)r->beta2,
		[ADAMW_EPS] = (float)r->eps, [ADAMW_DECAY] = (float)r->weight_decay,
		[ADAMW_CORRECTION1] = (float)(1 - pow(r->beta1, (double)step)),
		[ADAMW_CORRECTION2] = (float)(1 - pow(r->beta2, (double)step)),
		[ADAMW_MAX_NORM] = (float)r->max_grad_norm,
	};
	params->dev->k->upload(params->dev, hyper, values);
}

int parameters_step(struct parameters *params, const struct adamw_rule *rule, int64_t step, double lr, double *norm,
		    struct err *err)
{
	struct device *dev = params->dev;
	struct view norm2 = view_of(params->buffer[NORM], 1, 1, DTYPE_F32);
	struct view hyper = view_of(params->buffer[HYPER], 1, ADAMW_HYPER, DTYPE_F32);
	float sum = 0;
	dev->k->norm2(dev, norm2, &params->g, 1);
	dev->k->download(dev, &sum, norm2);
	if (device_finish(dev, ERR_MEMORY, err))
		return -1;
	*norm = sqrt((double)sum);
	if (!isfinite(sum))
		return err_set(err, ERR_NOTFINITE, "step %lld: the gradient's norm is %s", (long long)step,
			       isnan(sum) ? "not a number" : "infinite");
	put_hyper(params, hyper, rule, step, lr);
	dev->k->adamw(dev, params->items, (int)params->n, hyper, norm2);
	refresh_groups(params);
	return device_finish(dev, ERR_MEMORY, err);
}
