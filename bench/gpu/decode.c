// SPDX-License-Identifier: Apache-2.0
/* decode.c - greedy decoding beside the least time its bytes and FLOPs take. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/gpu/gpu_bench.h"
#include "src/base/mem.h"

static void decode_calls(struct stack *s)
{
	stack_forward(s);
	run_logits(s, NULL);
	run_sample(s, NULL);
}

void decode_step(struct stack *s, int64_t t)
{
	slots_put(s, t);
	stack_call(s, decode_calls);
	s->k->download(s->dev, s->host_ids, s->sampled);
	device_sync(s->dev);
}

/* Seconds of a step with `keys` keys in each slot: bytes moved, or FLOPs. */
static double decode_floor(const struct stack *s, double keys, double bandwidth)
{
	const struct model *m = s->m;
	double size = (double)dtype_size(s->dev->act_dtype), slots = (double)s->rows;
	double bytes = size * (model_weights(m) + slots * keys * 2 * (double)(m->layers * model_key(m)));
	double flops = slots * (2 * model_weights(m) + model_attention(m, keys));
	return fmax(bytes / bandwidth, flops / PEAK);
}

static int check_ids(struct stack *s, struct err *err)
{
	for (int64_t i = 0; i < s->rows; i++)
		if (s->host_ids[i] < 0 || s->host_ids[i] >= s->m->vocab)
			return err_set(err, ERR_INTERNAL, "slot %lld drew token %d", (long long)i, s->host_ids[i]);
	return 0;
}

/* Seconds of every step after the warm-up, their sum, and their floors' sum; a checksum of all tokens drawn. */
struct decoding {
	double *seconds, sum, floor, bandwidth;
	int64_t checksum;
};

static void add_tokens(struct decoding *d, const struct stack *s)
{
	for (int64_t i = 0; i < s->rows; i++)
		d->checksum = (d->checksum * 31 + s->host_ids[i]) % 999983;
}

static int decode_all(struct stack *s, struct decoding *d, struct err *err)
{
	for (int64_t i = 0; i < s->o->created; i++) {
		double begin = time_now();
		decode_step(s, s->o->prompt + i);
		double taken = time_now() - begin;
		if (stack_finish(s, err) || check_ids(s, err))
			return -1;
		add_tokens(d, s);
		if (i < WARM)
			continue;
		d->seconds[i - WARM] = taken;
		d->sum += taken;
		d->floor += decode_floor(s, (double)(s->o->prompt + i + 1), d->bandwidth);
	}
	return 0;
}

static void report_decode(const struct stack *s, const struct decoding *d)
{
	char setting[80];
	int64_t n = s->o->created - WARM;
	double middle = median(d->seconds, n);
	snprintf(setting, sizeof setting, "%lld slots %lld + %lld", (long long)s->rows, (long long)s->o->prompt,
		 (long long)s->o->created);
	REPORT(s->o, setting, {"tokens_s", (double)(s->rows * n) / d->sum, "", 0}, {"ms", 1e3 * middle, "", 3},
	       {"ms_least", 1e3 * d->seconds[0], "", 3}, {"ms_most", 1e3 * d->seconds[n - 1], "", 3},
	       {"floor_ms", 1e3 * d->floor / (double)n, "", 3}, {"share", d->floor / d->sum, "of the floor", 3},
	       {"bandwidth_gb_s", 1e-9 * d->bandwidth, "", 1}, {"replayed", s->graph != NULL, "", 0},
	       {"checksum", (double)d->checksum, "of the tokens", 0}, {"gb", stack_held(s), "", 2});
}

int job_decode(struct stack *s, struct err *err)
{
	struct decoding d = {.seconds = mem_array((size_t)s->o->created, sizeof *d.seconds, err)};
	int rc = !d.seconds || slots_make(s, err) ? -1 : 0;
	if (!rc)
		d.bandwidth = roofs_copy(s);
	if (!rc)
		rc = stack_finish(s, err) || decode_all(s, &d, err) ? -1 : 0;
	if (!rc)
		report_decode(s, &d);
	free(d.seconds);
	return rc;
}
