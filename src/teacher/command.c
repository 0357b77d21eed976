// SPDX-License-Identifier: Apache-2.0
/* A program as teacher: questions to it, answers from it, and its end. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/teacher/command_parts.h"

enum { PIECE = 65536 };

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

static size_t open_questions(const struct command *c)
{
	size_t n = 0;
	for (size_t i = 0; i < c->n; i++)
		n += c->asked[i].busy;
	return n;
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
	if (command_queue(c, q, err))
		return -1;
	*free_place = (struct asked){.busy = true,
				     .tag = q->tag,
				     .line_n = c->queued - before,
				     .line_end = c->queued,
				     .began = clock_seconds(),
				     .waits = open_questions(c),
				     .slot = q->slot};
	return 0;
}

static int read_some(struct hearing *h, struct err *err)
{
	struct command *c = h->command;
	if (mem_grow(&c->in, &c->in_room, c->in_n + PIECE, 1, err))
		return -1;
	ssize_t n = read(c->program.from, c->in + c->in_n, PIECE);
	if (n > 0) {
		c->in_n += (size_t)n;
		return command_hear(h, err);
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	c->ended = true;
	int rc = c->in_n ? command_hear_rest(h, err) : 0;
	for (size_t i = 0; i < c->n; i++)
		if (c->asked[i].busy)
			command_settle_without(h, &c->asked[i], TEACHER_BROKEN, c->written >= c->asked[i].line_end);
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
	command_settle_without(h, a, TEACHER_TIMED_OUT, told);
}

/*
 * A program may answer one after the other: a question's time begins again with each line, but no more often than there
 * were others before it.
 */
static bool is_late(const struct command *c, const struct asked *a)
{
	double now = clock_seconds();
	return now - fmax(a->began, c->heard) > c->timeout || now - a->began > c->timeout * (double)(1 + a->waits);
}

static void give_up(struct hearing *h)
{
	struct command *c = h->command;
	for (size_t i = 0; i < c->n; i++)
		if (c->asked[i].busy && is_late(c, &c->asked[i]))
			give_up_one(h, &c->asked[i]);
}

static int command_poll(struct teacher_source *source, double seconds, teacher_callback *done, void *context,
			struct err *err)
{
	struct command *c = (struct command *)source;
	struct hearing h = {.command = c, .done = done, .context = context};
	double end = clock_seconds() + seconds;
	if (c->in_n && command_hear(&h, err)) /* lines that an earlier call had no memory for */
		return -1;
	for (;;) {
		write_some(c);
		double left = end - clock_seconds();
		if (h.count || c->ended || !open_questions(c) || left < 0)
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
	return teacher_line_read(answer, raw, n, true, err);
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
