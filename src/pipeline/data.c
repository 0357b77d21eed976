// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/data.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/jsonfile.h"
#include "src/dataset/rows.h"
#include "src/teacher/teacher.h"

enum { USUAL_SAMPLE = 1000 }; /* inputs */

/* ---- loading ----------------------------------------------------------------------------------- */

static int mark_heads(struct data *data, const struct plan_task *task, struct err *err)
{
	if (task->head_domains.list)
		return examples_head_named(&data->pool, task->head_domains.list, task->head_domains.n, err);
	examples_head_above(&data->pool, (size_t)task->head_above);
	return 0;
}

static int list_domains(struct data *data, struct err *err)
{
	data->l = data->pool.l;
	data->names = arena_array(&data->arena, data->l, sizeof *data->names, err);
	data->head = arena_array(&data->arena, data->l, sizeof *data->head, err);
	if (!data->names || !data->head)
		return -1;
	for (size_t d = 0; d < data->l; d++) {
		data->names[d] = arena_strdup(&data->arena, data->pool.domain[d].name, err);
		data->head[d] = data->pool.domain[d].head;
		if (!data->names[d])
			return -1;
	}
	if (data->task.type == ANSWER_CLASS) {
		data->task = (struct answer_task){ANSWER_CLASS, data->names, data->l};
		data->names_index = answer_index_new(&data->task, err);
		if (!data->names_index)
			return -1;
	}
	data->listed = prompt_domains(data->names, data->l, err);
	return data->listed ? 0 : -1;
}

static int load_pool(struct data *data, const struct plan *plan, struct err *err)
{
	const struct plan_task *task = &plan->task;
	if (examples_load(&data->pool, task->train, data->task.type, &task->fields, err))
		return -1;
	if (!task->keep_duplicates && examples_drop_duplicates(&data->pool, &data->duplicates, err))
		return -1;
	if (task->domains.list && examples_expect_domains(&data->pool, task->domains.list, task->domains.n, err))
		return -1;
	return mark_heads(data, task, err) || list_domains(data, err) ? -1 : 0;
}

static bool has_domain(const struct data *data, const char *name)
{
	size_t d = 0;
	while (d < data->l && strcmp(data->names[d], name))
		d++;
	return d < data->l;
}

/* Every domain of the test set must be one of the task. */
static int check_test(const struct data *data, struct err *err)
{
	for (size_t i = 0; i < data->test.n; i++) {
		const struct example *row = &data->test.row[i];
		const char *name = data->test.domain[row->domain].name;
		if (!has_domain(data, name))
			return err_set(err, ERR_DATA, "%s:%zu: no example of the training file is of domain '%s'",
				       data->test.path, row->line, name);
	}
	return 0;
}

static int load_test(struct data *data, const struct plan *plan, struct err *err)
{
	const char *path = plan->evaluation.on == EVALUATE_VALID ? plan->task.valid : plan->task.test;
	if (!path)
		return 0;
	if (examples_load(&data->test, path, data->task.type, &plan->task.fields, err) || check_test(data, err))
		return -1;
	return 0;
}

static int sample_usual(struct data *data, struct err *err)
{
	const size_t n = data->pool.n < USUAL_SAMPLE ? data->pool.n : USUAL_SAMPLE;
	const char *texts[USUAL_SAMPLE];
	for (size_t i = 0; i < n; i++)
		texts[i] = data->pool.row[i * data->pool.n / n].input;
	data->usual = copies_new(texts, n, NULL, err);
	return data->usual ? 0 : -1;
}

/* Inputs that no synthetic example may copy: the test file's, also where another one is evaluated on. */
static int index_test(struct data *data, const struct plan *plan, struct err *err)
{
	struct examples own, *test = &data->test;
	examples_init(&own);
	if (plan->task.test && plan->evaluation.on == EVALUATE_VALID)
		test = &own;
	int rc = test == &own ? examples_load(&own, plan->task.test, data->task.type, &plan->task.fields, err) : 0;
	const char **texts = rc ? NULL : mem_array(test->n, sizeof *texts, err);
	for (size_t i = 0; texts && i < test->n; i++)
		texts[i] = test->row[i].input;
	data->test_copies = texts ? copies_new(texts, test->n, data->usual, err) : NULL;
	free(texts);
	examples_release(&own);
	return data->test_copies ? 0 : -1;
}

