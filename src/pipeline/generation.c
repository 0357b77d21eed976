// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/generation.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/jsonfile.h"
#include "src/base/mem.h"
#include "src/base/part.h"
#include "src/base/text.h"

/* ---- rows of output ----------------------------------------------------------------- */

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
	json_member_double(w, "nll", sum / (double)out->n);
	if (!each)
		return;
	json_put_key(w, "token_nll");
	json_begin_array(w);
	for (int64_t i = 0; i < out->n; i++)
		json_put_double(w, -(double)out->logp[i]);
	json_end_array(w);
}

static int write_row(struct job *job, size_t i, const struct generated *out, bool token_nll, struct json_rows *block,
		     struct err *err)
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
	json_member_text(&w, "finish_reason", out->stopped ? "stop" : "length");
	json_member_int(&w, "completion_tokens", out->n);
	put_nll(&w, out, token_nll);
	json_end_object(&w);
	int rc = json_rows_add(block, &w, err);
	free(text);
	return rc;
}

/* ---- blocks ---------------------------------------------------------------------------- */

static int fill_block(const struct generation *g, size_t first, size_t n, struct json_rows *block, struct progress *progress,
		      struct err *err)
{
	struct generated *out = mem_array(n, sizeof *out, err);
	if (!out)
		return -1;
	int rc = student_generate(g->job->student->model, g->rows + first, n, g->options, out, progress, err);
	for (size_t i = 0; !rc && i < n; i++)
		rc = write_row(g->job, first + i, &out[i], g->token_nll, block, err);
	for (size_t i = 0; i < n; i++)
		generated_release(&out[i]);
	free(out);
	return rc;
}

/* Into part or, where it is NULL, to the job's own output: finished rows do not wait for later ones. */
static int keep_block(const struct generation *g, struct part *part, const struct json_rows *block, struct err *err)
{
	return part ? part_add(part, block->text, block->n, err) : job_put(g->job, block->text, block->n, err);
}

static size_t done_rows(const struct generation *g, const struct part *part)
{
	size_t done = part->blocks * (size_t)generate_block(g->job->student->model, g->options);
	return done < g->job->rows.n ? done : g->job->rows.n;
}

static int run_blocks(const struct generation *g, struct part *part, struct err *err)
{
	size_t rows = g->job->rows.n, most = (size_t)generate_block(g->job->student->model, g->options), first = part ? done_rows(g, part) : 0;
	struct progress progress;
	struct json_rows block = {0};
	int rc = 0;
	progress_begin(&progress, g->job->voice.progress, "generate", "rows", rows, first);
	for (size_t n; !rc && first < rows; first += n) {
		n = rows - first < most ? rows - first : most;
		block.n = 0;
		rc = fill_block(g, first, n, &block, &progress, err) || keep_block(g, part, &block, err) ? -1 : 0;
	}
	progress_finish(&progress);
	free(block.text);
	return rc;
}

static void say_start(const struct generation *g, const struct part *part)
{
	const struct voice *voice = &g->job->voice;
	char shown[512];
	text_escape(shown, sizeof shown, part->path, strlen(part->path));
	if (part->dropped)
		voice_say(voice, "generate: '%s' holds other work (model, rows or options); starting anew", shown);
	else if (part->blocks)
		voice_say(voice, "generate: '%s' holds %zu of %zu rows; going on", shown, done_rows(g, part), g->job->rows.n);
}

int generation_run(const struct generation *g, struct err *err)
{
	struct part part;
	if (!g->job->output)
		return run_blocks(g, NULL, err);
	if (part_open(&part, g->job->output, g->name, err))
		return -1;
	say_start(g, &part);
	int rc = run_blocks(g, &part, err) || part_finish(&part, err) ? -1 : 0;
	part_close(&part);
	return rc;
}
