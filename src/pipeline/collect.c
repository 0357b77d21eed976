// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/collect.h"

#include <stdlib.h>
#include <time.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/pipeline/collect_parts.h"

static const double drain_seconds = 60, tick = 0.25, told_every = 2, news_share = 9;

int64_t collect_now(const struct collecting *c)
{
	return c->real + (int64_t)((clock_seconds() - c->start) * 1000);
}

void collect_fail(struct collecting *c, const struct err *err)
{
	if (!c->err.code)
		c->err = *err;
}

/* ---- beginning and end ------------------------------------------------------------ */

static int prepare(struct collecting *c, struct err *err)
{
	const struct plan_teacher *t = c->collector->teacher;
	struct timespec real;
	struct teacher_pace_limits limits = {.requests_per_minute = t->max_requests_per_minute,
					     .tokens_per_minute = t->max_tokens_per_minute,
					     .max_concurrent = (size_t)t->max_concurrent_requests};
	clock_gettime(CLOCK_REALTIME, &real);
	c->real = (int64_t)real.tv_sec * 1000 + real.tv_nsec / 1000000;
	c->start = c->told = clock_seconds();
	c->flights = limits.max_concurrent ? limits.max_concurrent : 1;
	c->flight = mem_array(c->flights, sizeof *c->flight, err);
	c->rejected = c->flight ? mem_array(c->n, sizeof *c->rejected, err) : NULL;
	c->shot = c->rejected ? mem_array(c->flights, sizeof *c->shot, err) : NULL;
	if (!c->collector->counting) {
		teacher_pace_init(&c->collector->pace, &limits, c->start);
		teacher_stop_init(&c->collector->stop, (uint64_t)c->collector->budget, t->max_wait, c->start);
	}
	c->collector->pace.in_flight = 0;
	c->collector->counting = true;
	c->collector->stop.progress = c->start; /* no request was out between two steps */
	return c->shot ? collect_plan(c, err) : -1;
}

/* What earlier calls have settled counts as done. */
static int begin(struct collecting *c, struct err *err)
{
	struct ledger_counts counts;
	if (prepare(c, err) || ledger_counts(c->collector->ledger, &counts, err))
		return -1;
	uint64_t left = (uint64_t)counts.pending < c->n ? (uint64_t)counts.pending : c->n;
	c->parked = counts.parked;
	c->collector->ever_heard = counts.answered + counts.unusable > 0;
	progress_begin(&c->progress, voice_progress(c->collector->voice), c->step, "answers", c->n, c->n - left);
	return 0;
}

static void count_left(struct collecting *c)
{
	struct ledger_counts counts;
	struct err ignored;
	if (!ledger_counts(c->collector->ledger, &counts, &ignored))
		c->counts->parked = counts.pending + counts.parked - c->parked;
}

static void release(struct collecting *c)
{
	free(c->place);
	free(c->flight);
	free(c->rejected);
	free(c->shot);
}

/* ---- the loop ------------------------------------------------------------------------ */

static void tell(struct collecting *c)
{
	struct err err = {0};
	double began = clock_seconds();
	if (c->collector->settled && c->collector->settled(c->collector->context, &err))
		collect_fail(c, &err);
	c->told = clock_seconds();
	c->telling = c->told - began;
	c->news = false;
}

void collect_tell(struct collecting *c)
{
	if (clock_seconds() - c->told >= (c->news ? news_share * c->telling : told_every))
		tell(c);
}

/* Up to `seconds`, for a reply where one is on its way; how many came, or -1 with c->err filled. */
static int wait_for(struct collecting *c, double seconds)
{
	struct teacher_source *source = c->collector->source;
	struct err err = {0};
	seconds = fmin(seconds, tick);
	if (c->in_flight) {
		int n = source->poll(source, seconds, collect_reply, c, &err);
		if (n < 0)
			collect_fail(c, &err);
		return n;
	}
	struct timespec rest = {.tv_nsec = (long)(seconds * 1e9)};
	if (seconds > 0)
		nanosleep(&rest, NULL);
	return 0;
}

static bool interrupted(struct collecting *c)
{
	if (!voice_signals(c->collector->voice))
		return false;
	if (c->interrupted <= 0)
		c->interrupted = clock_seconds();
	if (!c->err.code)
		err_set(&c->err, ERR_TEMPFAIL, "interrupted; the same command goes on");
	return true;
}

static void work(struct collecting *c)
{
	while (!c->err.code && !interrupted(c)) {
		double wait = collect_send(c);
		if (c->err.code || (isinf(wait) && !c->in_flight))
			return;
		wait_for(c, wait);
	}
}

/*
 * Wait for what is paid, after a signal only so long. A source that returns at
 * once has nothing open: a reply it could not tell is found at the next start.
 */
static void drain(struct collecting *c)
{
	size_t failures = 0;
	collect_commit(c);
	if (c->in_flight && c->collector->source->billable)
		voice_say(c->collector->voice, "waiting for %zu paid answer%s before it ends: %s", c->in_flight,
			  c->in_flight == 1 ? "" : "s", c->err.message);
	while (c->in_flight && c->collector->source->billable && failures <= c->flights) {
		double now = clock_seconds();
		if (interrupted(c) && now - c->interrupted > drain_seconds)
			return;
		int n = wait_for(c, tick);
		collect_commit(c);
		collect_tell(c);
		if (!n && clock_seconds() - now < tick / 2)
			return;
		failures += n < 0;
	}
}

static int conclude(struct collecting *c, struct err *err)
{
	int held = ledger_held(c->collector->ledger);
	if (!c->err.code)
		return collect_explain_bound(c, err);
	if (held)
		return err_set(err, c->err.code, "%s (%d whole answers wait in their slots for the next start)",
			       c->err.message, held);
	return err_set(err, c->err.code, "%s", c->err.message);
}

int collect_step(struct collector *collector, int64_t stage, const char *step, const struct collect_query *queries,
		 size_t n, struct collect_counts *counts, struct err *err)
{
	struct collecting c = {.collector = collector, .stage = stage, .step = step, .queries = queries, .n = n,
			       .counts = counts};
	*counts = (struct collect_counts){0};
	int rc = begin(&c, err);
	if (!rc) {
		collect_share(&c);
		work(&c);
		drain(&c);
		tell(&c); /* also what was taken back, or is left armed */
		progress_finish(&c.progress);
		count_left(&c);
		rc = conclude(&c, err);
	}
	if (collector->voice && collector->voice->paying)
		*collector->voice->paying = 0;
	release(&c);
	return rc;
}
