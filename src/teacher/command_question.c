// SPDX-License-Identifier: Apache-2.0
/* What a program is asked: a line for each question. */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/teacher/command_parts.h"
#include "src/teacher/pick.h"

enum { MESSAGES, TEMPERATURE, LIMIT, NEW_LIMIT, MEMBERS };

static int put_written(struct json_writer *w, const char *key, const struct pick *value, struct err *err)
{
	if (value->kind == JSON_ABSENT)
		return 0;
	char *copy = mem_array(value->n + 1, 1, err);
	if (!copy)
		return -1;
	memcpy(copy, value->bytes, value->n);
	json_put_key(w, key);
	json_put_raw(w, copy);
	free(copy);
	return 0;
}

/* The program's line for a question: what it needs of the body, under the question's number. */
static int put_request(struct json_writer *w, const struct teacher_question *q, const struct pick *p, struct err *err)
{
	const struct pick *limit = p[LIMIT].kind == JSON_ABSENT ? &p[NEW_LIMIT] : &p[LIMIT];
	json_begin_object(w);
	json_put_key(w, "id");
	json_put_uint(w, q->tag);
	json_put_key(w, "kind");
	json_put_string(w, q->kind, strlen(q->kind));
	json_put_key(w, "domain");
	json_put_string(w, q->domain, strlen(q->domain));
	if (put_written(w, "messages", &p[MESSAGES], err) || put_written(w, "temperature", &p[TEMPERATURE], err) ||
	    put_written(w, "max_tokens", limit, err))
		return -1;
	json_end_object(w);
	return 0;
}

static int queue_line(struct command *c, const char *line, size_t n, struct err *err)
{
	if (mem_grow(&c->out, &c->out_room, c->out_n + n + 1, 1, err))
		return -1;
	memcpy(c->out + c->out_n, line, n);
	c->out[c->out_n + n] = '\n';
	c->out_n += n + 1;
	c->queued += n + 1;
	return 0;
}

int command_queue(struct command *c, const struct teacher_question *q, struct err *err)
{
	struct pick p[MEMBERS] = {{.path = "messages"},
				  {.path = "temperature"},
				  {.path = "max_tokens"},
				  {.path = "max_completion_tokens"}};
	struct pick_text text;
	struct json_writer w;
	size_t n;
	json_writer_init(&w, 0);
	int rc = pick_read(&text, q->body, q->body_n, p, MEMBERS, err);
	if (!rc && p[MESSAGES].kind != JSON_ARRAY)
		rc = err_set(err, ERR_DATA, "'messages' must be a list");
	rc = rc || put_request(&w, q, p, err);
	pick_release(&text);
	const char *line = rc ? NULL : json_writer_text(&w, &n, err);
	rc = line ? queue_line(c, line, n, err) : err_prefix(err, "request body");
	json_writer_release(&w);
	return rc;
}
