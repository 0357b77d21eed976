// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/stop.h"

enum { DOUBTS_IN_ROW = 5, DOUBTS = 10, DOUBTS_PER_BUDGET = 50, PAGES_IN_ROW = 3, ANSWERS = 20, REJECTED_IN_ROW = 5 };

void teacher_stop_init(struct teacher_stop *stop, uint64_t budget, double max_wait, double now)
{
	*stop = (struct teacher_stop){.budget = budget, .max_wait = max_wait, .progress = now};
}

static void count(struct teacher_stop *stop, const struct teacher_outcome *o, double now)
{
	bool answer = o->state == TEACHER_ANSWERED || o->state == TEACHER_UNUSABLE;
	bool doubt = o->state == TEACHER_IN_DOUBT;
	stop->answers += answer;
	stop->unusable += o->state == TEACHER_UNUSABLE;
	stop->doubts += doubt;
	/* Refusals stand between two doubts without telling anything about them. */
	if (doubt)
		stop->doubts_in_row++;
	else if (answer)
		stop->doubts_in_row = 0;
	if (o->state == TEACHER_REJECTED)
		stop->rejected_in_row++;
	else if (answer)
		stop->rejected_in_row = 0;
	if (answer)
		stop->pages_in_row = o->page ? stop->pages_in_row + 1 : 0;
	if (o->state != TEACHER_RELEASED || o->changes)
		stop->progress = now;
}

int teacher_stop_note(struct teacher_stop *stop, const struct teacher_outcome *o, double now)
{
	uint64_t share = stop->budget / DOUBTS_PER_BUDGET, most = share > DOUBTS ? share : DOUBTS;
	count(stop, o, now);
	if (o->stop)
		return o->stop;
	if (stop->rejected_in_row >= REJECTED_IN_ROW)
		return o->code == ERR_DATA ? ERR_CONFIG : o->code;
	if (stop->pages_in_row >= PAGES_IN_ROW)
		return ERR_PROTOCOL;
	if (stop->doubts_in_row >= DOUBTS_IN_ROW || stop->doubts > most)
		return ERR_UNAVAILABLE;
	if (stop->answers >= ANSWERS && stop->unusable > stop->answers / 2)
		return ERR_DATA;
	return now - stop->progress > stop->max_wait ? o->code : 0;
}
