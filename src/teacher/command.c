// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/teacher/pick.h"
#include "src/teacher/program.h"
#include "src/teacher/retry.h"
#include "src/teacher/teacher.h"

enum { PIECE = 65536, LINE_MAX_BYTES = TEACHER_BODY_MAX };

struct asked {
	bool busy;
	uint64_t tag, line_n, line_end; /* line_end: bytes of the whole stream up to its line's end */
	double began;
	struct teacher_slot *slot;
};

struct command {
	struct teacher_source source;
	char *name; /* of the program, for messages */
	struct teacher_program program;
	double timeout;
	bool ended;                     /* it closed its output */
	uint64_t written, queued, late; /* of the stream to it; late: answers that were given up */
	char *out;                      /* queued and not written */
	size_t out_n, out_room;
	char *in; /* read and not yet a line */
	size_t in_n, in_room;
	size_t n;
	struct asked *asked; /* [n] */
};

static void command_close(struct teacher_source *source)
{
	struct command *c = (struct command *)source;
	program_end(&c->program);
	free(c->name);
	free(c->out);
	free(c->in);
	free(c->asked);
	free(c);
}

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

static int queue_question(struct command *c, const struct teacher_question *q, struct err *err)
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

static int command_ask(struct teacher_source *source, const struct teacher_question *q, struct err *err)
{
	struct command *c = (struct command *)source;
	struct asked *free_place = NULL;
	for (size_t i = 0; i < c->n && !free_place; i++)
		free_place = c->asked[i].busy ? NULL : &c->asked[i];
	if (c->ended || c->program.to < 0)
		return err_set(err, ERR_UNAVAILABLE, "the teacher '%s' has ended or reads no more; see what it wrote",
			       c->name);
	if (!free_place)
		return err_set(err, ERR_INTERNAL, "more than %zu questions to the teacher at once", c->n);
	uint64_t before = c->queued;
	if (queue_question(c, q, err))
		return -1;
	*free_place = (struct asked){.busy = true,
				     .tag = q->tag,
				     .line_n = c->queued - before,
				     .line_end = c->queued,
				     .began = clock_seconds(),
				     .slot = q->slot};
	return 0;
}

/* Of one poll. */
struct hearing {
	struct command *command;
	teacher_callback *done;
	void *context;
	int count;
};

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

/* No answer: in doubt where the program had the whole line, or will have it. */
static void settle_without(struct hearing *h, struct asked *a, enum teacher_transport transport, bool told)
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
	bool told = error->kind == JSON_STRING;
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
	if (teacher_line_read(&reply->answer, reply->raw, reply->raw_n, err))
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

