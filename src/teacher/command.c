// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/teacher/pick.h"
#include "src/teacher/retry.h"
#include "src/teacher/teacher.h"

enum { PIECE = 65536, LINE_MAX_BYTES = TEACHER_BODY_MAX };

extern char **environ;

struct asked {
	bool busy;
	uint64_t tag, line_n, line_end; /* line_end: bytes of the whole stream up to its line's end */
	double began;
	struct teacher_slot *slot;
};

struct command {
	struct teacher_source source;
	char *name;   /* of the program, for messages */
	pid_t child;  /* -1 once it has been waited for */
	int to, from; /* -1 once closed; to: also when the program closed its input */
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

static double clock_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The environment without the key; the strings stay environ's. */
static char **make_environment(const char *key_name, struct err *err)
{
	size_t n = 0, kept = 0, length = key_name ? strlen(key_name) : 0;
	while (environ && environ[n])
		n++;
	char **list = mem_array(n + 1, sizeof *list, err);
	for (size_t i = 0; list && i < n; i++)
		if (!key_name || strncmp(environ[i], key_name, length) || environ[i][length] != '=')
			list[kept++] = environ[i];
	return list;
}

/* A group of its own: an interrupt from the terminal is for us, who let it finish its answers. */
static int spawn(struct command *c, const struct teacher_command_config *config, int input, int output,
		 char **environment)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigemptyset(&none);
	if (posix_spawn_file_actions_init(&actions))
		return ENOMEM;
	int rc = posix_spawnattr_init(&attributes);
	if (!rc) {
		rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, input, 0);
		rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, output, 1);
		rc = rc ? rc : posix_spawnattr_setpgroup(&attributes, 0);
		rc = rc ? rc : posix_spawnattr_setsigmask(&attributes, &none);
		rc = rc ? rc : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
		rc = rc ? rc
			: posix_spawnp(&c->child, config->argv[0], &actions, &attributes, (char *const *)config->argv,
				       environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* A socket to it, so that its end is an error of send and not a signal to us; a pipe back. */
static int start(struct command *c, const struct teacher_command_config *config, struct err *err)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1};
	char **environment = make_environment(config->key_name, err);
	if (!environment)
		return -1;
	int rc = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) || pipe2(out, O_CLOEXEC))
		rc = err_set_errno(err, ERR_MEMORY, "no descriptors for the teacher '%s'", c->name);
	else if ((errno = spawn(c, config, in[1], out[1], environment)))
		rc = err_set_errno(err, ERR_NOINPUT, "cannot start the teacher '%s'", c->name);
	free(environment);
	close_fd(&in[1]);
	close_fd(&out[1]);
	c->to = in[0];
	c->from = out[0];
	if (rc)
		c->child = -1;
	return rc;
}

static void reap(struct command *c)
{
	enum { PATIENCE = 100 };
	const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
	if (c->child <= 0)
		return;
	kill(-c->child, SIGTERM);
	for (int i = 0; i < PATIENCE && waitpid(c->child, NULL, WNOHANG) == 0; i++) {
		nanosleep(&moment, NULL);
		if (i + 1 == PATIENCE) {
			kill(-c->child, SIGKILL);
			waitpid(c->child, NULL, 0);
		}
	}
	c->child = -1;
}

static void command_close(struct teacher_source *source)
{
	struct command *c = (struct command *)source;
	close_fd(&c->to);
	close_fd(&c->from);
	reap(c);
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
	if (c->ended || c->to < 0)
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
				     .began = clock_now(),
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
	reply->exchange.seconds = clock_now() - a->began;
	a->busy = false;
	h->count++;
	h->done(h->context, reply);
}

/* No answer: in doubt where the program had the whole line. */
static void settle_without(struct hearing *h, struct asked *a, enum teacher_transport transport)
{
	struct teacher_reply reply = {.exchange = {.transport = transport}};
	struct teacher_facts facts = {0};
	bool told = h->command->written >= a->line_end;
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

/* All whole lines of what was read; the rest moves to the front. */
static int hear_lines(struct hearing *h, struct err *err)
{
	struct command *c = h->command;
	size_t at = 0;
	int rc = 0;
	char *end;
	while (!rc && at < c->in_n && (end = memchr(c->in + at, '\n', c->in_n - at))) {
		rc = hear_line(h, c->in + at, (size_t)(end - c->in) - at, err);
		at = (size_t)(end - c->in) + 1;
	}
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
	if (!rc && c->in_n > LINE_MAX_BYTES)
		rc = bad_line(c, c->in, 60, "it is too long", err);
	return rc;
}

static int read_some(struct hearing *h, struct err *err)
{
	struct command *c = h->command;
	if (mem_grow(&c->in, &c->in_room, c->in_n + PIECE, 1, err))
		return -1;
	ssize_t n = read(c->from, c->in + c->in_n, PIECE);
	if (n > 0) {
		c->in_n += (size_t)n;
		return hear_lines(h, err);
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	c->ended = true;
	for (size_t i = 0; i < c->n; i++)
		if (c->asked[i].busy)
			settle_without(h, &c->asked[i], TEACHER_BROKEN);
	return 0;
}

/* A program that reads no more gets no more; what it did not take is never counted as written. */
static void write_some(struct command *c)
{
	ssize_t n = c->out_n ? send(c->to, c->out, c->out_n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		close_fd(&c->to);
		c->out_n = 0;
	}
	if (n <= 0)
		return;
	c->written += (uint64_t)n;
	c->out_n -= (size_t)n;
	memmove(c->out, c->out + n, c->out_n);
}

static void give_up(struct hearing *h)
{
	struct command *c = h->command;
	for (size_t i = 0; i < c->n; i++)
		if (c->asked[i].busy && clock_now() - c->asked[i].began > c->timeout) {
			c->late++;
			settle_without(h, &c->asked[i], TEACHER_TIMED_OUT);
		}
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
	double end = clock_now() + seconds;
	for (;;) {
		write_some(c);
		double left = end - clock_now();
		if (h.count || c->ended || !any_open(c) || left < 0)
			return h.count;
		struct pollfd fds[] = {{.fd = c->from, .events = POLLIN},
				       {.fd = c->out_n ? c->to : -1, .events = POLLOUT}};
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
	c->to = c->from = -1;
	c->child = -1;
	c->timeout = config->timeout > 0 ? config->timeout : 600;
	c->n = config->max_concurrent ? config->max_concurrent : 1;
	c->name = mem_strdup(config->argv[0], err);
	c->asked = c->name ? mem_array(c->n, sizeof *c->asked, err) : NULL;
	if (c->asked && !start(c, config, err))
		return &c->source;
	command_close(&c->source);
	return NULL;
}
