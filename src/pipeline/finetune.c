// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/finetune.h"

#include <stdlib.h>

#include "src/base/tree.h"
#include "src/dataset/rows.h"
#include "src/model/export.h"
#include "src/pipeline/completions.h"
#include "src/pipeline/evaluate.h"
#include "src/student/train_set.h"

const char *finetune_name(const struct run *run)
{
	return run->plan->training.kind.full ? "checkpoint" : "adapter";
}

/* ---- rows ------------------------------------------------------------------------------------------------- */

struct lengths {
	int64_t answer; /* that the student will be given */
	size_t too_long, longer; /* rows left out, answers of more tokens */
};

/* A prompt that leaves no room for its completion teaches nothing and is left out. */
static int add_row(struct train_set *set, struct student *student, const struct rows *rows, size_t i,
		   struct example_ids *ids, struct lengths *lengths, struct err *err)
{
	struct json_value root = json_root(rows->row[i].doc);
	const char *prompt, *completion, *domain;
	if (json_get_string(json_in(root, "prompt"), &prompt, NULL, err) ||
	    json_get_string(json_in(root, "completion"), &completion, NULL, err) ||
	    json_get_string(json_in(root, "domain"), &domain, NULL, err))
		return row_refuse(rows, i, err);
	const struct train_row_info info = {.key = (uint32_t)(row_key_of(&rows->row[i].id) % UINT32_MAX),
					    .line = rows->row[i].line, .domain = domain};
	if (completions_encode(student, prompt, completion, ids, err))
		return row_refuse(rows, i, err);
	if ((int64_t)ids->prompt.n >= set->max_length) {
		lengths->too_long++;
		return 0;
	}
	lengths->longer += (int64_t)ids->target.n > lengths->answer;
	return train_set_add(set, ids, &info, err) ? row_refuse(rows, i, err) : 0;
}

static void tell_lengths(const struct run *run, const struct train_set *set, const struct lengths *lengths)
{
	const struct voice *voice = run->options->voice;
	const long long most = set->max_length;
	if (set->cut)
		voice_say(voice, "%zu rows are longer than %lld tokens and lose their last", set->cut, most);
	if (lengths->too_long)
		voice_say(voice, "%zu rows are left out: their prompts alone have %lld tokens or more", lengths->too_long, most);
	if (lengths->longer && evaluate_wanted(run, run->stages - 1)) /* where any stage is, the last is */
		voice_say(voice, "%zu of %zu answers to learn from are longer than evaluation.max_new_tokens, %lld: the student's own "
			  "may be cut off before they end", lengths->longer, set->n, (long long)lengths->answer);
}

static int encode_rows(struct train_set *set, struct run *run, struct student *student, const struct rows *rows,
		       struct err *err)
{
	const struct train_config *config = &run->plan->training;
	struct lengths lengths = {.answer = run->plan->evaluation.max_new_tokens};
	struct example_ids ids = {0};
	int rc = 0;
	set->max_length = config->max_length < student->model->positions ? config->max_length : student->model->positions;
	set->completion_only = config->completion_only_loss;
	for (size_t i = 0; !rc && i < rows->n; i++)
		rc = add_row(set, student, rows, i, &ids, &lengths, err);
	example_release(&ids);
	train_set_finish(set);
	if (!rc)
		tell_lengths(run, set, &lengths);
	if (!rc && rows->n && !set->n)
		rc = err_set(err, ERR_DATA, "%s: every prompt is too long for the %lld tokens of max_length and the student",
			     rows->path, (long long)set->max_length);
	return rc;
}

/* ---- training ------------------------------------------------------------------------------------------------ */

static void note(void *context, const char *message)
{
	voice_say(context, "%s", message);
}

static enum dtype stored_dtype(const struct model_config *config)
{
	return config->has_dtype ? config->dtype : DTYPE_F32;
}

/* A run is held to its learning rate, and what it bought is the user's. */
static int advise(struct err *err)
{
	struct err copy = *err;
	return err_set(err, ERR_NOTFINITE, "%s (of the stage's train.jsonl). A run keeps its plan: begin another one, with "
		       "teacher.reuse: FILE in its plan, which buys nothing again that 'baldistill ledger export RUN --output FILE' saves of this one",
		       copy.message);
}

