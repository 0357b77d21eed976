// SPDX-License-Identifier: Apache-2.0
/*
 * IFD of candidates: the student answers each, greedily, and its answer is
 * scored with and without the prompt. What decoding has told of the first pass
 * is kept, so only the second is run.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/tree.h"
#include "src/pipeline/completions.h"
#include "src/pipeline/finetune.h"
#include "src/pipeline/select.h"
#include "src/student/score.h"

struct difficulty {
	struct run *run;
	const size_t *row;
	size_t n;
	struct student *student;
	struct score_row *target;     /* [n] */
	struct example_ids *gold;     /* [n], for `ifd_target: gold` */
	struct completions generated;
};

static void tell_too_long(const struct difficulty *d, size_t n)
{
	if (n)
		voice_say(d->run->options->voice, "%zu candidates are too long for the student: ranked last", n);
}

/* Targets are what the student said; an empty answer is no target and ranks last. */
static int generate(struct difficulty *d, const char *const *prompt, const char *work, struct err *err)
{
	char *path = tree_join(work, "completions.jsonl", err);
	struct completions_job job = {.student = d->student, .plan = d->run->plan, .prompt = prompt, .n = d->n,
				      .max_new_tokens = d->run->plan->selection.max_new_tokens, .path = path,
				      .label = "select", .voice = d->run->options->voice};
	int rc = path ? completions_make(&d->generated, &job, err) : -1;
	for (size_t i = 0; !rc && i < d->n; i++) {
		const struct completion *c = &d->generated.row[i];
		bool empty = c->tokens - c->stopped <= 0 || !c->n;
		d->target[i] = (struct score_row){.target = c->ids, .target_n = empty ? 0 : c->tokens, .conditional = c->logp};
	}
	if (!rc)
		tell_too_long(d, d->generated.too_long);
	free(path);
	return rc;
}

static int encode_gold(struct difficulty *d, const char *const *prompt, struct err *err)
{
	size_t too_long = 0;
	d->gold = mem_array(d->n, sizeof *d->gold, err);
	int rc = d->gold ? 0 : -1;
	for (size_t i = 0; !rc && i < d->n; i++) {
		const char *label = d->run->data.pool.row[d->row[i]].label;
		char *text = answer_close("", 0, (struct span){label, strlen(label)}, err);
		rc = text ? completions_encode(d->student, prompt[i], text, &d->gold[i], err) : -1;
		free(text);
		d->target[i] = (struct score_row){d->gold[i].prompt.ids, (int64_t)d->gold[i].prompt.n,
						  d->gold[i].target.ids, (int64_t)d->gold[i].target.n, NULL};
		if (d->target[i].prompt_n + d->target[i].target_n > d->student->model->positions) {
			d->target[i].target_n = 0;
			too_long++;
		}
	}
	if (!rc)
		tell_too_long(d, too_long);
	return rc;
}

/* Rows without a target keep a score without value. */
static int score_targets(struct difficulty *d, struct ifd_score *score, struct err *err)
{
	struct score_row *rows = mem_array(d->n, sizeof *rows, err);
	struct ifd_score *out = mem_array(d->n, sizeof *out, err);
	struct score_options options = {.bos = d->student->bos, .memory = d->run->plan->student.memory};
	struct progress progress;
	size_t n = 0;
	for (size_t i = 0; rows && i < d->n; i++)
		if (d->target[i].target_n)
			rows[n++] = d->target[i];
	int rc = rows && out ? 0 : -1;
	if (!rc && n) {
		progress_begin(&progress, voice_progress(d->run->options->voice), "score", "passes",
			       d->gold ? 2 * n : n, 0);
		rc = student_score(d->student->model, rows, n, &options, out, &progress, err);
		progress_finish(&progress);
	}
	n = 0;
	for (size_t i = 0; !rc && i < d->n; i++)
		score[i] = d->target[i].target_n ? out[n++]
						 : (struct ifd_score){.nll_conditional = NAN, .nll_unconditional = NAN,
								      .ppl_conditional = NAN, .ppl_unconditional = NAN, .ifd = NAN};
	free(rows);
	free(out);
	return rc;
}

static int score_all(struct difficulty *d, struct ifd_score *score, const char *work, struct err *err)
{
	const char **prompt = data_prompts(&d->run->data, &d->run->data.pool, d->row, d->n, err);
	if (!prompt)
		return -1;
	bool gold = d->run->plan->selection.ifd_target == TARGET_GOLD;
	int rc = (gold ? encode_gold(d, prompt, err) : generate(d, prompt, work, err)) || score_targets(d, score, err) ? -1 : 0;
	data_prompts_free(prompt, d->n);
	return rc;
}

int difficulty_score(struct ifd_score *score, struct run *run, int64_t k, const size_t *row, size_t n, const char *work,
		     struct err *err)
{
	struct difficulty d = {.run = run, .row = row, .n = n};
	char *trained = k ? run_path(run, k - 1, finetune_name(run), err) : NULL;
	if (k && !trained)
		return -1;
	d.target = mem_array(n, sizeof *d.target, err);
	d.student = d.target ? completions_student(run->plan, trained, err) : NULL;
	int rc = d.student ? score_all(&d, score, work, err) : -1;
	for (size_t i = 0; d.gold && i < n; i++)
		example_release(&d.gold[i]);
	free(d.gold);
	completions_release(&d.generated);
	student_close(d.student);
	free(d.target);
	free(trained);
	return rc;
}
