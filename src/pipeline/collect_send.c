// SPDX-License-Identifier: Apache-2.0
/*
 * T1: what may be asked now is armed in the turn that settles what came, and when that is committed, only then, sent.
 */
#include "src/base/clock.h"
#include "src/pipeline/collect_parts.h"

/* What a request may come to at the most, as servers count before they answer. */
static double bound_of(const struct collecting *c, const struct collect_query *query)
{
	return (double)query->body_n / 3 + (double)c->collector->teacher->max_tokens;
}

/* Nor less than the dearest answer so far: digits take more tokens, and some servers pass over max_tokens. */
static int64_t reserve_of(const struct collecting *c, const struct collect_query *query)
{
	const struct plan_teacher *t = c->collector->teacher;
	double in = fmax(1.0 / 3, c->collector->dearest_in), out = fmax((double)t->max_tokens, c->collector->dearest_out);
	int64_t cost = collect_cost(t, (double)query->body_n * in, out);
	return cost < 0 ? 0 : cost;
}

static struct flight *free_flight(struct collecting *c)
{
	for (size_t i = 0; i < c->flights; i++)
		if (!c->flight[i].busy)
			return &c->flight[i];
	return NULL;
}

/* How many of the queries may go now, by pace; c->shot is filled with them. *wait: seconds until the next may. */
static size_t choose(struct collecting *c, const struct ledger_pending *pending, double *wait, struct err *err)
{
	struct teacher_pace pace = c->collector->pace;
	double now = clock_seconds();
	size_t n = 0;
	for (*wait = 0; n < pending->n; n++) {
		const struct collect_query *query = collect_find(c, &pending->query[n]);
		if (!query) {
			err_set(err, ERR_LEDGER, "query %lld of the ledger is none of this step's",
				(long long)pending->query[n].id);
			return 0;
		}
		*wait = teacher_pace_delay(&pace, now, bound_of(c, query));
		if (*wait > 0)
			break;
		teacher_pace_start(&pace, now, bound_of(c, query));
		c->shot[n] = (struct ledger_shot){.query = pending->query[n].id, .reserve = reserve_of(c, query)};
	}
	return n;
}

static struct flight *take_off(struct collecting *c, const struct ledger_query *query, const struct ledger_shot *shot)
{
	struct flight *f = free_flight(c);
	struct slot *slot = shot->slot;
	*f = (struct flight){.busy = true, .query = collect_find(c, query), .id = query->id, .sends = query->attempts,
			     .rejections = query->rejections,
			     .began = clock_seconds(), .shot = *shot};
	f->slot = (struct teacher_slot){.head = slot->head, .body = slot->body, .head_room = slot->head_room,
					.body_room = slot->body_room};
	teacher_pace_start(&c->collector->pace, f->began, bound_of(c, f->query));
	c->in_flight++;
	c->counts->asked++;
	return f;
}

/* Armed and not sent. Where nothing is billed the next start takes it back without a trace. */
static void take_back(struct collecting *c, struct flight *f)
{
	struct ledger_verdict verdict = {.state = LEDGER_RELEASED, .unsent = true, .reason = "not sent"};
	struct err err = {0};
	if (c->collector->source->billable &&
	    ledger_settle(c->collector->ledger, f->shot.attempt, &verdict, collect_now(c), &err))
		collect_fail(c, &err);
	c->counts->asked--;
	collect_land(c, f);
}

static void ask(struct collecting *c, struct flight *f)
{
	struct teacher_source *source = c->collector->source;
	const struct collect_query *q = f->query;
	const struct teacher_question question = {
		.tag = (uint64_t)f->shot.attempt, .kind = q->kind, .domain = q->domain, .id = q->example_id,
		.ordinal = q->ordinal, .attempt = (uint64_t)f->sends, .position = q->position, .input = q->input,
		.input_n = q->input_n, .body = q->body, .body_n = q->body_n, .client_id = f->shot.request_id,
		.slot = &f->slot,
	};
	struct err err = {0};
	if (!c->err.code && !source->ask(source, &question, &err))
		return;
	collect_fail(c, &err);
	take_back(c, f);
}

/* From before the arming to the commit of the last reply a signal is waited out. */
static void set_paying(const struct collecting *c, bool paying)
{
	const struct voice *voice = c->collector->voice;
	if (voice && voice->paying)
		*voice->paying = paying && c->collector->source->billable;
}

/* Seconds until the ledger lets one of the waiting queries go. */
static double until(const struct collecting *c, int64_t wake)
{
	int64_t now = collect_now(c);
	return wake == INT64_MAX ? INFINITY : wake <= now ? 0 : (double)(wake - now) / 1000;
}

/* After a rejection: is the server at fault, or what it was asked? */
static bool is_suspect(const struct collector *collector)
{
	return collector->source && collector->source->billable && collector->stop.rejected_in_row;
}

/*
 * How many more may be on their way. The first request of a start goes alone: what is wrong with all of them, and what
 * one costs, is learnt from it. After a refusal or a rejection they go one at a time, until something else has come.
 */
static size_t room(const struct collecting *c)
{
	const struct teacher_source *source = c->collector->source; /* NULL: a method that buys nothing */
	bool alone = c->refusals || is_suspect(c->collector) || (source && source->billable && !c->collector->heard);
	size_t most = alone ? 1 : c->flights;
	return most > c->in_flight ? most - c->in_flight : 0;
}

/* Others than the next in order tell what a rejection was about. */
static enum ledger_order order(const struct collecting *c)
{
	if (is_suspect(c->collector))
		return LEDGER_MIXED;
	return c->collector->heard ? LEDGER_IN_ORDER : LEDGER_REFUSED_LAST;
}

/* Seconds until more may go; *armed of the pending, their shots in c->shot. */
static double arm(struct collecting *c, struct ledger_pending *pending, size_t *armed, struct err *err)
{
	double wait = room(c) ? teacher_pace_delay(&c->collector->pace, clock_seconds(), 0) : INFINITY;
	if (wait > 0 || c->bound != LEDGER_GO)
		return wait > 0 ? wait : INFINITY;
	if (ledger_pending(c->collector->ledger, c->stage, c->step, collect_now(c), room(c), order(c), pending, err))
		return INFINITY;
	size_t n = choose(c, pending, &wait, err);
	if (!pending->n)
		wait = until(c, pending->wake);
	if (err->code || !n)
		return wait;
	set_paying(c, true);
	ledger_arm(c->collector->ledger, c->shot, n, collect_now(c), armed, &c->bound, err);
	return c->bound == LEDGER_GO ? wait : INFINITY;
}

double collect_send(struct collecting *c)
{
	struct ledger_pending pending = {0};
	struct err err = {0};
	size_t armed = 0;
	double wait = arm(c, &pending, &armed, &err);
	if (err.code)
		collect_fail(c, &err);
	if (!collect_commit(c)) {
		collect_tell(c);
		for (size_t i = 0; i < armed; i++)
			ask(c, take_off(c, &pending.query[i], &c->shot[i]));
	}
	set_paying(c, c->in_flight);
	ledger_pending_release(&pending);
	return wait;
}
