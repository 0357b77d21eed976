// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/generate_rows.h"

#include <float.h>
#include <stdlib.h>

#include "src/base/mem.h"
#include "src/pipeline/generation.h"
#include "src/pipeline/work.h"

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

/* ---- the work ---------------------------------------------------------------------------- */

static int check_settings(struct generate_options *out, const struct generate_rows_options *o, const struct job *job,
			  struct err *err)
{
	if (!o->max_new_tokens || o->max_new_tokens > 1 << 20)
		return err_set(err, ERR_CONFIG, "'--max-new-tokens' takes 1 to 1048576");
	if (!(o->temperature >= 0 && o->temperature <= (double)FLT_MAX)) /* so that what is no number is refused, too */
		return err_set(err, ERR_CONFIG, "'--temperature' takes a number of 0 or more");
	if (!(o->top_p > 0 && o->top_p <= 1))
		return err_set(err, ERR_CONFIG, "'--top-p' takes a number of more than 0 and at most 1");
	if (o->top_k > INT32_MAX)
		return err_set(err, ERR_CONFIG, "'--top-k' takes at most 2147483647");
	*out = (struct generate_options){.slots = (int64_t)job->slots, .max_new_tokens = (int64_t)o->max_new_tokens,
					 .rule = {(float)o->temperature, (int)o->top_k, (float)o->top_p},
					 .seed = job->seed, .memory = job->memory};
	return 0;
}

/* The settings that work_name does not know. */
static int name_work(const struct job *job, const struct generate_rows_options *s, char hex[HASH_HEX_ROOM], struct err *err)
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

static int generate(struct job *job, const struct generate_rows_options *o, const struct generate_options *options,
		    struct err *err)
{
	char name[HASH_HEX_ROOM];
	struct generate_row *rows = mem_array(job->rows.n, sizeof *rows, err);
	const struct generation generation = {job, options, o->token_nll, rows, name};
	int rc = !rows || encode_prompts(job, rows, err) || (job->output && name_work(job, o, name, err)) ||
		 generation_run(&generation, err) ? -1 : 0;
	for (size_t i = 0; rows && i < job->rows.n; i++)
		free((void *)(uintptr_t)rows[i].prompt);
	free(rows);
	return rc;
}

int generate_rows(struct job *job, const struct generate_rows_options *o, struct err *err)
{
	struct generate_options options;
	job->in_blocks = true;
	return check_settings(&options, o, job, err) || job_begin(job, false, err) || generate(job, o, &options, err) ? -1 : 0;
}
