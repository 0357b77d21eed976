// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/rehearsal.h"

#include <stdlib.h>

#include "src/base/tree.h"
#include "src/pipeline/completions.h"
#include "src/student/train_set.h"

enum { LOOKED_AT = 2000 }; /* prompts */

struct rehearsal {
	const struct run *run;
	struct student *student;
	struct train_set set;   /* one call's rows, with the least that a teacher can say */
	struct example_ids ids;
	size_t looked, too_long;
};

static int encode(struct rehearsal *r, size_t row, struct err *err)
{
	const char **prompt = data_prompts(&r->run->data, &r->run->data.pool, &row, 1, err);
	int rc = prompt ? completions_encode(r->student, prompt[0], "The answer is.", &r->ids, err) : -1;
	if (prompt)
		data_prompts_free(prompt, 1);
	return rc;
}

static int look(struct rehearsal *r, size_t row, struct err *err)
{
	const struct train_row_info info = {.key = (uint32_t)row, .line = r->run->data.pool.row[row].line};
	if (encode(r, row, err))
		return -1;
	r->looked++;
	if ((int64_t)r->ids.prompt.n >= r->set.max_length)
		r->too_long++;
	else if ((int64_t)r->set.n < r->run->plan->training.options.per_device_train_batch_size)
		return train_set_add(&r->set, &r->ids, &info, err);
	return 0;
}

static const char *advice(int64_t max_length, int64_t positions)
{
	return positions < max_length ? "shorten task.prompts" : "raise training.max_length";
}

void rehearsal_tell(const struct voice *voice, size_t too_long, size_t n, int64_t max_length, int64_t positions)
{
	const long long most = positions < max_length ? positions : max_length;
	if (too_long)
		voice_say(voice, "%zu of %zu prompts have %lld tokens or more: what is bought for such an example cannot be learned; "
			  "%s, or leave it out of the pool", too_long, n, most, advice(max_length, positions));
}

/* The default is the paper's rate; with it the one small student that was tried hardly named a class (bench/RESULTS.md). */
void rehearsal_tell_rate(const struct voice *voice, const struct plan *plan, const struct model_config *student)
{
	enum { SMALL = 1000000000 };
	const struct train_config *t = &plan->training;
	const uint64_t parameters = model_stored_bytes(student, DTYPE_F32) / sizeof(float);
	if (!t->kind.full && t->options.learning_rate <= train_config_defaults.options.learning_rate && parameters < SMALL)
		voice_say(voice, "training.learning_rate is %g, which suits adapters of students of 7 billion parameters; one of %.3g million "
			  "may hardly learn with it: 1.0e-3 with lora_target_modules: all-linear is a place to begin",
			  t->options.learning_rate, (double)parameters / 1e6);
}

static int refuse_length(const struct rehearsal *r, struct err *err)
{
	const long long asked = r->run->plan->training.max_length, most = r->set.max_length;
	if (most < asked)
		return err_set(err, ERR_CONFIG, "the student takes %lld tokens, and no prompt of '%s' is shorter; shorten task.prompts",
			       most, r->run->plan->task.train);
	return err_set(err, ERR_CONFIG, "training.max_length is %lld, and no prompt of '%s' is shorter; raise it", asked,
		       r->run->plan->task.train);
}

static int look_for_room(struct rehearsal *r, struct err *err)
{
	const int64_t asked = r->run->plan->training.max_length, positions = r->student->model->positions;
	const size_t n = r->run->data.pool.n;
	r->set.max_length = asked < positions ? asked : positions;
	r->set.completion_only = true;
	const size_t sample = n < LOOKED_AT ? n : LOOKED_AT; /* spread: files are often sorted by domain */
	for (size_t i = 0; i < sample; i++)
		if (look(r, i * n / sample, err))
			return -1;
	for (size_t row = 0; row < n && !r->set.n; row++)
		if (look(r, row, err))
			return -1;
	train_set_finish(&r->set);
	if (!r->set.n)
		return refuse_length(r, err);
	if (r->too_long > r->looked / 2)
		return err_set(err, ERR_CONFIG, "%zu of %zu prompts have %lld tokens or more, so that what is bought for them cannot be "
			       "learned; %s, or leave such examples out of the pool",
			       r->too_long, r->looked, (long long)r->set.max_length, advice(asked, positions));
	rehearsal_tell(r->run->options->voice, r->too_long, r->looked, asked, positions);
	return 0;
}

/* One step, of which nothing is kept: what training needs beside its rows is there. */
static int try_step(struct rehearsal *r, struct err *err)
{
	struct train_config config = r->run->plan->training;
	const struct train_files files = {0};
	struct trainee trainee = {0};
	struct train_result result;
	config.options.num_train_epochs = 1;
	int rc = trainee_open(&trainee, r->student->model, &config.kind, err) ||
				 student_train(&trainee, r->set.rows, r->set.n, &config.options, &files, &result, err)
			 ? -1 : 0;
	trainee_close(&trainee);
	return rc;
}

int rehearse(const struct run *run, struct err *err)
{
	struct rehearsal r = {.run = run};
	enum tree_kind kind;
	if (!run->source.teacher || !run->source.teacher->billable)
		return 0;
	char *ledger = tree_join(run->directory, "ledger.db", err);
	int rc = ledger ? tree_look(ledger, &kind, err) : -1;
	free(ledger);
	if (rc || kind != TREE_NOTHING)
		return rc;
	r.student = completions_student(run->plan, NULL, err);
	rc = !r.student || look_for_room(&r, err) || try_step(&r, err) ? -1 : 0;
	if (!rc)
		rehearsal_tell_rate(run->options->voice, run->plan, &r.student->model->config);
	train_set_release(&r.set);
	example_release(&r.ids);
	student_close(r.student);
	return rc;
}
