// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/local_question.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/jsonio.h"
#include "src/base/mem.h"

static int read_message(struct chat_message *message, struct json_value value, struct err *err)
{
	if (json_get_string(json_in(value, "role"), &message->role, NULL, err))
		return -1;
	return json_get_string(json_in(value, "content"), &message->content, &message->n, err);
}

static int read_settings(struct local_question *out, struct json_value root, struct err *err)
{
	int64_t renamed;
	if (json_opt_double(json_in(root, "temperature"), 0, &out->temperature, err) ||
	    json_opt_double(json_in(root, "top_p"), 1, &out->top_p, err) ||
	    json_opt_int64(json_in(root, "max_completion_tokens"), 0, &renamed, err))
		return -1;
	return json_opt_int64(json_in(root, "max_tokens"), renamed, &out->max_tokens, err);
}

/* The messages' texts with an empty line between them; *n without the NUL. */
static char *join(const struct chat_message *messages, size_t count, size_t *n, struct err *err)
{
	static const char between[] = "\n\n";
	size_t room = 1;
	for (size_t i = 0; i < count; i++)
		if (!size_add(&room, room, messages[i].n + sizeof between))
			room = 0;
	char *text = mem_array(room, 1, err);
	*n = 0;
	for (size_t i = 0; text && i < count; i++) {
		if (i) {
			memcpy(text + *n, between, sizeof between - 1);
			*n += sizeof between - 1;
		}
		memcpy(text + *n, messages[i].content, messages[i].n);
		*n += messages[i].n;
	}
	return text;
}

static int encode(struct example_ids *out, struct student *student, const struct chat_message *messages, size_t n,
		  struct err *err)
{
	struct example_text text = {.messages = messages, .messages_n = n};
	if (student->chat.family != CHAT_NONE)
		return example_encode(student, &text, out, err);
	char *plain = join(messages, n, &text.prompt_n, err);
	if (!plain)
		return -1;
	text = (struct example_text){.prompt = plain, .prompt_n = text.prompt_n};
	int rc = example_encode(student, &text, out, err);
	free(plain);
	return rc;
}

static int read_body(struct local_question *out, struct student *student, struct json_value root, struct err *err)
{
	struct json_value list = json_in(root, "messages");
	size_t n;
	if (json_get_length(list, &n, err) || read_settings(out, root, err))
		return -1;
	struct chat_message *messages = mem_array(n, sizeof *messages, err);
	int rc = messages ? 0 : -1;
	for (size_t i = 0; !rc && i < n; i++)
		rc = read_message(&messages[i], json_at(list, i), err);
	rc = rc || encode(&out->example, student, messages, n, err) ? -1 : 0;
	free(messages);
	return rc;
}

/* The same question draws the same numbers, whoever stands beside it and however often it was interrupted. */
static int name_question(struct local_question *out, const struct teacher_question *question, struct err *err)
{
	char hex[HASH_HEX_ROOM];
	if (teacher_question_hash(hex, question, err))
		return -1;
	hex[16] = '\0';
	out->id = strtoull(hex, NULL, 16);
	return 0;
}

int local_question_read(struct local_question *out, struct student *student, const struct teacher_question *question,
			struct err *err)
{
	*out = (struct local_question){.tag = question->tag, .slot = question->slot};
	struct json *doc = json_parse(question->body, question->body_n, NULL, err);
	int rc = !doc || read_body(out, student, json_root(doc), err) || name_question(out, question, err) ? -1 : 0;
	json_free(doc);
	if (rc)
		local_question_release(out);
	return rc ? err_prefix(err, "request body") : 0;
}

void local_question_release(struct local_question *question)
{
	example_release(&question->example);
}

static void put_usage(struct json_writer *w, int64_t prompt, int64_t completion)
{
	json_put_key(w, "usage");
	json_begin_object(w);
	json_member_int(w, "prompt_tokens", prompt);
	json_member_int(w, "completion_tokens", completion);
	json_member_int(w, "total_tokens", prompt + completion);
	json_end_object(w);
}

void local_answer_put(struct json_writer *w, const char *text, size_t n, const struct local_question *question,
		      const struct generated *generated)
{
	json_begin_object(w);
	json_member_text(w, "object", "chat.completion");
	json_put_key(w, "choices");
	json_begin_array(w);
	json_begin_object(w);
	json_member_int(w, "index", 0);
	json_put_key(w, "message");
	json_begin_object(w);
	json_member_text(w, "role", "assistant");
	json_put_key(w, "content");
	json_put_string(w, text, n);
	json_end_object(w);
	json_member_text(w, "finish_reason", generated->stopped ? "stop" : "length");
	json_end_object(w);
	json_end_array(w);
	put_usage(w, (int64_t)question->example.prompt.n, generated->n);
	json_end_object(w);
}
