// SPDX-License-Identifier: Apache-2.0
/* What is said to student and teacher about an example. */
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonfile.h"
#include "src/pipeline/data.h"
#include "src/teacher/request.h"

struct answer_task data_task(const struct data *data, const struct example *example)
{
	if (data->task.type != ANSWER_CHOICE)
		return data->task;
	return (struct answer_task){ANSWER_CHOICE, example->choices, example->n_choices};
}

void data_answer(struct answer *answer, const struct data *data, const struct example *example, const char *text)
{
	struct answer_task task = data_task(data, example);
	answer_extract_by(answer, &task, data->names_index, text, strlen(text));
}

char *data_prompt(const struct data *data, enum prompt_kind kind, const struct example *example, const char *domain,
		  const char *demonstrations, struct err *err)
{
	struct prompt_values values = {.slot = {[SLOT_INPUT] = example->input, [SLOT_LABEL] = example->label,
						[SLOT_DOMAIN] = domain, [SLOT_DOMAINS] = data->listed,
						[SLOT_DEMONSTRATIONS] = demonstrations}};
	char *choices = NULL;
	if (example->n_choices) {
		choices = prompt_choices(example->choices, example->n_choices, err);
		if (!choices)
			return NULL;
		values.slot[SLOT_CHOICES] = choices;
	}
	char *text = prompt_render(&data->prompts, kind, &values, err);
	free(choices);
	return text;
}

const char **data_prompts(const struct data *data, const struct examples *of, const size_t *row, size_t n,
			  struct err *err)
{
	const char **prompt = mem_array(n, sizeof *prompt, err);
	for (size_t i = 0; prompt && i < n; i++) {
		const struct example *example = &of->row[row ? row[i] : i];
		prompt[i] = data_prompt(data, PROMPT_STUDENT, example, of->domain[example->domain].name, NULL, err);
		if (!prompt[i]) {
			data_prompts_free(prompt, i);
			return NULL;
		}
	}
	return prompt;
}

void data_prompts_free(const char **prompt, size_t n)
{
	for (size_t i = 0; prompt && i < n; i++)
		free((char *)prompt[i]);
	free(prompt);
}

char *data_request(const struct plan *plan, const char *prompt, double temperature, size_t *n, struct err *err)
{
	struct teacher_message message = {"user", prompt, strlen(prompt)};
	struct teacher_request request = {
		.model = plan->teacher.model ? plan->teacher.model : "", .messages = &message, .n = 1,
		.temperature = temperature, .max_tokens = plan->teacher.max_tokens,
		.max_completion = plan->teacher.max_completion_tokens, .has_extra = plan->teacher.extra_body != NULL,
	};
	if (request.has_extra)
		request.extra = json_root(plan->teacher.extra_body);
	struct json_writer w;
	json_writer_init(&w, 0);
	teacher_request_write(&w, &request);
	return json_take(&w, n, err);
}

bool data_gold_shown(const struct data *data)
{
	return data->task.type == ANSWER_MATH || data->task.type == ANSWER_QA;
}

char *data_annotation(const struct data *data, const struct plan *plan, const struct example *example, size_t *n,
		      struct err *err)
{
	enum prompt_kind kind = data_gold_shown(data) ? PROMPT_ANNOTATE_GOLD : PROMPT_ANNOTATE;
	char *prompt = data_prompt(data, kind, example, data->pool.domain[example->domain].name, NULL, err);
	char *body = prompt ? data_request(plan, prompt, plan->teacher.temperature_annotate, n, err) : NULL;
	free(prompt);
	return body;
}
