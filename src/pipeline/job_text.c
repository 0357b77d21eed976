// SPDX-License-Identifier: Apache-2.0
/* The texts and ids of a row. */
#include "src/pipeline/job.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

int job_ids(struct json_value row, const char *key, int32_t **ids, size_t *n, struct err *err)
{
	struct json_value list = json_in(row, key);
	*ids = NULL;
	if (json_get_length(list, n, err))
		return -1;
	*ids = mem_array(*n, sizeof **ids, err);
	for (size_t i = 0; *ids && i < *n; i++) {
		int64_t id;
		if (json_get_int64(json_at(list, i), &id, err))
			return -1;
		if (id < 0 || id > INT32_MAX)
			return err_set(err, ERR_DATA, "'%s' holds %lld, which is no id", key, (long long)id);
		(*ids)[i] = (int32_t)id;
	}
	return *ids ? 0 : -1;
}

static int read_ids(struct json_value row, struct job_text *out, struct err *err)
{
	int rc = job_ids(row, "completion_ids", &out->ids, &out->text.completion_ids_n, err);
	out->text.completion_ids = out->ids;
	return rc;
}

static int read_messages(struct json_value list, struct job_text *out, struct err *err)
{
	size_t n;
	if (json_get_length(list, &n, err))
		return -1;
	out->messages = mem_array(n, sizeof *out->messages, err);
	for (size_t i = 0; out->messages && i < n; i++) {
		struct chat_message *m = &out->messages[i];
		if (json_get_string(json_in(json_at(list, i), "role"), &m->role, NULL, err) ||
		    json_get_string(json_in(json_at(list, i), "content"), &m->content, &m->n, err))
			return -1;
	}
	out->text.messages = out->messages;
	out->text.messages_n = n;
	return out->messages ? 0 : -1;
}

/* Ids are preferred to text: a row of messages that a model has answered still ends with the answer it had before. */
static int read_text(struct json_value row, bool needs_completion, struct job_text *out, struct err *err)
{
	struct example_text *text = &out->text;
	bool chat = json_is_there(json_in(row, "messages"));
	const char *reason;
	if (chat ? read_messages(json_in(row, "messages"), out, err)
		 : json_get_string(json_in(row, "prompt"), &text->prompt, &text->prompt_n, err))
		return -1;
	if (!needs_completion)
		return 0;
	if (json_is_there(json_in(row, "completion_ids")))
		return read_ids(row, out, err);
	text->completion = ""; /* of messages: the last of them has it */
	if (chat)
		return 0;
	if (json_opt_string(json_in(row, "finish_reason"), "stop", &reason, NULL, err))
		return -1;
	text->cut = !strcmp(reason, "length");
	return json_get_string(json_in(row, "completion"), &text->completion, &text->completion_n, err);
}

int job_text(const struct rows *rows, size_t i, bool needs_completion, struct job_text *out, struct err *err)
{
	*out = (struct job_text){0};
	if (!read_text(json_root(rows->row[i].doc), needs_completion, out, err))
		return 0;
	job_text_release(out);
	return row_refuse(rows, i, err);
}

int job_check_length(const struct job *job, size_t i, size_t tokens, struct err *err)
{
	int64_t positions = job->student->model->positions;
	if (tokens <= (size_t)positions)
		return 0;
	err_set(err, ERR_DATA, "the row's %zu tokens are more than the model's %lld positions", tokens, (long long)positions);
	return row_refuse(&job->rows, i, err);
}

void job_text_release(struct job_text *text)
{
	free(text->messages);
	free(text->ids);
	*text = (struct job_text){0};
}
