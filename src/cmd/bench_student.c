// SPDX-License-Identifier: Apache-2.0
/* `bench score` and `bench decode`: a student's own jobs, measured in turn with the roof of each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/bench.h"
#include "src/cmd/print.h"
#include "src/model/forward.h"
#include "src/student/generate.h"

enum { MOST_RUNS = 64 };

/* What one job measures. */
struct trial {
	const struct bench_student *options;
	struct model *model;
	struct measure measure;
	int32_t *ids, *pos, *row, *target, *begin, *own; /* of a call */
	float *logp;
	double seconds[MOST_RUNS], roof[MOST_RUNS];      /* of each run, and FLOP/s or bytes/s beside it */
	double whole[MOST_RUNS];                         /* decode: with the prompts */
};

/* ---- score ------------------------------------------------------------------------- */

/* `slots` segments of `length` tokens, each token but the first of a segment a target. */
static int fill_score(struct trial *t, struct err *err)
{
	int64_t S = (int64_t)t->options->slots, T = (int64_t)t->options->length, V = t->model->config.vocab_size, n = 0;
	size_t rows = (size_t)(S * T) + 1;
	int32_t **arrays[] = {&t->ids, &t->pos, &t->row, &t->target, &t->begin, &t->own};
	for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
		if (!(*arrays[i] = mem_array(rows, sizeof(int32_t), err)))
			return -1;
	if (!(t->logp = mem_array(rows, sizeof *t->logp, err)))
		return -1;
	for (int64_t i = 0; i < S * T; i++) {
		t->ids[i] = (int32_t)((i * 7919 + 101) % V);
		t->pos[i] = (int32_t)(i % T);
		if (i % T)
			t->row[n] = (int32_t)i - 1, t->target[n++] = t->ids[i];
	}
	for (int64_t s = 0; s < S; s++) {
		t->begin[s + 1] = (int32_t)((s + 1) * T);
		t->own[s] = (int32_t)T;
	}
	return 0;
}

static int score_once(struct trial *t, struct forward *f, struct err *err)
{
	int64_t S = (int64_t)t->options->slots, T = (int64_t)t->options->length;
	const struct forward_rows rows = {.rows = S * T, .segments = S, .ids = t->ids, .pos = t->pos,
					  .q_begin = t->begin, .own_len = t->own};
	return forward_run(f, &rows, err) || forward_logp(f, t->row, t->target, S * (T - 1), t->logp, err) ? -1 : 0;
}

static int time_score(struct trial *t, struct err *err)
{
	int64_t S = (int64_t)t->options->slots, T = (int64_t)t->options->length;
	const struct forward_limits limits = {.rows = S * T, .segments = S, .targets = S * T, .keys = T};
	struct forward *f = fill_score(t, err) ? NULL : forward_new(t->model, &limits, err);
	int rc = f ? score_once(t, f, err) : -1;
	for (uint64_t i = 0; !rc && i < t->options->runs; i++) {
		t->roof[i] = measure_product(&t->measure);
		double begin = measure_now();
		rc = score_once(t, f, err);
		t->seconds[i] = measure_now() - begin;
	}
	forward_free(f);
	return rc;
}

/* Parameters of products in one token's way, the head's included. */
static double parameters(const struct model_config *c)
{
	int64_t C = c->hidden_size, Q = c->num_attention_heads * c->head_dim, K = c->num_key_value_heads * c->head_dim;
	return (double)(c->num_hidden_layers * (2 * C * Q + 2 * C * K + 3 * C * c->intermediate_size) + c->vocab_size * C);
}

/* 2 N a token, and attention's causal half: 2 T H D a layer. */
static double score_flops(const struct trial *t)
{
	const struct model_config *c = &t->model->config;
	double T = (double)t->options->length;
	double attention = (double)(c->num_hidden_layers * c->num_attention_heads * c->head_dim) * 2 * T;
	return (double)t->options->slots * T * (2 * parameters(c) + attention);
}

/* ---- decode ------------------------------------------------------------------------- */

/* Seconds to complete S prompts of `length` tokens, no two beginning alike, by `most` tokens each. */
static int generate_once(struct trial *t, size_t S, uint64_t most, double *seconds, struct err *err)
{
	size_t T = (size_t)t->options->length;
	const struct generate_options options = {.slots = (int64_t)S, .max_new_tokens = (int64_t)most};
	struct generate_row *rows = mem_array(S, sizeof *rows, err);
	struct generated *out = mem_array(S, sizeof *out, err);
	int rc = rows && out ? 0 : -1;
	for (size_t s = 0; !rc && s < S; s++)
		rows[s] = (struct generate_row){t->ids + s * T, (int64_t)T, s};
	double begin = measure_now();
	rc = rc || student_generate(t->model, rows, S, &options, out, NULL, err) ? -1 : 0;
	*seconds = measure_now() - begin;
	for (size_t s = 0; !rc && s < S; s++)
		generated_release(&out[s]);
	free(rows);
	free(out);
	return rc;
}

static int fill_decode(struct trial *t, struct err *err)
{
	size_t n = (size_t)(t->options->slots * t->options->length), V = (size_t)t->model->config.vocab_size;
	t->ids = mem_array(n, sizeof *t->ids, err);
	for (size_t i = 0; t->ids && i < n; i++)
		t->ids[i] = (int32_t)((i / t->options->length + i * 7919) % V);
	t->model->config.stop.n = 0; /* every row goes to its end */
	return t->ids ? 0 : -1;
}