void data_release(struct data *data)
{
	copies_free(data->test_copies);
	copies_free(data->usual);
	examples_release(&data->test);
	examples_release(&data->pool);
	prompts_release(&data->prompts);
	answer_index_free(data->names_index);
	free(data->listed);
	free(data->by_domain);
	free(data->begin);
	free(data->by_id);
	arena_release(&data->arena);
	*data = (struct data){0};
}

/* ---- what a recorded teacher knows ----------------------------------------------------------------- */

/* What a row of the cassette says, or that there is none; a run would ask again where `again` is set. */
struct recorded {
	bool answered, again;
};

static void note_answer(void *context, const struct teacher_reply *reply)
{
	const struct teacher_outcome *o = &reply->outcome;
	struct recorded *recorded = context;
	recorded->answered = o->state == TEACHER_ANSWERED;
	recorded->again = o->state == TEACHER_RELEASED || (o->state == TEACHER_IN_DOUBT && o->retry);
}

static int ask_one(struct data *data, const struct plan *plan, struct teacher_source *source, size_t i, bool *unknown,
		   struct err *err)
{
	const struct example *row = &data->pool.row[i];
	struct teacher_question q = {.tag = i, .kind = "annotate", .domain = data->pool.domain[row->domain].name,
				     .input = row->input, .input_n = strlen(row->input)};
	char *id = data_id(&row->id, err), *body = id ? data_annotation(data, plan, row, &q.body_n, err) : NULL;
	q.id = id;
	q.body = body;
	struct recorded recorded = {.again = true};
	int rc = body ? 0 : -1;
	for (; !rc && recorded.again; q.attempt++) {
		recorded = (struct recorded){0};
		rc = source->ask(source, &q, err) || source->poll(source, 0, note_answer, &recorded, err) < 0 ? -1 : 0;
	}
	unknown[i] = !recorded.answered;
	free(body);
	free(id);
	return rc;
}

static int restrict_pool(struct data *data, const struct plan *plan, struct err *err)
{
	if (plan->teacher.kind != TEACHER_RECORDED || !plan->teacher.restrict_pool)
		return 0;
	const struct teacher_recorded_config config = {.path = plan->teacher.cassette, .skip_missing = true};
	struct teacher_source *source = teacher_recorded_open(&config, err);
	if (!source)
		return -1;
	size_t n = data->pool.n;
	bool *unknown = mem_array(n, sizeof *unknown, err);
	int rc = unknown ? 0 : -1;
	for (size_t i = 0; !rc && i < n; i++)
		rc = ask_one(data, plan, source, i, unknown, err);
	if (!rc)
		rc = examples_remove(&data->pool, unknown, err);
	free(unknown);
	source->close(source);
	data->unrecorded = n - data->pool.n;
	if (!rc && !data->pool.n)
		rc = err_set(err, ERR_DATA, "%s: it annotates no example of the training file", plan->teacher.cassette);
	return rc;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

/* Names of this form are given to the rows that a run makes. */
static int check_ids(const struct data *data, struct err *err)
{
	for (size_t i = 0; i < data->pool.n; i++) {
		const struct example *row = &data->pool.row[i];
		if (!row->id.is_number && (!strncmp(row->id.text, "synthetic/", 10) || !strncmp(row->id.text, "repeat/", 7)))
			return err_set(err, ERR_DATA, "%s:%zu: ids that begin with synthetic/ or repeat/ are a run's own; rename it",
				       data->pool.path, row->line);
	}
	return 0;
}

int data_load(struct data *data, const struct plan *plan, struct err *err)
{
	*data = (struct data){.task.type = (enum answer_type)plan->task.type};
	arena_init(&data->arena);
	examples_init(&data->pool);
	examples_init(&data->test);
	if (!prompts_load(&data->prompts, data->task.type, plan->task.prompts, err) && !load_pool(data, plan, err) &&
	    !restrict_pool(data, plan, err) && !check_ids(data, err) && !data_index(data, err) && !load_test(data, plan, err) &&
	    !sample_usual(data, err) && !index_test(data, plan, err))
		return 0;
	data_release(data);
	return -1;
}

/* ---- ids -------------------------------------------------------------------------------------------- */

char *data_id(const struct ifd_id *id, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	if (id->is_number)
		json_put_int(&w, id->number);
	else
		json_put_string(&w, id->text, strlen(id->text));
	return json_take(&w, NULL, err);
}
