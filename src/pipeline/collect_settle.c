// SPDX-License-Identifier: Apache-2.0
/*
 * T2 to T4: a reply goes into its slot and the ledger before its answer is told. Those
 * that come together are settled in one turn, which what is armed next shares.
 */
#include <string.h>

#include "reference/philox.h"
#include "src/base/clock.h"
#include "src/pipeline/collect_parts.h"
#include "src/teacher/retry.h"

enum { BACKOFF_STREAM = 0x77616974 }; /* "wait" */

static const int64_t again_ms = 2000; /* until a query that may have been rejected for all is asked again */

void collect_land(struct collecting *c, struct flight *f)
{
	f->busy = false;
	c->in_flight--;
}

static struct flight *flight_of(struct collecting *c, uint64_t tag)
{
	for (size_t i = 0; i < c->flights; i++)
		if (c->flight[i].busy && (uint64_t)c->flight[i].shot.attempt == tag)
			return &c->flight[i];
	return NULL;
}

/* The key is cut out in place; what stood behind it must not stay in the file. */
static void wipe_rest(const struct teacher_slot *slot, uint64_t received)
{
	size_t end = received < slot->body_room ? (size_t)received : slot->body_room;
	memset(slot->head + slot->head_n, 0, slot->head_room - slot->head_n);
	if (end > slot->body_n)
		memset(slot->body + slot->body_n, 0, end - slot->body_n);
}

/*
 * A reply that came whole is finished in its slot, from where a kill cannot take
 * it. What a program or a recording said is put there first, cut to the room;
 * without an answer in it there is nothing that a later judge could read.
 */
static int finish_slot(const struct flight *f, const struct teacher_reply *reply, struct err *err)
{
	struct slot *slot = f->shot.slot;
	bool direct = reply->raw == f->slot.body;
	bool paid = reply->outcome.state == TEACHER_ANSWERED || reply->outcome.state == TEACHER_UNUSABLE;
	size_t n = reply->raw_n < slot->body_room ? reply->raw_n : slot->body_room;
	if (direct)
		wipe_rest(&f->slot, reply->exchange.received);
	if (direct)
		return reply->exchange.transport == TEACHER_REPLIED
			? slot_finish(slot, reply->exchange.status, f->slot.head_n, f->slot.body_n, err) : 0;
	if (!paid)
		return 0;
	if (n)
		memcpy(slot->body, reply->raw, n);
	return slot_finish(slot, reply->exchange.status, 0, n, err);
}

/*
 * Full jitter, drawn from the query and the attempt, so that nothing depends on
 * who came first. What ends the run leaves it to the user when to go on; the
 * next start then asks others first.
 */
static int64_t back_off(const struct collecting *c, const struct flight *f, const struct teacher_outcome *o)
{
	struct philox_key stream = philox_stream(c->collector->seed, PHILOX_SHUFFLE, BACKOFF_STREAM, 0, 0);
	double u = philox_uniform(philox_at(stream, (uint32_t)f->sends, (uint64_t)f->id));
	if (!c->collector->source->billable || o->changes)
		return 0;
	if (o->stop)
		return collect_now(c);
	return collect_now(c) + (int64_t)(teacher_retry_backoff((unsigned)f->sends, o->wait, u) * 1000);
}

/*
 * A teacher that refuses everything, or cannot be reached, is asked ever more
 * rarely: sends that cost nothing are bounded as well. A refusal between
 * answers is its own query's matter.
 */
static void heed_refusal(struct collecting *c, const struct flight *f, const struct teacher_outcome *o)
{
	struct philox_key stream = philox_stream(c->collector->seed, PHILOX_SHUFFLE, BACKOFF_STREAM, 1, 0);
	double now = clock_seconds(), u = philox_uniform(philox_at(stream, 0, (uint64_t)f->shot.attempt));
	if ((o->state != TEACHER_RELEASED && !o->slow_down) || o->changes || !c->collector->source->billable)
		c->refusals = 0;
	else if (f->began >= c->refused) {
		c->refusals++;
		c->refused = now;
		if (c->refusals > 1)
			c->collector->pace.hold = fmax(c->collector->pace.hold, now + teacher_retry_backoff(c->refusals - 2, o->wait, u));
	}
}

/* What is known of the prices of answers, before the next requests are armed. */
static void learn(struct collecting *c, const struct flight *f, const struct teacher_reply *reply)
{
	const struct teacher_usage *usage = &reply->answer.usage;
	struct collector *collector = c->collector;
	if (reply->outcome.state == TEACHER_ANSWERED || reply->outcome.state == TEACHER_UNUSABLE)
		collector->heard = true;
	if (!usage->known)
		return;
	collector->dearest_in = fmax(collector->dearest_in, (double)usage->prompt_tokens / (double)f->query->body_n);
	collector->dearest_out = fmax(collector->dearest_out, (double)usage->completion_tokens);
}

