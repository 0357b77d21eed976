// SPDX-License-Identifier: Apache-2.0
/*
 * What an outcome says to the ledger, of a reply that has just come and of one
 * that a killed process had received whole.
 */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/pipeline/collect_parts.h"
#include "src/teacher/pick.h"

static const enum ledger_state states[TEACHER_STATES] = {
	[TEACHER_ANSWERED] = LEDGER_ANSWERED, [TEACHER_UNUSABLE] = LEDGER_UNUSABLE,
	[TEACHER_IN_DOUBT] = LEDGER_IN_DOUBT, [TEACHER_RELEASED] = LEDGER_RELEASED,
	[TEACHER_REJECTED] = LEDGER_RELEASED,
};

int64_t collect_cost(const struct plan_teacher *t, double tokens_in, double tokens_out)
{
	const double per_token = 1000, most = 1e15; /* billionths, of a price per million; sums of many must fit */
	if (!t || t->price_input < 0 || t->price_output < 0)
		return -1;
	double cost = (tokens_in * t->price_input + tokens_out * t->price_output) * per_token;
	return (int64_t)fmin(most, ceil(cost));
}

/* Where what ends the run leaves a query in doubt, that proves nothing. */
static bool is_last_doubt(const struct teacher_outcome *o)
{
	return o->state == TEACHER_IN_DOUBT && !o->retry && !o->stop;
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

static int64_t count_of(uint64_t tokens)
{
	return tokens < (uint64_t)INT64_MAX ? (int64_t)tokens : INT64_MAX;
}

void collect_verdict(struct ledger_verdict *v, const struct plan_teacher *teacher, const struct teacher_outcome *o,
		     const struct teacher_answer *answer)
{
	const struct teacher_usage *usage = &answer->usage;
	*v = (struct ledger_verdict){.state = states[o->state], .reason = or_null(o->reason), .cost = -1,
				     .finish_reason = or_null(answer->finish_reason), .content = answer->content,
				     .content_n = answer->n};
	v->reject = o->state == TEACHER_REJECTED;
	v->not_before = is_last_doubt(o) ? INT64_MAX : 0;
	if (!usage->known)
		return;
	v->tokens_in = count_of(usage->prompt_tokens);
	v->tokens_out = count_of(usage->completion_tokens);
	v->cost = collect_cost(teacher, (double)usage->prompt_tokens, (double)usage->completion_tokens);
}

const char *collect_usage(char text[COLLECT_USAGE_ROOM], const struct teacher_answer *answer, const char *raw,
			  size_t n)
{
	struct pick usage = {.path = "usage"};
	struct pick_text body;
	struct err ignored;
	if (!answer->usage.known)
		return NULL;
	bool found = !pick_read(&body, raw, n, &usage, 1, &ignored) && usage.kind == JSON_OBJECT &&
		     usage.n < COLLECT_USAGE_ROOM;
	if (found) {
		memcpy(text, usage.bytes, usage.n);
		text[usage.n] = '\0';
	}
	pick_release(&body);
	return found ? text : NULL;
}

/* ---- replies found in their slots ----------------------------------------------------- */

struct collect_judged {
	struct teacher_outcome outcome;
	struct teacher_answer answer;
	struct teacher_headers headers;
	char usage[COLLECT_USAGE_ROOM];
};

void collect_release(struct collector *collector)
{
	if (collector->judged)
		teacher_answer_release(&collector->judged->answer);
	free(collector->judged);
	collector->judged = NULL;
}

/* As the source decides on a reply; programs' answers have no status, and the key was taken out before. */
static int decide(struct collector *collector, struct collect_judged *j, const struct ledger_received *r,
		  struct err *err)
{
	struct teacher_source *source = collector->source;
	struct teacher_exchange exchange = {.transport = TEACHER_REPLIED, .status = r->http ? r->http : 200};
	struct teacher_error error;
	bool success = exchange.status >= 200 && exchange.status <= 299;
	struct teacher_facts facts = {.headers = &j->headers, .answer = success ? &j->answer : NULL,
				      .max_wait = collector->teacher ? collector->teacher->max_wait : INFINITY};
	teacher_headers_read(&j->headers, r->head, r->head_n, 0, NULL);
	if (success && source->read(source, &j->answer, r->body, r->body_n, err))
		return -1;
	if (!success || j->answer.cause == TEACHER_ERROR_BODY) {
		teacher_error_read(&error, r->body, r->body_n, NULL);
		facts.error = &error;
	}
	teacher_outcome_decide(&j->outcome, &exchange, &facts);
	return 0;
}

int collect_judge(void *context, const struct ledger_query *query, const struct ledger_received *received,
		  struct ledger_verdict *verdict, struct err *err)
{
	struct collector *collector = context;
	(void)query;
	collect_release(collector);
	struct collect_judged *j = collector->judged = mem_array(1, sizeof *j, err);
	if (!j || decide(collector, j, received, err))
		return -1;
	collect_verdict(verdict, collector->teacher, &j->outcome, &j->answer);
	verdict->reject = verdict->reject && !collector->source->billable;
	verdict->http = received->http;
	verdict->provider_request_id = or_null(j->headers.request_id);
	verdict->usage = collect_usage(j->usage, &j->answer, received->body, received->body_n);
	verdict->bytes_down = (int64_t)received->body_n;
	return 0;
}