/* The first token is the prompt's: what `steps` more cost is measured. */
static int time_decode(struct trial *t, struct err *err)
{
	double with, without;
	size_t S = (size_t)t->options->slots;
	int rc = fill_decode(t, err) || generate_once(t, 1, 2, &with, err) ? -1 : 0; /* warm */
	for (uint64_t i = 0; !rc && i < t->options->runs; i++) {
		t->roof[i] = measure_read(&t->measure);
		rc = generate_once(t, S, 1, &without, err) || generate_once(t, S, 1 + t->options->steps, &with, err) ? -1 : 0;
		t->seconds[i] = with - without;
		t->whole[i] = with;
	}
	return rc;
}

/* Weights once a step, and every slot's keys and values so far. */
static double decode_bytes(const struct trial *t)
{
	const struct model_config *c = &t->model->config;
	double keys = (double)t->options->length + (double)(t->options->steps + 1) / 2;
	double cache = (double)(c->num_hidden_layers * c->num_key_value_heads * c->head_dim) * 2 *
		       (double)dtype_size(t->model->dev->cache_dtype);
	double weights = parameters(c) * (double)dtype_size(t->options->dtype);
	return (double)t->options->steps * (weights + (double)t->options->slots * keys * cache);
}

/* ---- both ---------------------------------------------------------------------------- */

struct job {
	const char *name;
	int (*time)(struct trial *t, struct err *err);
	bool by_bytes;
};

struct result {
	const char *name;
	double seconds, tokens, work, roof; /* of a run; FLOP or bytes, and their rate */
	double whole;                       /* seconds with the prompts, or 0 */
	bool by_bytes;
};

static int print_json(const struct trial *t, const struct result *r, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	json_member_text(&w, "job", r->name);
	json_member_double(&w, "slots", (double)t->options->slots);
	json_member_double(&w, "length", (double)t->options->length);
	json_member_double(&w, "seconds", r->seconds);
	json_member_double(&w, "tokens_per_second", r->tokens / r->seconds);
	if (r->whole > 0)
		json_member_double(&w, "tokens_per_second_with_prompts", (r->tokens + (double)t->options->slots) / r->whole);
	json_member_double(&w, r->by_bytes ? "gbytes_per_second" : "gflops", r->work / r->seconds * 1e-9);
	json_member_double(&w, "roof", r->roof * 1e-9);
	json_member_double(&w, "share", r->work / r->seconds / r->roof);
	json_end_object(&w);
	return print_document(&w, err);
}

static int print_result(const struct trial *t, const struct result *r, struct err *err)
{
	if (t->options->json)
		return print_json(t, r, err);
	printf("%s, %llu x %llu tokens: %.3f s, %.1f tokens/s, %.1f %s, %.0f %% of %.1f\n", r->name,
	       (unsigned long long)t->options->slots, (unsigned long long)t->options->length, r->seconds,
	       r->tokens / r->seconds, r->work / r->seconds * 1e-9, r->by_bytes ? "GB/s" : "GFLOP/s",
	       100 * r->work / r->seconds / r->roof, r->roof * 1e-9);
	return 0;
}

static int run_trial(struct trial *t, const struct job *job, double product_scale, struct err *err)
{
	const struct bench_student *o = t->options;
	if (o->length + (job->by_bytes ? o->steps : 0) > (uint64_t)t->model->positions)
		return err_set(err, ERR_CONFIG, "%s exceed%s the model's %lld positions",
			       job->by_bytes ? "'--length' and '--new'" : "'--length'", job->by_bytes ? "" : "s",
			       (long long)t->model->positions);
	if (job->time(t, err))
		return -1;
	struct result r = {job->name, measure_middle(t->seconds, (int)o->runs), (double)o->slots, 0, measure_middle(t->roof, (int)o->runs),
			   measure_middle(t->whole, (int)o->runs), job->by_bytes};
	r.tokens *= (double)(job->by_bytes ? o->steps : o->length);
	r.work = job->by_bytes ? decode_bytes(t) : score_flops(t);
	r.roof *= job->by_bytes ? 1 : product_scale;
	return print_result(t, &r, err);
}

static void release(struct trial *t)
{
	void *arrays[] = {t->ids, t->pos, t->row, t->target, t->begin, t->own, t->logp};
	for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
		free(arrays[i]);
	measure_release(&t->measure);
	model_free(t->model);
}

static int run_job(const struct bench_student *options, const struct job *job, double product_scale, struct err *err)
{
	const struct device_options device = {.threads = (int)options->threads, .dtype = options->dtype};
	const struct model_options model = {.dtype = options->dtype};
	struct trial t = {.options = options};
	struct device *dev = backend_open(options->backend, &device, err);
	if (!dev)
		return -1;
	t.model = model_load(options->model, dev, &model, err);
	int rc = t.model && !measure_init(&t.measure, dev, backend_of(dev), options->dtype, err)
			 ? run_trial(&t, job, product_scale, err) : -1;
	release(&t);
	backend_close(dev);
	return rc;
}

int bench_score(const struct bench_student *options, double product_scale, struct err *err)
{
	static const struct job job = {"score", time_score, false};
	return run_job(options, &job, product_scale, err);
}

int bench_decode(const struct bench_student *options, struct err *err)
{
	static const struct job job = {"decode", time_decode, true};
	return run_job(options, &job, 1, err);
}
