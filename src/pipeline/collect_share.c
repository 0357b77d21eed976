// SPDX-License-Identifier: Apache-2.0
/*
 * Answers that another run has paid for, of a comparison or named by the user:
 * taken from its cassette before anything is armed. Only usable ones are; a
 * unit each, no send.
 */
#include "src/ledger/attempt.h"
#include "src/pipeline/collect_parts.h"

struct sharing {
	struct collecting *c;
	int64_t query;
	bool again, taken, full; /* the row was none, another may follow; it was an answer; the budget is used */
};

static void take(void *context, const struct teacher_reply *reply)
{
	struct sharing *s = context;
	struct ledger_received received = {.http = reply->exchange.status, .body = reply->raw, .body_n = reply->raw_n};
	struct ledger_verdict verdict;
	struct err err = {0};
	bool shared;
	s->again = reply->outcome.state == TEACHER_RELEASED || reply->outcome.state == TEACHER_IN_DOUBT;
	if (reply->outcome.state != TEACHER_ANSWERED)
		return;
	collect_verdict(&verdict, NULL, &reply->outcome, &reply->answer);
	verdict.reason = "shared";
	if (ledger_share(s->c->collector->ledger, s->query, &received, &verdict, collect_now(s->c), &shared, &err))
		collect_fail(s->c, &err);
	s->taken = true;
	s->full = !shared && !s->c->err.code;
}

/* One query to one cassette, which has the k-th attempt at its k-th row, until a row answers it or none follows. */
static void ask(struct sharing *s, struct teacher_source *cassette, const struct collect_query *q)
{
	s->again = true;
	s->taken = false;
	for (uint64_t k = 0; s->again && !s->taken && !s->c->err.code; k++) {
		const struct teacher_question question = {.kind = q->kind, .domain = q->domain, .id = q->example_id,
							  .ordinal = q->ordinal, .attempt = k, .body = q->body,
							  .body_n = q->body_n};
		struct err err = {0};
		s->again = false;
		if (cassette->ask(cassette, &question, &err) || cassette->poll(cassette, 0, take, s, &err) < 0)
			collect_fail(s->c, &err);
	}
}

static void ask_all(struct collecting *c, struct teacher_source *cassette)
{
	struct sharing s = {.c = c};
	struct ledger_pending pending;
	struct err err = {0};
	if (ledger_pending(c->collector->ledger, c->stage, c->step, collect_now(c), c->n, LEDGER_IN_ORDER, &pending, &err)) {
		collect_fail(c, &err);
		return;
	}
	for (size_t i = 0; i < pending.n && !c->err.code && !s.full; i++) {
		const struct collect_query *q = collect_find(c, &pending.query[i]);
		s.query = pending.query[i].id;
		if (q)
			ask(&s, cassette, q);
		if (s.taken && !s.full) {
			c->counts->shared++;
			progress_add(&c->progress, 1);
		}
		s.taken = false;
	}
	ledger_pending_release(&pending);
}

static void open_and_ask(struct collecting *c, const char *path)
{
	const struct teacher_recorded_config config = {.path = path, .skip_missing = true, .exact = true};
	struct err err = {0};
	struct teacher_source *cassette = teacher_recorded_open(&config, &err);
	if (!cassette) {
		collect_fail(c, &err);
		return;
	}
	ask_all(c, cassette);
	cassette->close(cassette);
}

void collect_share(struct collecting *c)
{
	const struct collector *collector = c->collector;
	for (size_t i = 0; i < collector->cassettes && c->n && !c->err.code; i++)
		open_and_ask(c, collector->cassette[i]);
	if (collector->reuse && c->n && !c->err.code)
		ask_all(c, collector->reuse);
}
