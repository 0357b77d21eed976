// SPDX-License-Identifier: Apache-2.0
/* profile.c - every operation of a step alone, and the step they make. */
#include "bench/gpu/gpu_bench.h"

enum { STEPS = 5 };

struct profile {
	struct stack *s;
	const struct profiled *op;
};

static void profile_call(void *context)
{
	struct profile *p = context;
	int64_t n = p->op->layers ? p->s->m->layers : 1;
	if (p->op->layers && p->s->use == TRAINS) /* else it grows from call to call */
		p->s->k->copy(p->s->dev, p->s->dx, p->s->dy);
	for (int64_t i = 0; i < n; i++)
		p->op->run(p->s, &p->s->layer[i]);
}

/* Milliseconds of a step that the operation takes; the residual begins as it was. */
static double profile_one(struct stack *s, const struct profiled *op, const struct counts *c)
{
	struct profile p = {s, op};
	run_embed(s, NULL);
	double seconds = time_calls(s, profile_call, &p, op->layers ? 1 : 8), n = op->layers ? (double)s->m->layers : 1;
	REPORT(s->o, op->name, {"ms", 1e3 * seconds / n, "", 4}, {"calls", n, "", 0}, {"step_ms", 1e3 * seconds, "", 3},
	       {"tflops", op->flops ? 1e-12 * n * op->flops(c) / seconds : 0, "", 2},
	       {"gb_s", op->bytes ? 1e-9 * n * op->bytes(c) / seconds : 0, "", 1});
	return 1e3 * seconds;
}

/* Milliseconds of a whole one, the first `begin`. */
static double profile_step(struct stack *s, step_fn *step, int64_t begin)
{
	double seconds[STEPS];
	for (int64_t i = 0; i < WARM + STEPS; i++) {
		double start = time_now();
		step(s, begin + i);
		device_sync(s->dev);
		seconds[i < WARM ? 0 : i - WARM] = time_now() - start;
	}
	return 1e3 * median(seconds, STEPS);
}

static int profile_all(struct stack *s, const struct profiled *ops, step_fn *step, int64_t begin, struct err *err)
{
	struct counts c = counts_of(s);
	double whole = profile_step(s, step, begin), sum = 0;
	for (const struct profiled *op = ops; !s->dev->failure[0] && op->name; op++) {
		double ms = profile_one(s, op, &c);
		sum += op->run == run_head ? 0 : ms; /* a train step has it with its gradient */
	}
	REPORT(s->o, "step", {"ms", whole, "", 3}, {"operations_ms", sum, "", 3}, {"gb", stack_held(s), "", 2});
	return stack_finish(s, err);
}

int job_profile(struct stack *s, struct err *err)
{
	return batch_make(s, TRAINS, err) ? -1 : profile_all(s, profile_train_ops, train_step, 1, err);
}

int job_profile_decode(struct stack *s, struct err *err)
{
	int64_t middle = s->o->prompt + s->o->created / 2;
	return slots_make(s, err) ? -1 : profile_all(s, profile_decode_ops, decode_step, middle, err);
}
