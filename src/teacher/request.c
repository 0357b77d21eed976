// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/request.h"

#include <string.h>

#include "src/base/mem.h"
#include "src/teacher/pick.h"

static const char limit_key[] = "max_tokens", new_limit_key[] = "max_completion_tokens";

/* Keys of the body that another key of the plan sets, or that nobody may set. */
static const struct {
	const char *key, *advice;
} owned[] = {
	{"model", "set teacher.model"},
	{"messages", "they come from the task's prompts"},
	{"temperature", "set teacher.temperature"},
	{limit_key, "set teacher.max_tokens"},
	{new_limit_key, "set teacher.max_tokens and teacher.max_tokens_key"},
	{"n", "every query buys one answer"},
	{"stream", "answers are not streamed"},
	{"stream_options", "answers are not streamed"},
};

int teacher_request_check_extra(struct json_value extra, struct err *err)
{
	struct json_iter it;
	if (json_members(extra, &it, err)) {
		if (err)
			err->code = ERR_CONFIG;
		return err_prefix(err, "teacher.extra_body");
	}
	while (json_next(&it))
		for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
			if (!strcmp(it.key, owned[i].key))
				return err_set(err, ERR_CONFIG, "teacher.extra_body must not hold '%s'; %s", it.key,
					       owned[i].advice);
	return 0;
}

static void put_messages(struct json_writer *w, const struct teacher_message *messages, size_t n)
{
	json_begin_array(w);
	for (size_t i = 0; i < n; i++) {
		json_begin_object(w);
		json_put_key(w, "role");
		json_put_string(w, messages[i].role, strlen(messages[i].role));
		json_put_key(w, "content");
		json_put_string(w, messages[i].content, messages[i].n);
		json_end_object(w);
	}
	json_end_array(w);
}

void teacher_request_write(struct json_writer *w, const struct teacher_request *request)
{
	struct json_iter it;
	json_begin_object(w);
	json_put_key(w, "model");
	json_put_string(w, request->model, strlen(request->model));
	json_put_key(w, "messages");
	put_messages(w, request->messages, request->n);
	if (request->temperature >= 0) {
		json_put_key(w, "temperature");
		json_put_double(w, request->temperature);
	}
	if (request->max_tokens > 0) {
		json_put_key(w, request->max_completion ? new_limit_key : limit_key);
		json_put_int(w, request->max_tokens);
	}
	json_put_key(w, "n");
	json_put_int(w, 1);
	if (request->has_extra && !json_members(request->extra, &it, NULL))
		while (json_next(&it)) {
			json_put_key(w, it.key);
			json_put_value(w, it.value);
		}
	json_end_object(w);
}

/* Where the member that holds the value begins: at its key's quote. NULL where the text is not the writer's. */
static const char *member_start(const struct pick *value, const char *key, const char *body)
{
	size_t before = strlen(key) + 3, at = value->event.at;
	const char *start = body + at - before;
	return at > before && start[0] == '"' && !memcmp(start + 1, key, before - 3) &&
			       !memcmp(start + before - 2, "\":", 2)
		       ? start
		       : NULL;
}

static void append(char **out, const char *text, size_t n)
{
	memcpy(*out, text, n);
	*out += n;
}

/* The body with both members cut out and the renamed one put back; either may be absent. */
static size_t splice(char *out, const char *body, size_t n, const struct pick *drop, const struct pick *rename)
{
	char *end = out;
	const char *at = body, *limit = rename ? member_start(rename, limit_key, body) : NULL;
	/* No member of ours is the last one: n follows them. */
	if (drop) {
		const char *start = member_start(drop, "temperature", body);
		append(&end, at, (size_t)(start - at));
		at = drop->bytes + drop->n + 1;
	}
	if (limit) {
		append(&end, at, (size_t)(limit - at));
		append(&end, "\"", 1);
		append(&end, new_limit_key, sizeof new_limit_key - 1);
		at = limit + sizeof limit_key;
	}
	append(&end, at, (size_t)(body + n - at));
	return (size_t)(end - out);
}

/* A member to be changed: not there, or where and as the writer puts it, with another one behind it. */
static bool as_written(const struct pick *value, const char *key, const char *body)
{
	return value->kind == JSON_ABSENT || (member_start(value, key, body) && value->bytes[value->n] == ',' &&
					      (value->kind == JSON_INTEGER || value->kind == JSON_DOUBLE));
}

char *teacher_request_change(const char *body, size_t n, unsigned changes, size_t *changed_n, struct err *err)
{
	struct pick p[] = {{.path = ""}, {.path = "temperature"}, {.path = limit_key}};
	struct pick_text text;
	char *out = NULL;
	int rc = pick_read(&text, body, n, p, 3, err);
	if (!rc && (text.copy || p[0].kind != JSON_OBJECT || !as_written(&p[1], "temperature", body) ||
		    !as_written(&p[2], limit_key, body) ||
		    (p[1].kind != JSON_ABSENT && p[2].kind != JSON_ABSENT && p[1].bytes > p[2].bytes)))
		rc = err_set(err, ERR_DATA, "not as this program writes requests");
	if (!rc)
		out = mem_array(n + sizeof new_limit_key, 1, err);
	if (out)
		*changed_n = splice(out, body, n, changes & TEACHER_DROP_TEMPERATURE && p[1].kind ? &p[1] : NULL,
				    changes & TEACHER_RENAME_LIMIT && p[2].kind ? &p[2] : NULL);
	pick_release(&text);
	if (!out)
		err_prefix(err, "request body");
	return out;
}
