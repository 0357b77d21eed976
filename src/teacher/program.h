// SPDX-License-Identifier: Apache-2.0
/*
 * program.h - a teacher's program as a process: started, and ended with all it
 * started. Private to the room; command.c says what is said over the two ends.
 *
 * It runs in a group of its own, without the key in its environment. When its
 * input ends it has a second to end by itself, another after SIGTERM, then it
 * is killed.
 */
#ifndef BALDISTILL_TEACHER_PROGRAM_H
#define BALDISTILL_TEACHER_PROGRAM_H

#include <sys/types.h>

#include "src/teacher/teacher.h"

struct teacher_program {
	pid_t child;  /* -1: none, or waited for */
	int to, from; /* -1 once closed */
};

/* ERR_NOINPUT where it cannot be started, ERR_MEMORY. */
int program_start(struct teacher_program *program, const struct teacher_command_config *config, struct err *err);
void program_close_input(struct teacher_program *program);
void program_end(struct teacher_program *program);

#endif
