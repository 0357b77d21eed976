// SPDX-License-Identifier: Apache-2.0
/* stack.c - the device and its arrays, from the first to the last. */
#include <stdlib.h>

#include "bench/gpu/gpu_bench.h"
#include "src/base/mem.h"

enum { PER_LAYER = 8, FIXED = 96 }; /* most arrays of a layer, and beside the layers */

int stack_init(struct stack *s, const struct options *o, struct err *err)
{
	const struct device_options options = {.batch_invariant = o->invariant, .dtype = DTYPE_BF16};
	*s = (struct stack){.m = o->model, .o = o, .dev = backend_open(o->backend, &options, err)};
	if (!s->dev)
		return -1;
	s->k = s->dev->k;
	s->layer = mem_array((size_t)o->model->layers, sizeof *s->layer, err);
	s->buffer = mem_array((size_t)(FIXED + PER_LAYER * o->model->layers), sizeof *s->buffer, err);
	return s->layer && s->buffer ? 0 : -1;
}

static void release_weights(struct stack *s)
{
	for (int64_t i = 0; s->layer && i < s->m->layers; i++) {
		struct layer *l = &s->layer[i];
		struct weight *w[] = {&l->qkv, &l->wo, &l->gu, &l->down};
		for (size_t j = 0; j < sizeof w / sizeof *w; j++)
			s->k->release(s->dev, w[j]);
	}
	s->k->release(s->dev, &s->embedding);
	s->k->release(s->dev, &s->head_weight);
}

void stack_release(struct stack *s)
{
	void *host[] = {s->host_ids,  s->host_pos, s->host_target, s->host_q_begin, s->host_own_len, s->host_row,
			s->host_logp, s->items,    s->numbers,     s->layer,        s->buffer};
	if (!s->dev)
		return;
	if (s->graph)
		s->k->graph_free(s->dev, s->graph);
	release_weights(s);
	stack_cut(s, 0);
	for (size_t i = 0; i < sizeof host / sizeof *host; i++)
		free(host[i]);
	backend_close(s->dev);
}

struct view stack_array(struct stack *s, int64_t rows, int64_t cols, enum dtype dtype)
{
	if (s->dev->failure[0])
		return view_none();
	struct buffer *buffer = s->k->alloc(s->dev, (size_t)rows * (size_t)cols * dtype_size(dtype));
	if (!buffer)
		return view_none();
	s->buffer[s->buffers++] = buffer;
	return view_of(buffer, rows, cols, dtype);
}

void stack_put(struct stack *s, struct view v, const void *host)
{
	if (!s->dev->failure[0])
		s->k->upload(s->dev, v, host);
}

void stack_spread(struct stack *s, struct view to, struct view from)
{
	for (int64_t i = 0; !s->dev->failure[0] && i < to.rows; i += from.rows) {
		int64_t n = to.rows - i < from.rows ? to.rows - i : from.rows;
		s->k->copy(s->dev, view_rows(to, i, n), view_rows(from, 0, n));
	}
}

void stack_cut(struct stack *s, size_t mark)
{
	while (s->buffers > mark)
		s->k->free(s->dev, s->buffer[--s->buffers]);
}

int stack_finish(struct stack *s, struct err *err)
{
	const char *failure = device_sync(s->dev);
	return failure ? err_set(err, ERR_MEMORY, "%s", failure) : 0;
}

double stack_held(const struct stack *s)
{
	return 1e-9 * (double)(s->dev->allocated + s->dev->prepared);
}
