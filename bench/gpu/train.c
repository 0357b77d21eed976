// SPDX-License-Identifier: Apache-2.0
/* train.c - LoRA steps, the optimizer's included. */
#include <math.h>
#include <stdio.h>

#include "bench/gpu/gpu_bench.h"

static void backward(struct stack *s)
{
	for (struct layer *l = s->layer + s->m->layers; l-- > s->layer;) {
		run_mlp_backward(s, l);
		run_attn_out_backward(s, l);
		run_attention_backward(s, l);
		run_attn_in_backward(s, l);
	}
}

static void train_calls(struct stack *s)
{
	run_zero(s, NULL);
	stack_forward(s);
	run_gather(s, NULL);
	run_head_gradient(s, NULL);
	run_scatter(s, NULL);
	backward(s);
	run_norm2(s, NULL);
}

static void put_hyper(struct stack *s, int64_t step)
{
	const float hyper[ADAMW_HYPER] = {
		[ADAMW_LR] = 1e-3f,
		[ADAMW_BETA1] = 0.9f,
		[ADAMW_BETA2] = 0.999f,
		[ADAMW_EPS] = 1e-8f,
		[ADAMW_DECAY] = 0.01f,
		[ADAMW_CORRECTION1] = (float)(1 - pow(0.9, (double)step)),
		[ADAMW_CORRECTION2] = (float)(1 - pow(0.999, (double)step)),
		[ADAMW_MAX_NORM] = 1,
	};
	stack_put(s, s->hyper, hyper);
}

/* As the program does it: the norm is looked at before the update. */
void train_step(struct stack *s, int64_t step)
{
	float norm2 = 0;
	batch_put(s, step);
	stack_call(s, train_calls);
	batch_loss(s);
	s->k->download(s->dev, &norm2, s->norm2);
	if (device_sync(s->dev))
		return;
	if (!isfinite(norm2))
		device_fail(s->dev, "gpu_bench", "step %lld: the gradient is not finite", (long long)step);
	put_hyper(s, step);
	run_adamw(s, NULL);
}

int job_train(struct stack *s, struct err *err)
{
	const struct options *o = s->o;
	struct times t;
	char setting[80];
	snprintf(setting, sizeof setting, "%lld x %lld r%lld %s dropout %g", (long long)(o->tokens / o->length),
		 (long long)o->length, (long long)o->rank, o->targets, o->dropout);
	if (batch_make(s, TRAINS, err) || time_steps(s, train_step, &t, err))
		return -1;
	report_steps(s, setting, &t, 4 * model_weights(s->m) + 3 * model_attention(s->m, (double)o->length / 2));
	return 0;
}
