// SPDX-License-Identifier: Apache-2.0
/*
 * What a rejection tells: of the query alone, or of the server. It may be the
 * fault of every request: a wrong key, a member the server does not know,
 * another server under the same name.
 */
#include "src/base/clock.h"
#include "src/pipeline/collect_parts.h"

static const int64_t many = 3; /* rejections of a query, in as many starts */

/* Recorded doubts were paid for long ago: only what is wrong with the answers ends a run that buys nothing. */
static int judge_run(struct collecting *c, const struct teacher_outcome *o)
{
	int code = teacher_stop_note(&c->collector->stop, o, clock_seconds());
	return c->collector->source->billable || code == ERR_DATA ? code : 0;
}

/* In this start or in an earlier one. */
static bool has_answers(const struct collecting *c)
{
	return c->collector->heard || c->collector->ever_heard;
}

static bool always_rejected(const struct collecting *c, const struct flight *f)
{
	return f->rejections >= many && has_answers(c);
}

/* The query's own matter: the server says so, or others have answers and it was rejected before. */
static bool is_proved(const struct collecting *c, const struct flight *f, const struct teacher_outcome *o)
{
	return o->content || (c->rejected[f->query - c->queries] && has_answers(c)) || always_rejected(c, f);
}

bool collect_weigh(struct collecting *c, const struct flight *f, const struct teacher_outcome *o, int *ending)
{
	double before = c->rejection;
	bool follows = c->collector->stop.rejected_in_row > 0, rejected = o->state == TEACHER_REJECTED;
	bool proved = rejected && is_proved(c, f, o);
	if (rejected)
		c->rejection = clock_seconds();
	*ending = proved || (rejected && f->began < before) ? 0 : judge_run(c, o);
	return rejected && c->collector->source->billable && !proved && (*ending || follows || !c->collector->heard);
}

void collect_narrow(const struct collecting *c, const struct flight *f, struct teacher_reply *reply)
{
	bool alone = (c->collector->heard && f->rejections) || always_rejected(c, f);
	if (reply->exchange.status != 403 || reply->outcome.stop != ERR_NOPERM || !alone)
		return;
	reply->outcome.state = TEACHER_REJECTED;
	reply->outcome.stop = 0;
	reply->outcome.retry = false;
}