/* Where no turn can begin the ledger tries one for this reply alone, and sees to its slot where that fails. */
static int settle(struct collecting *c, const struct flight *f, const struct teacher_reply *reply, bool doubtful,
		  struct err *err)
{
	struct ledger_verdict verdict;
	char usage[COLLECT_USAGE_ROOM];
	if (finish_slot(f, reply, err))
		return -1;
	collect_verdict(&verdict, c->collector->teacher, &reply->outcome, &reply->answer);
	if (doubtful) {
		verdict.reject = false;
		verdict.not_before = collect_now(c) + again_ms;
	}
	if (verdict.not_before == 0 && verdict.state >= LEDGER_RELEASED)
		verdict.not_before = back_off(c, f, &reply->outcome);
	verdict.unsent = reply->exchange.transport != TEACHER_REPLIED;
	verdict.http = reply->exchange.status;
	verdict.curl = reply->exchange.curl;
	verdict.provider_request_id = *reply->request_id ? reply->request_id : NULL;
	verdict.usage = collect_usage(usage, &reply->answer, reply->raw, reply->raw_n);
	verdict.bytes_up = (int64_t)reply->exchange.sent;
	verdict.bytes_down = (int64_t)reply->exchange.received;
	c->turn = c->turn || !ledger_turn_begin(c->collector->ledger, err);
	return ledger_settle(c->collector->ledger, f->shot.attempt, &verdict, collect_now(c), err);
}

static void count(struct collecting *c, enum teacher_state state, int64_t came)
{
	struct collect_counts *n = c->counts;
	int64_t *const of[TEACHER_STATES] = {
		[TEACHER_ANSWERED] = &n->answered, [TEACHER_UNUSABLE] = &n->unusable, [TEACHER_IN_DOUBT] = &n->in_doubt,
		[TEACHER_RELEASED] = &n->released, [TEACHER_REJECTED] = &n->rejected,
	};
	*of[state] += came;
	c->news = c->news || came;
	if (came && (state == TEACHER_ANSWERED || state == TEACHER_UNUSABLE))
		progress_add(&c->progress, (uint64_t)came);
}

int collect_commit(struct collecting *c)
{
	struct err err = {0};
	int failed = c->turn ? ledger_turn_end(c->collector->ledger, &err) : 0;
	c->turn = false;
	if (failed)
		c->err = err; /* graver than what a reply said or a signal asked */
	for (int state = 0; state < TEACHER_STATES; state++) {
		if (!failed)
			count(c, (enum teacher_state)state, c->came[state]);
		c->came[state] = 0;
	}
	return failed;
}

/* Money that nobody counted is told once. */
static void say_usage(struct collecting *c, const struct teacher_reply *reply)
{
	const struct teacher_usage *usage = &reply->answer.usage;
	if (reply->outcome.state != TEACHER_ANSWERED || usage->known || c->collector->told_usage ||
	    !c->collector->source->billable || collect_cost(c->collector->teacher, 0, 0) < 0)
		return;
	voice_say(c->collector->voice, "the teacher tells %s; what is reserved for such an answer counts as its cost",
		  usage->flagged ? "counts of tokens that cannot be (usage)" : "no counts of tokens (usage)");
	c->collector->told_usage = true;
}

static void say(struct collecting *c, const struct teacher_reply *reply)
{
	const double worth_saying = 5;
	const struct teacher_outcome *o = &reply->outcome;
	const struct voice *voice = c->collector->voice;
	if (reply->answer.other_model && !c->collector->told_model)
		voice_say(voice, "the teacher answers as model '%s', not as '%s'; teacher.model says which is meant",
			  reply->answer.model, c->collector->teacher->model);
	say_usage(c, reply);
	c->collector->told_model |= reply->answer.other_model;
	if (o->changes)
		voice_say(voice, "the teacher refuses a part of the requests (%s); they are changed and asked again",
			  reply->error.message);
	else if (o->wait >= worth_saying && !o->stop)
		voice_say(voice, "the teacher asks to wait %.0f s (%s)", o->wait, o->reason);
}

static void land(struct collecting *c, struct flight *f, const struct teacher_reply *reply)
{
	const struct teacher_outcome *o = &reply->outcome;
	struct err err = {0};
	int ending;
	bool doubtful = collect_weigh(c, f, o, &ending);
	int failed = settle(c, f, reply, doubtful, &err);
	c->rejected[f->query - c->queries] |= o->state == TEACHER_REJECTED;
	collect_land(c, f);
	if (failed) {
		collect_fail(c, &err);
		return;
	}
	c->bound = LEDGER_GO;
	c->came[doubtful ? TEACHER_RELEASED : o->state]++;
	say(c, reply);
	if (ending) {
		collect_explain_stop(&err, ending, reply, c->collector->source->billable);
		collect_fail(c, &err);
	}
}

void collect_reply(void *context, const struct teacher_reply *told)
{
	struct collecting *c = context;
	struct flight *f = flight_of(c, told->tag);
	struct teacher_reply reply = *told;
	if (!f)
		return;
	collect_narrow(c, f, &reply);
	teacher_pace_finish(&c->collector->pace, clock_seconds(), f->began, &reply.outcome);
	heed_refusal(c, f, &reply.outcome);
	learn(c, f, &reply);
	land(c, f, &reply);
}
