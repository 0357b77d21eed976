// SPDX-License-Identifier: Apache-2.0
/*
 * inspect: every row as the tokens that score counts, with the loss mask shown.
 *
 *     row crude-2: 34 prompt tokens, 3 targets
 *     <|begin|>|Name|Ġthe| ... |T|opic|:[Ġoil][<|end|>]
 *
 * Tokens are written as the vocabulary spells them. Between those of the
 * prompt stands a bar; each target stands in brackets, green on a terminal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/grown.h"
#include "src/base/text.h"
#include "src/cmd/job.h"

static const struct style {
	const char *prompt, *target, *end;
} plain = {"", "", ""}, colour = {"\033[2m", "\033[1;32m", "\033[0m"};

/* Text from outside on one line: what text_escape leaves of it, with newline, tab and backslash as \n, \t and \\. */
static void show_safely(struct grown *out, const char *text, size_t n)
{
	static const char letters[] = "\n\t\\", *const words[] = {"\\n", "\\t", "\\\\"};
	for (size_t at = 0; at < n;) {
		size_t length = text_utf8_length(text + at, n - at);
		length = length ? length : 1;
		const char *letter = text[at] ? strchr(letters, text[at]) : NULL;
		char safe[4 * 4 + 1];
		grown_put(out, letter ? words[letter - letters] : text_escape(safe, sizeof safe, text + at, length));
		at += length;
	}
}

/* An id without a token, which a model with spare rows can write, by its number. */
static void show_token(struct grown *out, const struct job *job, int32_t id)
{
	size_t n;
	const char *token = tokenizer_token(job->student->tokenizer, id, &n);
	if (token)
		show_safely(out, token, n);
	else
		grown_putf(out, "<id %d>", id);
}

static void show_head(struct grown *out, const struct ifd_id *id, const struct example_ids *example)
{
	grown_put(out, "row ");
	if (id->is_number)
		grown_putf(out, "%lld", (long long)id->number);
	else
		show_safely(out, id->text, strlen(id->text));
	grown_putf(out, ": %zu prompt token%s, %zu target%s\n", example->prompt.n, example->prompt.n == 1 ? "" : "s",
		   example->target.n, example->target.n == 1 ? "" : "s");
}

static void show_row(struct grown *out, const struct job *job, size_t i, const struct example_ids *example,
		     const struct style *style)
{
	show_head(out, &job->rows.row[i].id, example);
	grown_put(out, style->prompt);
	for (size_t t = 0; t < example->prompt.n; t++) {
		grown_put(out, t ? "|" : "");
		show_token(out, job, example->prompt.ids[t]);
	}
	grown_putf(out, "%s%s", style->end, style->target);
	for (size_t t = 0; t < example->target.n; t++) {
		grown_put(out, "[");
		show_token(out, job, example->target.ids[t]);
		grown_put(out, "]");
	}
	grown_putf(out, "%s\n\n", style->end);
}

/* ---- as JSON ---------------------------------------------------------------------- */

static int32_t id_at(const struct example_ids *example, size_t t)
{
	return t < example->prompt.n ? example->prompt.ids[t] : example->target.ids[t - example->prompt.n];
}

static void put_id(struct json_writer *w, const struct job *job, const struct example_ids *example, size_t t)
{
	(void)job;
	json_put_int(w, id_at(example, t));
}

static void put_token(struct json_writer *w, const struct job *job, const struct example_ids *example, size_t t)
{
	size_t n;
	const char *token = tokenizer_token(job->student->tokenizer, id_at(example, t), &n);
	if (token)
		json_put_string(w, token, n);
	else
		json_put_null(w);
}

static void put_mask(struct json_writer *w, const struct job *job, const struct example_ids *example, size_t t)
{
	(void)job;
	json_put_bool(w, t >= example->prompt.n);
}

static int write_json(struct job *job, size_t i, const struct example_ids *example, struct err *err)
{
	static const struct {
		const char *key;
		void (*put)(struct json_writer *, const struct job *, const struct example_ids *, size_t);
	} lists[] = {{"ids", put_id}, {"tokens", put_token}, {"targets", put_mask}};
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	row_put_id(&w, &job->rows.row[i].id);
	json_member_int(&w, "prompt_tokens", (int64_t)example->prompt.n);
	json_member_int(&w, "completion_tokens", (int64_t)example->target.n);
	for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
		json_put_key(&w, lists[l].key);
		json_begin_array(&w);
		for (size_t t = 0; t < example->prompt.n + example->target.n; t++)
			lists[l].put(&w, job, example, t);
		json_end_array(&w);
	}
	json_end_object(&w);
	int rc = job_write(job, &w, err);
	json_writer_release(&w);
	return rc;
}

/* ---- the command ---------------------------------------------------------------------- */

static int write_row(struct job *job, size_t i, const struct example_ids *example, const struct style *style,
		     struct err *err)
{
	struct grown out = {0};
	if (!style)
		return write_json(job, i, example, err);
	show_row(&out, job, i, example, style);
	char *text = grown_take(&out, err);
	int rc = text ? job_put(job, text, strlen(text), err) : -1;
	free(text);
	return rc;
}

/* style NULL: as JSON */
static int inspect(struct job *job, const struct style *style, struct err *err)
{
	struct example_ids example = {0};
	int rc = 0;
	for (size_t i = 0; !rc && i < job->rows.n; i++) {
		struct job_text text;
		rc = job_text(&job->rows, i, true, &text, err);
		if (rc)
			break;
		rc = example_encode(job->student, &text.text, &example, err) ? row_refuse(&job->rows, i, err)
									     : write_row(job, i, &example, style, err);
		job_text_release(&text);
	}
	example_release(&example);
	return rc;
}

static const struct style *style_of(const struct job *job, bool json)
{
	if (json)
		return NULL;
	const char *no = getenv("NO_COLOR");
	return !job->output && isatty(1) && !(no && *no) ? &colour : &plain;
}

static int run(struct arguments *args, struct err *err)
{
	struct job job;
	job_defaults(&job);
	const struct option_row rows[] = {JOB_FILES(&job), {0}};
	int go = options_parse(&cmd_inspect, rows, args, err);
	if (go <= 0)
		return go;
	int rc = options_expect(&cmd_inspect, args, 0, 0, err) || job_open_text(&job, args, err) ||
		 inspect(&job, style_of(&job, args->json), err);
	return job_close(&job, rc ? -1 : 0, err);
}

const struct command cmd_inspect = {"inspect", "rows as tokens, with the targets marked", NULL, run, NEEDS_JSON};
