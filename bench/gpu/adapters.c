// SPDX-License-Identifier: Apache-2.0
/* adapters.c - LoRA of every layer as parts of four flat arrays: parameters, gradients and AdamW's two moments. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gpu/gpu_bench.h"
#include "src/base/mem.h"

static bool targeted(const struct stack *s, int module)
{
	return s->use == TRAINS && (!strcmp(s->o->targets, "all") || module == MODULE_Q || module == MODULE_V);
}

static void module_shape(const struct model *m, int module, int64_t *rows, int64_t *cols)
{
	const int64_t C = m->hidden, F = m->ffn, Q = model_query(m), K = model_key(m);
	const int64_t out[MODULES] = {Q, K, K, C, F, F, C}, in[MODULES] = {C, C, C, Q, C, C, F};
	*rows = out[module];
	*cols = in[module];
}

int64_t adapters_of_layer(const struct stack *s, int first, int last)
{
	int64_t n = 0, rows, cols;
	for (int module = first; module <= last; module++) {
		module_shape(s->m, module, &rows, &cols);
		n += targeted(s, module) ? s->o->rank * (rows + cols) : 0;
	}
	return n;
}

int64_t adapters_numbers(const struct stack *s)
{
	return s->m->layers * adapters_of_layer(s, 0, MODULES - 1);
}

static struct view part(struct view flat, int64_t at, int64_t rows, int64_t cols)
{
	flat.offset += at;
	flat.rows = rows;
	flat.cols = flat.ld = cols;
	return flat;
}

/* A matrix of an adapter, its gradient and its item; returns the numbers taken. */
static int64_t place_one(struct stack *s, struct view *p, struct view *g, int64_t at, int64_t rows, int64_t cols)
{
	*p = part(s->p, at, rows, cols);
	*g = part(s->g, at, rows, cols);
	s->items[s->n_items++] = (struct adamw_item){
		.p = *p, .g = *g, .m = part(s->m1, at, rows, cols), .v = part(s->m2, at, rows, cols), .decay = true};
	return rows * cols;
}

/* A uniform in +- 1 / sqrt(columns), B zero, as PEFT begins. */
static void init_adapter(struct stack *s, const struct lora *l, float *host, uint64_t *state)
{
	int64_t n = l->a.rows * l->a.cols;
	float bound = (float)(1 / sqrt((double)l->a.cols));
	for (int64_t i = 0; i < n; i++)
		host[i] = bound * ((float)(random_next(state) >> 40) / 8388608.0f - 1);
	stack_put(s, l->a, host);
}

static void place_adapters(struct stack *s, float *host)
{
	uint64_t state = 6364136223846793005u;
	int64_t at = 0, rows, cols;
	for (int64_t i = 0; i < s->m->layers * MODULES; i++) {
		int module = (int)(i % MODULES);
		struct lora *l = &s->layer[i / MODULES].lora[module];
		if (!targeted(s, module))
			continue;
		module_shape(s->m, module, &rows, &cols);
		*l = (struct lora){.scale = 2, .p = (float)s->o->dropout, .module = (uint32_t)module};
		at += place_one(s, &l->a, &l->da, at, s->o->rank, cols);
		at += place_one(s, &l->b, &l->db, at, rows, s->o->rank);
		init_adapter(s, l, host, &state);
	}
}

static void set_adapters(struct stack *s, struct layer *l, int64_t index)
{
	const struct lora **slot[MODULES] = {&l->in.lora[0],  &l->in.lora[1],  &l->in.lora[2], &l->out.lora,
					     &l->mlp.lora[0], &l->mlp.lora[1], &l->mlp.lora[2]};
	for (int module = 0; module < MODULES; module++)
		if (targeted(s, module))
			*slot[module] = &l->lora[module];
	l->drop = (struct dropout){s->state, s->row_key, (uint32_t)index};
	if (s->o->dropout > 0)
		l->in.drop = l->out.drop = l->mlp.drop = &l->drop;
}

static void make_arrays(struct stack *s)
{
	struct view *flat[] = {&s->p, &s->g, &s->m1, &s->m2};
	for (size_t i = 0; i < sizeof flat / sizeof *flat; i++)
		*flat[i] = stack_array(s, 1, adapters_numbers(s), DTYPE_F32);
	s->hyper = stack_array(s, 1, ADAMW_HYPER, DTYPE_F32);
	s->norm2 = stack_array(s, 1, 1, DTYPE_F32);
}

int adapters_make(struct stack *s, struct err *err)
{
	int64_t wide = s->m->ffn > model_query(s->m) ? s->m->ffn : model_query(s->m);
	wide = wide > s->m->hidden ? wide : s->m->hidden;
	float *host = mem_array((size_t)(s->o->rank * wide), sizeof *host, err);
	s->items = host ? mem_array((size_t)(2 * MODULES * s->m->layers), sizeof *s->items, err) : NULL;
	if (s->items) {
		make_arrays(s);
		place_adapters(s, host);
	}
	free(host);
	for (int64_t i = 0; i < s->m->layers; i++)
		set_adapters(s, &s->layer[i], i);
	return s->items ? stack_finish(s, err) : -1;
}
