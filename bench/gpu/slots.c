// SPDX-License-Identifier: Apache-2.0
/* slots.c - sequences that are decoded side by side, their keys and values in pages. */
#include <stdlib.h>

#include "bench/gpu/gpu_bench.h"
#include "src/base/mem.h"

static int64_t slot_pages(const struct options *o)
{
	return (o->prompt + o->created + PAGE - 1) / PAGE;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Every layer's cache, all of it random. */
static void make_cache(struct stack *s)
{
	int64_t rows = s->segments * slot_pages(s->o) * PAGE, K = model_key(s->m);
	int64_t few_rows = least(least((int64_t)s->n_numbers / K, 8192), rows);
	struct view few = stack_array(s, few_rows, K, DTYPE_BF16);
	struct view keys = stack_array(s, s->m->layers * rows, K, s->dev->act_dtype);
	struct view values = stack_array(s, s->m->layers * rows, K, s->dev->act_dtype);
	stack_put(s, few, s->numbers);
	stack_spread(s, keys, few);
	stack_spread(s, values, few);
	for (int64_t i = 0; i < s->m->layers; i++) {
		s->layer[i].cache_k = view_rows(keys, i * rows, rows);
		s->layer[i].cache_v = view_rows(values, i * rows, rows);
	}
}

/* Slot i holds pages i * P ..., in an order that is not that of memory. */
static int32_t page_of(const struct stack *s, int64_t slot, int64_t page)
{
	int64_t P = slot_pages(s->o);
	return (int32_t)(slot * P + (page % 2 ? page : P - 1 - page - (P % 2 ? 0 : 1)));
}

static int make_pages(struct stack *s, struct err *err)
{
	int64_t P = slot_pages(s->o), S = s->segments;
	int32_t *pages = mem_array((size_t)(S * P), sizeof *pages, err);
	if (!pages)
		return -1;
	for (int64_t i = 0; i < S * P; i++)
		pages[i] = page_of(s, i / P, i % P);
	s->seg.pages = stack_array(s, S, P, DTYPE_I32);
	s->seg.page_size = PAGE;
	stack_put(s, s->seg.pages, pages);
	free(pages);
	return 0;
}

static void draw_slots(struct stack *s)
{
	uint64_t state = 3935559000370003845u;
	for (int32_t i = 0; i <= s->segments; i++)
		s->host_q_begin[i] = i;
	for (int64_t i = 0; i < s->rows; i++)
		s->host_ids[i] = (int32_t)(random_next(&state) % (uint64_t)s->m->vocab);
	stack_put(s, s->seg.q_begin, s->host_q_begin);
}

int slots_make(struct stack *s, struct err *err)
{
	const struct options *o = s->o;
	s->use = DECODES;
	s->rows = s->segments = o->slots;
	s->seg = (struct segments){.max_queries = 1, .max_keys = slot_pages(o) * PAGE};
	if (arrays_make(s, o->prompt + o->created, err))
		return -1;
	make_cache(s);
	draw_slots(s);
	return make_pages(s, err) ? -1 : stack_finish(s, err);
}

void slots_put(struct stack *s, int64_t t)
{
	for (int64_t i = 0; i < s->rows; i++) {
		s->host_pos[i] = (int32_t)t;
		s->host_own_len[i] = (int32_t)t + 1;
		s->host_row[i] = page_of(s, i, t / PAGE) * PAGE + (int32_t)(t % PAGE);
	}
	stack_put(s, s->ids, s->host_ids);
	stack_put(s, s->pos, s->host_pos);
	stack_put(s, s->kv_dst, s->host_row);
	stack_put(s, s->seg.own_len, s->host_own_len);
}
