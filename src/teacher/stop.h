// SPDX-License-Identifier: Apache-2.0
/*
 * stop.h - when many outcomes together end the run.
 *
 *   in doubt, 5 in a row or more than max(10, 2 % of the budget)   69
 *   unusable, more than half of at least 20 paid answers           65
 *   rejected, 5 in a row                                           78, or what their status stands for
 *   web pages with a status of success, 3 in a row                 76
 *   nothing but refusals for max_wait seconds                      75 or 69, the last refusal's
 *
 * Counted since this start. Pure functions of a clock in seconds.
 *
 *     struct teacher_stop stop;
 *     teacher_stop_init(&stop, budget, max_wait, now);
 *     if ((code = teacher_stop_note(&stop, &outcome, now)))
 *             drain, then exit with code
 */
#ifndef BALDISTILL_TEACHER_STOP_H
#define BALDISTILL_TEACHER_STOP_H

#include "src/teacher/outcome.h"

#ifdef __cplusplus
extern "C" {
#endif

struct teacher_stop {
	uint64_t budget;
	double max_wait;
	double progress; /* when the teacher last did more than refuse */
	uint64_t doubts_in_row, doubts, pages_in_row, answers, unusable, rejected_in_row;
};

void teacher_stop_init(struct teacher_stop *stop, uint64_t budget, double max_wait, double now);

/* Count one outcome; the exit status with which the run is to end, outcome->stop first, or 0. */
int teacher_stop_note(struct teacher_stop *stop, const struct teacher_outcome *outcome, double now);

#ifdef __cplusplus
}
#endif
#endif
