// SPDX-License-Identifier: Apache-2.0
/* batch.c - a micro-batch: random tokens in segments of `length`, each followed by a random one, the same each step. */
#include <stdlib.h>

#include "bench/gpu/gpu_bench.h"
#include "reference/philox.h"
#include "src/base/mem.h"

static void draw_tokens(struct stack *s)
{
	uint64_t state = 2862933555777941757u, V = (uint64_t)s->m->vocab;
	int64_t T = s->o->length;
	for (int64_t i = 0; i < s->rows; i++) {
		s->host_ids[i] = (int32_t)(random_next(&state) % V);
		s->host_target[i] = (int32_t)(random_next(&state) % V);
		s->host_pos[i] = (int32_t)(i % T);
		s->host_row[i] = (int32_t)i;
	}
	for (int64_t i = 0; i <= s->segments; i++) {
		s->host_q_begin[i] = (int32_t)(i * T);
		s->host_own_len[i] = (int32_t)T;
	}
}

/* What stays on the device: the targets' weights, whose sum is 1, and the rows' keys of dropout. */
static int put_rows(struct stack *s, struct err *err)
{
	float *weight = mem_array((size_t)s->rows, sizeof *weight, err);
	uint64_t *row = mem_array((size_t)s->rows, sizeof *row, err);
	bool good = weight && row;
	for (int64_t i = 0; good && i < s->rows; i++) {
		weight[i] = 1 / (float)s->rows;
		row[i] = row_key((uint32_t)(i / s->o->length), (uint32_t)(i % s->o->length));
	}
	if (good) {
		stack_put(s, s->weight, weight);
		stack_put(s, s->row_key, row);
	}
	free(weight);
	free(row);
	return good ? 0 : -1;
}

int batch_make(struct stack *s, enum use use, struct err *err)
{
	const struct options *o = s->o;
	s->use = use;
	s->rows = o->tokens;
	s->segments = o->tokens / o->length;
	s->seg = (struct segments){.max_queries = o->length, .max_keys = o->length};
	if (arrays_make(s, o->length, err) || put_rows(s, err))
		return -1;
	draw_tokens(s);
	return use == TRAINS ? adapters_make(s, err) : 0;
}

/* What a step's batch is made of goes to the device in every step. */
void batch_put(struct stack *s, int64_t step)
{
	const uint64_t state[2] = {1, (uint64_t)step};
	stack_put(s, s->ids, s->host_ids);
	stack_put(s, s->pos, s->host_pos);
	stack_put(s, s->row, s->host_row);
	stack_put(s, s->target, s->host_target);
	stack_put(s, s->state, state);
	stack_put(s, s->seg.q_begin, s->host_q_begin);
	stack_put(s, s->seg.own_begin, s->host_q_begin);
	stack_put(s, s->seg.own_len, s->host_own_len);
}

void batch_loss(struct stack *s)
{
	double sum = 0;
	s->k->download(s->dev, s->host_logp, s->logp);
	device_sync(s->dev);
	for (int64_t i = 0; i < s->rows; i++)
		sum -= (double)s->host_logp[i];
	s->loss = (float)(sum / (double)s->rows);
}
