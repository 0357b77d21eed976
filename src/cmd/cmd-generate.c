// SPDX-License-Identifier: Apache-2.0
/* generate: a completion for every row. */
#include <stdlib.h>

#include "src/base/mem.h"
#include "src/cmd/generation.h"
#include "src/cmd/work.h"

struct settings {
	struct generate_options options;
	uint64_t max_new_tokens, top_k;
	double temperature, top_p;
	bool token_nll;
};

/* ---- prompts ---------------------------------------------------------------------- */

static int check_prompt(const struct job *job, size_t i, size_t n, struct err *err)
{
	if (n)
		return job_check_length(job, i, n + 1, err); /* one position for a token */
	err_set(err, ERR_DATA, "the prompt is empty, and the tokenizer has no beginning token");
	return row_refuse(&job->rows, i, err);
}

static int encode_prompt(struct job *job, size_t i, struct example_ids *example, struct generate_row *row, struct err *err)
{
	struct job_text text;
	if (job_text(&job->rows, i, false, &text, err))
		return -1;
	int rc = example_encode(job->student, &text.text, example, err) ? row_refuse(&job->rows, i, err)
									: check_prompt(job, i, example->prompt.n, err);
	job_text_release(&text);
	int32_t *ids = rc ? NULL : mem_dup(example->prompt.ids, example->prompt.n * sizeof *ids, err);
	*row = (struct generate_row){ids, (int64_t)example->prompt.n, row_key_of(&job->rows.row[i].id)};
	return ids ? 0 : -1;
}

/* All rows, so that a bad one is told before the work; the prompts' ids are owned, also after a failure. */
static int encode_prompts(struct job *job, struct generate_row *rows, struct err *err)
{
	struct example_ids example = {0};
	int rc = 0;
	for (size_t i = 0; !rc && i < job->rows.n; i++)
		rc = encode_prompt(job, i, &example, &rows[i], err);
	example_release(&example);
	return rc;
}

/* ---- the command ------------------------------------------------------------------------- */

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

/* The settings that work_name does not know. */
static int name_work(const struct job *job, const struct settings *s, char hex[HASH_HEX_ROOM], struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	json_member_text(&w, "command", "generate");
	json_member_int(&w, "max_new_tokens", (int64_t)s->max_new_tokens);
	json_member_double(&w, "temperature", s->temperature);
	json_member_int(&w, "top_k", (int64_t)s->top_k);
	json_member_double(&w, "top_p", s->top_p);
	json_member_int(&w, "token_nll", s->token_nll);
	json_end_object(&w);
	const char *text = json_writer_text(&w, NULL, err);
	int rc = text ? work_name(hex, job, text, err) : -1;
	json_writer_release(&w);
	return rc;
}

static int generate(struct job *job, const struct settings *s, bool quiet, struct err *err)
{
	char name[HASH_HEX_ROOM];
	struct generate_row *rows = mem_array(job->rows.n, sizeof *rows, err);
	const struct generation generation = {job, &s->options, s->token_nll, rows, name, quiet};
	int rc = !rows || encode_prompts(job, rows, err) || (job->output && name_work(job, s, name, err)) ||
		 generation_run(&generation, err) ? -1 : 0;
	for (size_t i = 0; rows && i < job->rows.n; i++)
		free((void *)(uintptr_t)rows[i].prompt);
	free(rows);
	return rc;
}

static int run(struct arguments *args, struct err *err)
{
	struct job job;
	struct settings s = {.max_new_tokens = 200, .top_p = 1};
	job_defaults(&job);
	job.in_blocks = true;
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
		 job_open(&job, args, false, err) || generate(&job, &s, args->quiet, err);
	return job_close(&job, rc ? -1 : 0, err);
}

const struct command cmd_generate = {"generate", "completions of prompts", NULL, run, 0};
