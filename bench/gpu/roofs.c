// SPDX-License-Identifier: Apache-2.0
/* roofs.c - what the device's own copy and its largest product reach. */
#include <math.h>

#include "bench/gpu/gpu_bench.h"

struct roof {
	struct stack *s;
	struct view y, x;
	struct weight w;
};

static void roof_copy(void *context)
{
	struct roof *r = context;
	r->s->k->copy(r->s->dev, r->y, r->x);
}

static void roof_linear(void *context)
{
	struct roof *r = context;
	r->s->k->linear(r->s->dev, r->y, r->x, &r->w, 0, view_none(), false);
}

/* Random rows by copies of a few uploaded ones. */
static void fill_random(struct stack *s, struct view to)
{
	struct view few = stack_array(s, 32, to.cols, DTYPE_BF16);
	stack_put(s, few, s->numbers);
	stack_spread(s, to, few);
}

/* Of 8 times `roof` rows, 1 GiB at 8192. */
double roofs_copy(struct stack *s)
{
	int64_t n = s->m->roof;
	size_t mark = s->buffers;
	struct roof r = {.s = s};
	r.y = stack_array(s, 8 * n, n, DTYPE_BF16);
	r.x = stack_array(s, 8 * n, n, DTYPE_BF16);
	fill_random(s, r.x);
	double seconds = s->dev->failure[0] ? 1 : time_calls(s, roof_copy, &r, 4);
	stack_cut(s, mark);
	return 2.0 * 8 * (double)n * (double)n * 2 / seconds;
}

/* FLOP/s of a product n x n x n. */
static double roofs_linear(struct stack *s)
{
	int64_t n = s->m->roof;
	struct roof r = {.s = s};
	struct view host = stack_matrix(s, n, n);
	struct shape shape = {.rows = n, .hidden = n, .ffn = n, .vocab = n};
	r.y = stack_array(s, n, n, s->dev->act_dtype);
	r.x = stack_array(s, n, n, s->dev->act_dtype);
	fill_random(s, r.x);
	stack_prepare(s, &r.w, 1, &host, WEIGHT_FORWARD);
	if (!s->dev->failure[0])
		s->k->reserve(s->dev, s->k->scratch_bytes(s->dev, OP_linear, &shape));
	double seconds = s->dev->failure[0] ? 1 : time_calls(s, roof_linear, &r, 4);
	s->k->release(s->dev, &r.w);
	return 2 * pow((double)n, 3) / seconds;
}

int job_roofs(struct stack *s, struct err *err)
{
	int64_t n = s->m->roof;
	if (stack_draw(s, (size_t)(n * n), err))
		return -1;
	double copy = roofs_copy(s), product = roofs_linear(s);
	if (stack_finish(s, err))
		return -1;
	REPORT(s->o, "roof", {"copy_gb_s", 1e-9 * copy, "", 1}, {"tflops", 1e-12 * product, "", 2},
	       {"share", product / PEAK, "of 790", 3}, {"n", (double)n, "", 0});
	return 0;
}
