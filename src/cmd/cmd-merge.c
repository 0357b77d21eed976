// SPDX-License-Identifier: Apache-2.0
/* merge: an adapter into its base, and the proof that the result says the same. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/mem.h"
#include "src/base/tree.h"
#include "src/cmd/job.h"
#include "src/model/directory.h"
#include "src/model/export.h"
#include "src/model/forward.h"
#include "src/model/shards.h"

enum { PROBE = 32 }; /* tokens of the self-check */

struct merge_command {
	struct job job;
	const char *output;
};

/* ---- the self-check -------------------------------------------------------------------- */

/* Log-probabilities [PROBE, V] of a sequence that walks through the vocabulary. */
static float *probe(struct model *model, struct err *err)
{
	int64_t vocab = model->config.vocab_size;
	struct forward_limits limits = {.rows = PROBE, .segments = 1, .targets = PROBE, .keys = PROBE};
	int32_t ids[PROBE], pos[PROBE];
	const int32_t q_begin[2] = {0, PROBE}, own = PROBE;
	for (int32_t i = 0; i < PROBE; i++) {
		pos[i] = i;
		ids[i] = (int32_t)(vocab * (i + 1) / (PROBE + 1));
	}
	const struct forward_rows rows = {.rows = PROBE, .segments = 1, .ids = ids, .pos = pos, .q_begin = q_begin,
					  .own_len = &own};
	float *logits = mem_array((size_t)vocab, PROBE * sizeof *logits, err);
	struct forward *f = logits ? forward_new(model, &limits, err) : NULL;
	int rc = !f || forward_run(f, &rows, err) || forward_logits(f, pos, PROBE, logits, err) ? -1 : 0;
	forward_free(f);
	if (!rc)
		return logits;
	free(logits);
	return NULL;
}

static double log_sum(const float *z, int64_t n)
{
	double most = z[0], sum = 0;
	for (int64_t i = 1; i < n; i++)
		most = z[i] > most ? z[i] : most;
	for (int64_t i = 0; i < n; i++)
		sum += exp(z[i] - most);
	return most + log(sum);
}

/* Mean over the rows of the divergence (Kullback and Leibler 1951) of q from p, in nats. */
static double divergence(const float *p, const float *q, int64_t vocab)
{
	double total = 0;
	for (int row = 0; row < PROBE; row++, p += vocab, q += vocab) {
		double lp = log_sum(p, vocab), lq = log_sum(q, vocab);
		for (int64_t i = 0; i < vocab; i++)
			total += exp(p[i] - lp) * ((p[i] - lp) - (q[i] - lq));
	}
	return total / PROBE;
}

/* What rounding a merged weight once may cost, in nats; measured values are far below. */
static double allowed(bool rounded)
{
	return rounded ? 0.05 : 1e-5;
}

/* Is a matrix stored in less than f32? What config.json says of the type need not be so. */
static int is_rounded(bool *rounded, const char *directory, struct err *err)
{
	struct shards *shards = shards_open(directory, err);
	struct tensor_info info;
	*rounded = false;
	for (size_t i = 0; shards && i < shards_count(shards); i++) {
		shards_get(shards, i, &info);
		*rounded |= info.weight && info.rank == 2 && info.dtype != DTYPE_F32;
	}
	int rc = shards ? 0 : -1;
	shards_close(shards);
	return rc;
}

static int self_check(struct merge_command *c, const float *want, const struct arguments *args, struct err *err)
{
	bool rounded;
	enum dtype dtype;
	if (is_rounded(&rounded, c->output, err) || job_read_dtype(c->job.dtype, &dtype, err))
		return -1;
	rounded = rounded || dtype != DTYPE_F32;
	const struct model_options options = {.dtype = dtype, .memory = c->job.memory};
	struct model *merged = model_load(c->output, c->job.student->dev, &options, err);
	float *got = merged ? probe(merged, err) : NULL;
	int rc = got ? 0 : -1;
	if (!rc) {
		double d = divergence(want, got, merged->config.vocab_size);
		if (!(d <= allowed(rounded)))
			rc = err_set(err, ERR_DATA, "%s: the merged model differs from base and adapter by %.3g nats, more than %g; do not use it",
				     c->output, d, allowed(rounded));
		else if (!args->quiet)
			fprintf(stderr, "%s: merged; differs from base and adapter by %.2g nats\n", c->output, d);
	}
	free(got);
	model_free(merged);
	return rc;
}

/* ---- the command ------------------------------------------------------------------------- */

static int merge(struct merge_command *c, const struct arguments *args, struct err *err)
{
	struct student *s = c->job.student;
	float *want = probe(s->model, err);
	int rc = !want || export_merged(c->output, c->job.model, s->adapter, err) ? -1 : 0;
	if (!rc) { /* one model at a time */
		adapter_free(s->adapter);
		model_free(s->model);
		s->adapter = NULL;
		s->model = NULL;
		rc = self_check(c, want, args, err);
	}
	free(want);
	return rc;
}

static int open_directory(const char *directory, struct err *err)
{
	bool made, has;
	if (job_make_directory(directory, &made, err) || tree_remove_asides(directory, false, err) ||
	    directory_has(&has, directory, "config.json", err))
		return -1;
	return has ? err_set(err, ERR_CANTCREATE, "'%s' holds a model already; choose another --output", directory) : 0;
}

static int run(struct arguments *args, struct err *err)
{
	struct merge_command c = {0};
	job_defaults(&c.job);
	const struct option_row rows[] = {
		{"model", OPTION_TEXT, &c.job.model, "DIR", "the base: a Hugging Face model directory"},
		{"adapter", OPTION_TEXT, &c.job.adapter, "DIR", "PEFT adapter"},
		{"output", OPTION_TEXT, &c.output, "DIR", "where the merged checkpoint goes"},
		{"backend", OPTION_TEXT, &c.job.backend, "NAME", "backend (auto)"},
		{"dtype", OPTION_TEXT, &c.job.dtype, "TYPE", "base weights while they are compared, as float32 or bfloat16 (float32)"},
		{"memory", OPTION_SIZE, &c.job.memory, "SIZE", "bound of weights and arrays, such as 8GiB (none)"},
		{0},
	};
	int go = options_parse(&cmd_merge, rows, args, err);
	if (go <= 0)
		return go;
	int rc = options_expect(&cmd_merge, args, 0, 0, err);
	if (!rc && (!c.output || !c.job.adapter))
		rc = err_set(err, ERR_USAGE, "'--%s' is missing", c.output ? "adapter" : "output");
	if (!rc)
		rc = job_open_model(&c.job, args, err) || open_directory(c.output, err) || merge(&c, args, err) ? -1 : 0;
	return job_close(&c.job, rc, err);
}

const struct command cmd_merge = {"merge", "write an adapter and its base as one checkpoint", NULL, run, 0};
