// SPDX-License-Identifier: Apache-2.0
/*
 * command_parts.h - a program as teacher: its questions and what it says. Private to command.c, command_question.c and
 * command_hear.c.
 */
#ifndef BALDISTILL_TEACHER_COMMAND_PARTS_H
#define BALDISTILL_TEACHER_COMMAND_PARTS_H

#include "src/teacher/program.h"
#include "src/teacher/teacher.h"

struct asked {
	bool busy;
	uint64_t tag, line_n, line_end; /* line_end: bytes of the whole stream up to its line's end */
	double began;
	size_t waits; /* questions that were open before it */
	struct teacher_slot *slot;
};

struct command {
	struct teacher_source source;
	char *name; /* of the program, for messages */
	struct teacher_program program;
	double timeout, heard;          /* seconds; when the last line came */
	bool ended;                     /* it closed its output */
	uint64_t written, queued, late; /* of the stream to it; late: answers that were given up */
	char *out;                      /* queued and not written */
	size_t out_n, out_room;
	char *in; /* read and not yet a line */
	size_t in_n, in_room;
	size_t n;
	struct asked *asked; /* [n] */
};

/* Of one poll. */
struct hearing {
	struct command *command;
	teacher_callback *done;
	void *context;
	int count;
};

/* The line for a question, behind what is queued; ERR_DATA for a body that the line cannot be made of. */
int command_queue(struct command *c, const struct teacher_question *q, struct err *err);

/* No answer: in doubt where the program had the whole line, or will have it. */
void command_settle_without(struct hearing *h, struct asked *a, enum teacher_transport transport, bool told);

/* All whole lines of what was read, those behind a bad one, too: they were paid for. ERR_PROTOCOL for a bad one. */
int command_hear(struct hearing *h, struct err *err);

/* A last line that has no end. */
int command_hear_rest(struct hearing *h, struct err *err);

#endif
