// SPDX-License-Identifier: Apache-2.0
#include "src/student/score.h"

#include <stdlib.h>

#include "src/base/mem.h"
#include "src/student/pack.h"
#include "src/student/prefix.h"

enum { CALL_ROWS = 2048, REMOTE_CALL_ROWS = 16384 };

/* What both passes work on. */
struct scoring {
	struct model *model;
	const struct score_row *rows;
	size_t n;
	const struct score_options *options;
	int64_t call_rows;
	struct pack_sequence *sequence;  /* [n] of the pass */
	float *conditional, *unconditional; /* of all targets, rows one after the other */
	int64_t *at;                     /* [n]: where a row's targets begin in them */
	int64_t prefix;                  /* tokens that all prompts of the first pass begin with */
};

/* Of the prompts of the first pass. Where rows must not depend on their neighbours, they share nothing. */
static int64_t shared_prefix(const struct model *model, const struct score_row *rows, size_t n)
{
	struct prefix prefix = {0};
	if (model->dev->batch_invariant)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!rows[i].conditional)
			prefix_add(&prefix, rows[i].prompt, rows[i].prompt_n);
	return prefix_length(&prefix);
}

static int check_rows(const struct scoring *s, struct err *err)
{
	for (size_t i = 0; i < s->n; i++) {
		int64_t length = s->rows[i].prompt_n + s->rows[i].target_n;
		if (length > s->model->positions)
			return err_set(err, ERR_DATA, "row %zu has %lld tokens, more than the model's %lld positions", i + 1,
				       (long long)length, (long long)s->model->positions);
	}
	return 0;
}

static int scoring_init(struct scoring *s, struct err *err)
{
	size_t targets = 0;
	s->sequence = mem_array(s->n, sizeof *s->sequence, err);
	s->at = mem_array(s->n, sizeof *s->at, err);
	if (!s->sequence || !s->at)
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		s->at[i] = (int64_t)targets;
		targets += (size_t)s->rows[i].target_n;
	}
	s->conditional = mem_array(targets, sizeof *s->conditional, err);
	s->unconditional = mem_array(targets, sizeof *s->unconditional, err);
	return s->conditional && s->unconditional ? 0 : -1;
}

static void scoring_release(struct scoring *s)
{
	free(s->sequence);
	free(s->at);
	free(s->conditional);
	free(s->unconditional);
}

/* Sequences of the pass with prompts; how many. */
static size_t conditional_sequences(struct scoring *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct score_row *row = &s->rows[i];
		if (!row->conditional)
			s->sequence[n++] = (struct pack_sequence){row->prompt + s->prefix, row->prompt_n - s->prefix,
								  row->target, row->target_n, s->conditional + s->at[i]};
	}
	return n;
}

static size_t unconditional_sequences(struct scoring *s)
{
	bool bos = s->options->bos >= 0;
	for (size_t i = 0; i < s->n; i++)
		s->sequence[i] = (struct pack_sequence){bos ? &s->options->bos : NULL, bos, s->rows[i].target,
							s->rows[i].target_n, s->unconditional + s->at[i]};
	return s->n;
}

static struct forward_limits limits_of(const struct scoring *s, int64_t longest)
{
	int64_t rows = longest > s->call_rows ? longest : s->call_rows;
	return (struct forward_limits){.rows = rows, .segments = rows, .targets = rows, .keys = s->prefix + longest,
				       .prefix = s->prefix};
}

/* One forward serves both passes: the longest sequence of either bounds it. */
static struct forward *make_forward(struct scoring *s, struct err *err)
{
	int64_t longest = pack_longest(s->sequence, conditional_sequences(s)), other;
	other = pack_longest(s->sequence, unconditional_sequences(s));
	longest = other > longest ? other : longest;
	longest = s->prefix > longest ? s->prefix : longest;
	struct forward_limits limits = limits_of(s, longest);
	uint64_t held = s->model->stored + s->model->dev->prepared, need = held + forward_bytes(s->model, &limits);
	while (s->options->memory && need > s->options->memory && !s->options->rows && s->call_rows > CALL_ROWS) {
		s->call_rows /= 2;
		limits = limits_of(s, longest);
		need = held + forward_bytes(s->model, &limits);
	}
	if (s->options->memory && need > s->options->memory) {
		err_set(err, ERR_MEMORY, "scoring needs %llu MiB, more than the %llu MiB allowed; raise --memory (in a plan student.memory)",
			(unsigned long long)(need >> 20), (unsigned long long)(s->options->memory >> 20));
		return NULL;
	}
	return forward_new(s->model, &limits, err);
}

static const int32_t *first_prompt(const struct scoring *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->rows[i].conditional)
			return s->rows[i].prompt;
	return NULL;
}

static int run_passes(struct scoring *s, struct progress *progress, struct err *err)
{
	struct forward *f = make_forward(s, err);
	if (!f)
		return -1;
	struct pack_options with = {.rows = s->call_rows, .prefix = s->prefix > 0}, without = {.rows = s->call_rows};
	int rc = s->prefix ? forward_set_prefix(f, first_prompt(s), s->prefix, err) : 0;
	size_t n = conditional_sequences(s);
	rc = rc || pack_run(f, s->sequence, n, &with, s->prefix, progress, err);
	n = unconditional_sequences(s);
	rc = rc || pack_run(f, s->sequence, n, &without, 0, progress, err);
	forward_free(f);
	return rc ? -1 : 0;
}

int student_score(struct model *model, const struct score_row *rows, size_t n, const struct score_options *options,
		  struct ifd_score *scores, struct progress *progress, struct err *err)
{
	struct scoring s = {.model = model, .rows = rows, .n = n, .options = options,
			    .call_rows = options->rows ? options->rows : model->dev->remote ? REMOTE_CALL_ROWS : CALL_ROWS,
			    .prefix = shared_prefix(model, rows, n)};
	int rc = check_rows(&s, err) || scoring_init(&s, err) || run_passes(&s, progress, err);
	for (size_t i = 0; !rc && i < n; i++) {
		const float *conditional = rows[i].conditional ? rows[i].conditional : s.conditional + s.at[i];
		scores[i] = ifd_measure(conditional, s.unconditional + s.at[i], (size_t)rows[i].target_n,
					options->bos >= 0);
	}
	scoring_release(&s);
	return rc ? -1 : 0;
}