static int learn(const struct run *run, struct trainee *trainee, const struct train_set *set, const char *directory,
		 struct err *err)
{
	const struct voice *voice = run->options->voice;
	const struct train_files files = {.directory = directory, .progress = voice_progress(voice), .note = note,
					  .context = (void *)voice, .restart = true};
	struct train_result result;
	if (tree_make(directory, 0777, err))
		return -1;
	if (student_train(trainee, set->rows, set->n, &run->plan->training.options, &files, &result, err))
		return err->code == ERR_NOTFINITE ? advise(err) : -1;
	if (!result.resumed_from && result.last_loss > result.first_loss)
		voice_say(voice, "the loss rose from %.4g to %.4g: a lower training.learning_rate may be wanted, in another run",
			  result.first_loss, result.last_loss);
	return 0;
}

static int export(const struct run *run, const struct student *student, const struct trainee *trainee,
		  const char *directory, struct err *err)
{
	const char *base = run->plan->student.model_name_or_path;
	const struct model_config *config = &student->model->config;
	if (tree_remove(directory, err) || tree_make(directory, 0777, err))
		return -1;
	return trainee->full ? export_trained(directory, base, config, &trainee->params, stored_dtype(config), err)
			     : adapter_save(trainee->adapter, directory, base, err);
}

static int copy_log(const char *to, const char *from, struct err *err)
{
	static const char name[] = "trainer_log.jsonl";
	char *source = tree_join(from, name, err), *copy = source ? tree_join(to, name, err) : NULL;
	int rc = copy ? tree_copy(copy, source, err) : -1;
	free(copy);
	free(source);
	return rc;
}

/*
 * What is published leaves `work` before the ledger knows of it, and is removed where a kill comes between; the last
 * checkpoint and the log stay until then, so that the next start makes the result from them.
 */
static int train(const struct run *run, struct student *student, const struct train_set *set, const char *work,
		 struct err *err)
{
	char *training = tree_join(work, "training", err);
	char *result = training ? tree_join(work, finetune_name(run), err) : NULL;
	struct trainee trainee = {0};
	int rc = !result || trainee_open(&trainee, student->model, &run->plan->training.kind, err) ||
				 (set->n && learn(run, &trainee, set, training, err)) ||
				 export(run, student, &trainee, result, err) ||
				 (set->n && copy_log(result, training, err))
			 ? -1 : 0;
	trainee_close(&trainee);
	free(result);
	free(training);
	return rc;
}

/* Nothing bought so far is of use: a later stage may still get something, and until then the student is its base. */
static int without_rows(const struct run *run, int64_t k, struct err *err)
{
	if (k + 1 == run->stages)
		return err_set(err, ERR_BUDGET, "not one row to train on: the teacher gave no answer of use (their causes are told above, "
			       "and stand in %s/stage-%lld/collected.json). Another run buys the same: raise teacher.max_tokens where they "
			       "were cut ('length'), else mend task.prompts, before you name another output_dir", run->directory, (long long)k);
	voice_say(run->options->voice, "not one row to train on yet: the student stays as it is");
	return 0;
}

static int train_file(struct run *run, int64_t k, const char *path, const char *work, struct err *err)
{
	struct rows rows = {0};
	struct train_set set = {0};
	struct student *student = NULL;
	int rc = rows_load(&rows, path, err);
	if (!rc && !rows.n)
		rc = without_rows(run, k, err);
	if (!rc)
		rc = (student = completions_student(run->plan, NULL, err)) ? 0 : -1;
	if (!rc)
		rc = encode_rows(&set, run, student, &rows, err) || train(run, student, &set, work, err) ? -1 : 0;
	train_set_release(&set);
	student_close(student);
	rows_release(&rows);
	return rc;
}

int finetune_step(struct run *run, int64_t k, const char *work, struct err *err)
{
	if (training_rows_write(run, k, work, err))
		return -1;
	if (run->method->draw == DRAW_NONE)
		return 0;
	char *path = tree_join(work, "train.jsonl", err);
	int rc = path ? train_file(run, k, path, work, err) : -1;
	free(path);
	return rc;
}