static int hear_row(struct hearing *h, const char *line, size_t n, const struct pick *id, const struct pick *error,
		    struct err *err)
{
	struct command *c = h->command;
	uint64_t tag;
	if (json_event_uint64(&id->event, &tag, NULL))
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

/* All whole lines of what was read, those behind a bad one, too: they were paid for. The rest moves to the front. */
static int hear_lines(struct hearing *h, struct err *err)
{
	struct command *c = h->command;
	struct err later;
	size_t at = 0;
	int rc = 0;
	char *end;
	while (at < c->in_n && (end = memchr(c->in + at, '\n', c->in_n - at))) {
		rc = hear_line(h, c->in + at, (size_t)(end - c->in) - at, rc ? &later : err) ? -1 : rc;
		at = (size_t)(end - c->in) + 1;
	}
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
	if (!rc && c->in_n > LINE_MAX_BYTES)
		rc = bad_line(c, c->in, 60, "it is too long", err);
	return rc;
}

/* A last line that has no end. */
static int hear_rest(struct hearing *h, struct err *err)
{
	struct command *c = h->command;
	size_t n = c->in_n;
	c->in_n = 0;
	return hear_line(h, c->in, n, err);
}

static int read_some(struct hearing *h, struct err *err)
{
	struct command *c = h->command;
	if (mem_grow(&c->in, &c->in_room, c->in_n + PIECE, 1, err))
		return -1;
	ssize_t n = read(c->program.from, c->in + c->in_n, PIECE);
	if (n > 0) {
		c->in_n += (size_t)n;
		return hear_lines(h, err);
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	c->ended = true;
	int rc = c->in_n ? hear_rest(h, err) : 0;
	for (size_t i = 0; i < c->n; i++)
		if (c->asked[i].busy)
			settle_without(h, &c->asked[i], TEACHER_BROKEN, c->written >= c->asked[i].line_end);
	return rc;
}

/* A program that reads no more gets no more; what it did not take is never counted as written. */
static void write_some(struct command *c)
{
	ssize_t n = c->out_n ? send(c->program.to, c->out, c->out_n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		program_close_input(&c->program);
		c->out_n = 0;
	}
	if (n <= 0)
		return;
	c->written += (uint64_t)n;
	c->out_n -= (size_t)n;
	memmove(c->out, c->out + n, c->out_n);
}

/* A line of which nothing is written leaves the queue: what is given back must not be answered later. */
static bool unqueue(struct command *c, const struct asked *a)
{
	uint64_t begin = a->line_end - a->line_n;
	if (c->written > begin)
		return false;
	char *at = c->out + (begin - c->written);
	memmove(at, at + a->line_n, c->out_n - (size_t)(begin - c->written) - (size_t)a->line_n);
	c->out_n -= (size_t)a->line_n;
	c->queued -= a->line_n;
	for (size_t i = 0; i < c->n; i++)
		if (c->asked[i].busy && c->asked[i].line_end > a->line_end)
			c->asked[i].line_end -= a->line_n;
	return true;
}

static void give_up_one(struct hearing *h, struct asked *a)
{
	struct command *c = h->command;
	bool told = c->program.to < 0 ? c->written >= a->line_end : !unqueue(c, a);
	c->late += told;
	settle_without(h, a, TEACHER_TIMED_OUT, told);
}

static void give_up(struct hearing *h)
{
	struct command *c = h->command;
	for (size_t i = 0; i < c->n; i++)
		if (c->asked[i].busy && clock_seconds() - c->asked[i].began > c->timeout)
			give_up_one(h, &c->asked[i]);
}

static bool any_open(const struct command *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->asked[i].busy)
			return true;
	return false;
}

static int command_poll(struct teacher_source *source, double seconds, teacher_callback *done, void *context,
			struct err *err)
{
	struct command *c = (struct command *)source;
	struct hearing h = {.command = c, .done = done, .context = context};
	double end = clock_seconds() + seconds;
	for (;;) {
		write_some(c);
		double left = end - clock_seconds();
		if (h.count || c->ended || !any_open(c) || left < 0)
			return h.count;
		struct pollfd fds[] = {{.fd = c->program.from, .events = POLLIN},
				       {.fd = c->out_n ? c->program.to : -1, .events = POLLOUT}};
		if (poll(fds, 2, (int)ceil(fmin(left, fmin(0.5, c->timeout / 4)) * 1000)) > 0 && fds[0].revents &&
		    read_some(&h, err))
			return -1;
		give_up(&h);
	}
}

static int command_read(struct teacher_source *source, struct teacher_answer *answer, const char *raw, size_t n,
			struct err *err)
{
	(void)source;
	return teacher_line_read(answer, raw, n, err);
}

struct teacher_source *teacher_command_open(const struct teacher_command_config *config, struct err *err)
{
	struct command *c = mem_array(1, sizeof *c, err);
	if (!c)
		return NULL;
	c->source = (struct teacher_source){"command", true, command_ask, command_poll, command_read, command_close};
	c->program = (struct teacher_program){.child = -1, .to = -1, .from = -1};
	c->timeout = config->timeout > 0 ? config->timeout : 600;
	c->n = config->max_concurrent ? config->max_concurrent : 1;
	c->name = mem_strdup(config->argv[0], err);
	c->asked = c->name ? mem_array(c->n, sizeof *c->asked, err) : NULL;
	if (c->asked && !program_start(&c->program, config, err))
		return &c->source;
	command_close(&c->source);
	return NULL;
}
