// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/evaluate.h"

#include <stdlib.h>

#include "src/base/jsonfile.h"
#include "src/base/tree.h"
#include "src/dataset/rows.h"
#include "src/pipeline/completions.h"
#include "src/pipeline/finetune.h"
#include "src/pipeline/scoring.h"

bool evaluate_wanted(const struct run *run, int64_t k)
{
	int64_t stages = run->plan->evaluation.stages;
	return run->data.test.n && stages != EVALUATE_NONE && (stages == EVALUATE_ALL || k == run->stages - 1);
}

/* ---- files ------------------------------------------------------------------------------------------------ */

static int write_prediction(struct file_writer *writer, const struct ifd_id *id, const struct completion *c,
			    struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	row_put_id(&w, id);
	json_put_key(&w, "prediction");
	json_put_string(&w, c->text ? c->text : "", c->n);
	json_end_object(&w);
	return json_save_row(&w, writer, err);
}

int predictions_save(const struct examples *gold, const struct completions *done, const char *path, struct err *err)
{
	struct file_writer writer;
	if (file_writer_open(&writer, path, 0666, err))
		return -1;
	for (size_t i = 0; i < done->n; i++)
		if (write_prediction(&writer, &gold->row[i].id, &done->row[i], err)) {
			file_writer_abort(&writer);
			return -1;
		}
	return file_writer_commit(&writer, err);
}

static int save_metrics(const struct scoring *scoring, const char *path, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	scoring_put(&w, scoring);
	return json_save(&w, path, 0666, err);
}

static int score(const struct run *run, const struct completions *done, const char *path, struct err *err)
{
	const struct scoring_options options = {.task = &run->data.task, .domains = run->data.names, .head = run->data.head,
						.l = run->data.l, .bootstrap = run->plan->evaluation.bootstrap,
						.seed = run->plan->seed};
	const char **prediction = mem_array(done->n, sizeof *prediction, err);
	struct scoring scoring;
	if (!prediction)
		return -1;
	for (size_t i = 0; i < done->n; i++)
		prediction[i] = done->row[i].text;
	int rc = scoring_compute(&scoring, &run->data.test, prediction, &options, err);
	free(prediction);
	if (rc)
		return -1;
	rc = save_metrics(&scoring, path, err);
	scoring_release(&scoring);
	return rc;
}

/* ---- predictions --------------------------------------------------------------------------------------------- */

/* The stage's student; the base where the method trains nothing. */
static struct student *open_student(const struct run *run, int64_t k, struct err *err)
{
	if (run->method->draw == DRAW_NONE)
		return completions_student(run->plan, NULL, err);
	char *trained = run_path(run, k, finetune_name(run), err);
	struct student *student = trained ? completions_student(run->plan, trained, err) : NULL;
	free(trained);
	return student;
}

static int predict(struct completions *done, struct run *run, int64_t k, const char *work, struct err *err)
{
	char *path = tree_join(work, "completions.jsonl", err);
	const char **prompt = path ? data_prompts(&run->data, &run->data.test, NULL, run->data.test.n, err) : NULL;
	struct student *student = prompt ? open_student(run, k, err) : NULL;
	struct completions_job job = {.student = student, .plan = run->plan, .prompt = prompt, .n = run->data.test.n,
				      .max_new_tokens = run->plan->evaluation.max_new_tokens, .path = path,
				      .label = "evaluate", .voice = run->options->voice};
	int rc = student ? completions_make(done, &job, err) : -1;
	if (!rc)
		completions_tell(done, &job);
	student_close(student);
	data_prompts_free(prompt, run->data.test.n);
	free(path);
	return rc;
}

int evaluate_step(struct run *run, int64_t k, const char *work, struct err *err)
{
	struct completions done = {0};
	if (!evaluate_wanted(run, k))
		return 0;
	char *predictions = tree_join(work, "predictions.jsonl", err);
	char *metrics = predictions ? tree_join(work, "metrics.json", err) : NULL;
	int rc = !metrics || predict(&done, run, k, work, err) || predictions_save(&run->data.test, &done, predictions, err) ||
				 score(run, &done, metrics, err)
			 ? -1 : 0;
	completions_release(&done);
	free(predictions);
	free(metrics);
	return rc;
}
