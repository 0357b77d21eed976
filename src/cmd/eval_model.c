// SPDX-License-Identifier: Apache-2.0
#include "src/cmd/eval_model.h"

#include <stdlib.h>
#include <string.h>

#include "src/cmd/job.h"

static char *list_domains(const struct examples *known, struct err *err)
{
	const char **names = mem_array(known->l, sizeof *names, err);
	for (size_t d = 0; names && d < known->l; d++)
		names[d] = known->domain[d].name;
	char *listed = names ? prompt_domains(names, known->l, err) : NULL;
	free(names);
	return listed;
}

static const char **make_prompts(const struct eval_model *m, const struct examples *gold, const struct examples *known,
				 enum answer_type type, struct err *err)
{
	struct data data = {.task.type = type};
	if (prompts_load(&data.prompts, type, m->prompts, err))
		return NULL;
	data.listed = list_domains(known, err);
	const char **prompt = data.listed ? data_prompts(&data, gold, NULL, gold->n, err) : NULL;
	free(data.listed);
	prompts_release(&data.prompts);
	return prompt;
}

static struct student *open_student(const struct eval_model *m, struct err *err)
{
	struct student_options options = {
		.directory = m->directory, .adapter = m->adapter, .backend = m->backend, .chat_template = m->chat,
		.threads = (int)m->threads, .batch_invariant = m->batch_invariant, .memory = m->memory,
	};
	return job_read_dtype(m->dtype, &options.dtype, err) ? NULL : student_open(&options, err);
}

static int answer(struct completions *done, const struct eval_model *m, struct student *student,
		  const char *const *prompt, size_t n, struct err *err)
{
	const struct plan plan = {.student = {.slots = (int64_t)m->slots, .memory = m->memory}};
	const struct completions_job job = {.student = student, .plan = &plan, .prompt = prompt, .n = n,
					    .max_new_tokens = (int64_t)m->max_new_tokens, .label = "eval", .voice = m->voice};
	int rc = completions_make(done, &job, err);
	if (!rc)
		completions_tell(done, &job);
	return rc;
}

int eval_model_answer(struct completions *done, const struct eval_model *m, const struct examples *gold,
		      const struct examples *known, enum answer_type type, struct err *err)
{
	*done = (struct completions){0};
	const char **prompt = make_prompts(m, gold, known, type, err);
	struct student *student = prompt ? open_student(m, err) : NULL;
	int rc = student ? answer(done, m, student, prompt, gold->n, err) : -1;
	student_close(student);
	data_prompts_free(prompt, gold->n);
	if (rc)
		completions_release(done);
	return rc;
}
