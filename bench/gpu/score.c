// SPDX-License-Identifier: Apache-2.0
/* score.c - every token's log-probability. */
#include <stdio.h>

#include "bench/gpu/gpu_bench.h"

static void score_calls(struct stack *s)
{
	stack_forward(s);
	run_gather(s, NULL);
	run_head(s, NULL);
}

static void score_step(struct stack *s, int64_t step)
{
	batch_put(s, step);
	stack_call(s, score_calls);
	batch_loss(s);
}

int job_score(struct stack *s, struct err *err)
{
	const struct options *o = s->o;
	struct times t;
	char setting[80];
	snprintf(setting, sizeof setting, "%lld x %lld", (long long)(o->tokens / o->length), (long long)o->length);
	if (batch_make(s, SCORES, err) || time_steps(s, score_step, &t, err))
		return -1;
	report_steps(s, setting, &t, 2 * model_weights(s->m) + model_attention(s->m, (double)o->length / 2));
	return 0;
}
