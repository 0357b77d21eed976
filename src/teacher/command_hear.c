// SPDX-License-Identifier: Apache-2.0
/* What a program says: a line for each answer. */
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/text.h"
#include "src/teacher/command_parts.h"
#include "src/teacher/pick.h"
#include "src/teacher/retry.h"

enum { LINE_MAX_BYTES = TEACHER_BODY_MAX };

static void settle(struct hearing *h, struct asked *a, struct teacher_reply *reply)
{
	uint64_t start = a->line_end - a->line_n, written = h->command->written;
	reply->tag = a->tag;
	reply->slot = a->slot;
	reply->exchange.to_send = a->line_n;
	reply->exchange.sent = written <= start ? 0 : written >= a->line_end ? a->line_n : written - start;
	reply->exchange.seconds = clock_seconds() - a->began;
	a->busy = false;
	h->count++;
	h->done(h->context, reply);
}

void command_settle_without(struct hearing *h, struct asked *a, enum teacher_transport transport, bool told)
{
	struct teacher_reply reply = {.exchange = {.transport = transport}};
	struct teacher_facts facts = {0};
	reply.exchange.to_send = 1;
	reply.exchange.sent = told;
	teacher_outcome_decide(&reply.outcome, &reply.exchange, &facts);
	settle(h, a, &reply);
}

static int bad_line(const struct command *c, const char *line, size_t n, const char *rule, struct err *err)
{
	char shown[200];
	return err_set(err, ERR_PROTOCOL, "the teacher '%s' wrote a line that is no answer (%s): %s", c->name, rule,
		       text_escape(shown, sizeof shown, line, n));
}

/* {"id", "error"}: it tried, and nobody knows what that cost. */
static void decide_error(struct teacher_reply *reply, const struct pick *error)
{
	bool told = error->kind == JSON_STRING || error->kind == JSON_OBJECT;
	reply->error.found = true;
	text_escape(reply->error.message, sizeof reply->error.message, told ? error->bytes : "", told ? error->n : 0);
	reply->outcome = (struct teacher_outcome){.state = TEACHER_IN_DOUBT,
						  .code = ERR_UNAVAILABLE,
						  .retry = true,
						  .wait = TEACHER_NO_WAIT,
						  .reason = "error"};
}

static int decide_answer(struct teacher_reply *reply, struct err *err)
{
	struct teacher_facts facts = {.answer = &reply->answer};
	if (teacher_line_read(&reply->answer, reply->raw, reply->raw_n, true, err))
		return -1;
	struct teacher_exchange as_http = {.transport = TEACHER_REPLIED, .status = 200};
	teacher_outcome_decide(&reply->outcome, &as_http, &facts);
	return 0;
}

static struct asked *find(struct command *c, uint64_t tag)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->asked[i].busy && c->asked[i].tag == tag)
			return &c->asked[i];
	return NULL;
}

/* A program may have made a text of it. */
static int read_id(uint64_t *tag, const struct pick *id)
{
	char digits[20]; /* as many as surely fit 64 bits */
	if (id->kind != JSON_STRING)
		return json_event_uint64(&id->event, tag, NULL);
	if (!id->n || id->n >= sizeof digits)
		return -1;
	memcpy(digits, id->bytes, id->n);
	digits[id->n] = '\0';
	*tag = strtoull(digits, NULL, 10);
	return strspn(digits, "0123456789") == id->n ? 0 : -1;
}

static int hear_row(struct hearing *h, const char *line, size_t n, const struct pick *id, const struct pick *error,
		    struct err *err)
{
	struct command *c = h->command;
	uint64_t tag;
	c->heard = clock_seconds();
	if (read_id(&tag, id))
		return bad_line(c, line, n, "no id", err);
	struct asked *a = find(c, tag);
	if (!a && c->late) {
		c->late--;
		return 0;
	}
	if (!a)
		return bad_line(c, line, n, "an id that is not open", err);
	struct teacher_reply reply = {.raw = line, .raw_n = n, .exchange = {.received = n}};
	if (pick_given(error))
		decide_error(&reply, error);
	else if (decide_answer(&reply, err))
		return -1;
	settle(h, a, &reply);
	teacher_answer_release(&reply.answer);
	return 0;
}

static int hear_line(struct hearing *h, const char *line, size_t n, struct err *err)
{
	struct pick picks[] = {{.path = "id"}, {.path = "error"}};
	struct pick_text text;
	struct err why = {0};
	if (!n || (n == 1 && *line == '\r'))
		return 0;
	int rc = pick_read(&text, line, n, picks, 2, &why);
	if (rc)
		rc = why.code == ERR_MEMORY ? err_set(err, ERR_MEMORY, "%s", why.message)
					    : bad_line(h->command, line, n, why.message, err);
	else
		rc = hear_row(h, line, n, &picks[0], &picks[1], err);
	pick_release(&text);
	return rc;
}

/* What is no whole line yet moves to the front, and so does what no memory was left for: it may be paid. */
int command_hear(struct hearing *h, struct err *err)
{
	struct command *c = h->command;
	size_t at = 0;
	int rc = 0;
	char *end;
	while (at < c->in_n && (end = memchr(c->in + at, '\n', c->in_n - at))) {
		struct err why = {0};
		if (hear_line(h, c->in + at, (size_t)(end - c->in) - at, &why) && !rc)
			rc = err_set(err, why.code, "%s", why.message);
		if (why.code == ERR_MEMORY)
			break;
		at = (size_t)(end - c->in) + 1;
	}
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
	if (!rc && c->in_n > LINE_MAX_BYTES)
		rc = bad_line(c, c->in, 60, "it is too long", err);
	return rc;
}

int command_hear_rest(struct hearing *h, struct err *err)
{
	struct command *c = h->command;
	size_t n = c->in_n;
	c->in_n = 0;
	return hear_line(h, c->in, n, err);
}
