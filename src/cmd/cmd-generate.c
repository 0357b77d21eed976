// SPDX-License-Identifier: Apache-2.0
/* generate: a completion for every row. */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/job.h"
#include "src/student/generate.h"

struct settings {
	struct generate_options options;
	uint64_t max_new_tokens, top_k;
	double temperature, top_p;
	bool token_nll;
};

/* The prompts of a block; their ids are owned. */
static int encode_block(struct job *job, size_t first, size_t n, struct generate_row *rows, struct err *err)
{
	struct example example = {0};
	int rc = 0;
	for (size_t i = 0; !rc && i < n; i++) {
		struct job_text text;
		rc = job_text(&job->rows, first + i, false, &text, err);
		if (rc)
			break;
		rc = example_encode(job->student, &text.text, &example, err) ? row_refuse(&job->rows, first + i, err) : 0;
		job_text_release(&text);
		int32_t *ids = rc ? NULL : mem_dup(example.prompt.ids, example.prompt.n * sizeof *ids, err);
		rc = ids ? 0 : -1;
		rows[i] = (struct generate_row){ids, (int64_t)example.prompt.n, row_key_of(&job->rows.row[first + i].id)};
	}
	example_release(&example);
	return rc;
}

static void put_ids(struct json_writer *w, const struct generated *out)
{
	json_put_key(w, "completion_ids");
	json_begin_array(w);
	for (int64_t i = 0; i < out->n; i++)
		json_put_int(w, out->ids[i]);
	json_end_array(w);
}

static void put_nll(struct json_writer *w, const struct generated *out, bool each)
{
	double sum = 0;
	for (int64_t i = 0; i < out->n; i++)
		sum -= (double)out->logp[i];
	json_put_key(w, "nll");
	json_put_double(w, sum / (double)out->n);
	if (!each)
		return;
	json_put_key(w, "token_nll");
	json_begin_array(w);
	for (int64_t i = 0; i < out->n; i++)
		json_put_double(w, -(double)out->logp[i]);
	json_end_array(w);
}

static int write_row(struct job *job, size_t i, const struct generated *out, bool token_nll, struct err *err)
{
	static const char *const own[] = {"completion", "completion_ids", "finish_reason", "completion_tokens", "nll",
					  "token_nll", NULL};
	size_t n;
	char *text = tokenizer_decode(job->student->tokenizer, out->ids, (size_t)(out->n - out->stopped), true, &n, err);
	if (!text)
		return -1;
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	row_put_id(&w, &job->rows.row[i].id);
	row_put_others(&w, &job->rows.row[i], own, err);
	json_put_key(&w, "completion");
	json_put_string(&w, text, n);
	put_ids(&w, out);
	json_put_key(&w, "finish_reason");
	json_put_string(&w, out->stopped ? "stop" : "length", out->stopped ? 4 : 6);
	json_put_key(&w, "completion_tokens");
	json_put_int(&w, out->n);
	put_nll(&w, out, token_nll);
	json_end_object(&w);
	int rc = job_write(job, &w, err);
	json_writer_release(&w);
	free(text);
	return rc;
}

static int generate_block_of(struct job *job, const struct settings *s, size_t first, size_t n,
			     struct progress *progress, struct err *err)
{
	struct generate_row *rows = mem_array(n, sizeof *rows, err);
	struct generated *out = mem_array(n, sizeof *out, err);
	int rc = !rows || !out || encode_block(job, first, n, rows, err) ||
		 student_generate(job->student->model, rows, n, &s->options, out, progress, err);
	for (size_t i = 0; !rc && i < n; i++)
		rc = write_row(job, first + i, &out[i], s->token_nll, err);
	for (size_t i = 0; i < n; i++) {
		free(rows ? (void *)(uintptr_t)rows[i].prompt : NULL);
		if (out)
			generated_release(&out[i]);
	}
	free(rows);
	free(out);
	return rc ? -1 : 0;
}

static int generate(struct job *job, const struct settings *s, struct err *err)
{
	size_t block = (size_t)generate_block(&s->options), rows = job->rows.n;
	struct progress progress;
	int rc = 0;
	progress_begin(&progress, &job->progress, "generate", "rows", rows, 0);
	for (size_t first = 0; !rc && first < rows; first += block)
		rc = generate_block_of(job, s, first, rows - first < block ? rows - first : block, &progress, err);
	progress_finish(&progress);
	return rc;
}

static int check_settings(struct settings *s, const struct job *job, struct err *err)
{
	if (!s->max_new_tokens || s->max_new_tokens > 1 << 20)
		return err_set(err, ERR_CONFIG, "'--max-new-tokens' takes 1 to 1048576");
	if (s->temperature < 0 || s->top_p <= 0 || s->top_p > 1 || s->top_k > INT32_MAX)
		return err_set(err, ERR_CONFIG, "'--temperature' takes 0 or more, '--top-p' more than 0 and at most 1");
	s->options = (struct generate_options){.slots = (int64_t)job->slots, .max_new_tokens = (int64_t)s->max_new_tokens,
					       .rule = {(float)s->temperature, (int)s->top_k, (float)s->top_p},
					       .seed = job->seed, .memory = job->memory};
	return 0;
}

static int run(struct arguments *args, struct err *err)
{
	struct job job;
	struct settings s = {.max_new_tokens = 200, .top_p = 1};
	job_defaults(&job);
	const struct option_row rows[] = {
		JOB_FILES(&job),
		{"max-new-tokens", OPTION_NUMBER, &s.max_new_tokens, "N", "tokens of a completion at the most (200)"},
		{"temperature", OPTION_REAL, &s.temperature, "X", "0: greedy (0)"},
		{"top-k", OPTION_NUMBER, &s.top_k, "N", "draw among the N likeliest tokens; 0: all (0)"},
		{"top-p", OPTION_REAL, &s.top_p, "X", "draw among the likeliest tokens that reach X (1)"},
		{"seed", OPTION_NUMBER, &job.seed, "N", "of the draws (1)"},
		{"slots", OPTION_NUMBER, &job.slots, "N", "rows decoded together (64)"},
		{"token-nll", OPTION_FLAG, &s.token_nll, NULL, "write the negative log-likelihood of every token"},
		JOB_DEVICE(&job),
		{0},
	};
	int go = options_parse(&cmd_generate, rows, args, err);
	if (go <= 0)
		return go;
	int rc = options_expect(&cmd_generate, args, 0, 0, err) || check_settings(&s, &job, err) ||
		 job_open(&job, args, false, err) || generate(&job, &s, err);
	return job_close(&job, rc ? -1 : 0, err);
}

const struct command cmd_generate = {"generate", "completions of prompts", NULL, run, 0};
