// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/outcome.h"

#include <stdio.h>
#include <string.h>

#include "src/teacher/request.h"
#include "src/teacher/retry.h"

static const char *const state_names[TEACHER_STATES] = {
	[TEACHER_ANSWERED] = "answered", [TEACHER_UNUSABLE] = "unusable", [TEACHER_IN_DOUBT] = "in_doubt",
	[TEACHER_RELEASED] = "released", [TEACHER_REJECTED] = "rejected",
};

const char *teacher_state_name(enum teacher_state state)
{
	return state < TEACHER_STATES ? state_names[state] : "";
}

/* What a failed transfer means. Its state follows from how much was sent: in doubt only where that was all. */
static const struct {
	const char *reason;
	int code;
	bool retry, stop;
} transports[TEACHER_TRANSPORTS] = {
	[TEACHER_UNRESOLVED] = {"no address", ERR_UNAVAILABLE, true, false},
	[TEACHER_UNCONNECTED] = {"not connected", ERR_UNAVAILABLE, true, false},
	[TEACHER_UNTRUSTED] = {"certificate", ERR_PROTOCOL, false, true},
	[TEACHER_UNSECURED] = {"no tls", ERR_PROTOCOL, false, true},
	[TEACHER_TIMED_OUT] = {"timed out", ERR_UNAVAILABLE, true, false},
	[TEACHER_STALLED] = {"stalled", ERR_UNAVAILABLE, true, false},
	[TEACHER_BROKEN] = {"broken off", ERR_UNAVAILABLE, true, false},
	[TEACHER_GARBLED] = {"not http", ERR_UNAVAILABLE, true, false},
	[TEACHER_OVERSIZE] = {"too large", ERR_UNAVAILABLE, true, false},
	[TEACHER_NO_RESOURCES] = {"out of resources", ERR_MEMORY, true, true},
};

enum verdict { GO_ON = 0, SLOW = 1, STOP = 2 };

/* Whole replies other than success, by status; the first row that holds the status counts. */
static const struct rule {
	int first, last;
	enum teacher_state state;
	int code;
	bool retry;
	enum verdict verdict;
} rules[] = {
	{300, 399, TEACHER_IN_DOUBT, ERR_PROTOCOL, false, STOP},
	{400, 400, TEACHER_REJECTED, ERR_DATA, false, GO_ON},
	{401, 401, TEACHER_RELEASED, ERR_NOPERM, true, STOP},
	{402, 402, TEACHER_RELEASED, ERR_QUOTA, true, STOP},
	{403, 403, TEACHER_RELEASED, ERR_NOPERM, true, STOP},
	{404, 405, TEACHER_RELEASED, ERR_CONFIG, true, STOP},
	{407, 407, TEACHER_RELEASED, ERR_UNAVAILABLE, true, GO_ON},
	{408, 409, TEACHER_IN_DOUBT, ERR_UNAVAILABLE, true, GO_ON},
	{410, 410, TEACHER_RELEASED, ERR_CONFIG, true, STOP},
	{411, 411, TEACHER_REJECTED, ERR_DATA, false, GO_ON},
	{413, 415, TEACHER_REJECTED, ERR_DATA, false, GO_ON},
	{421, 422, TEACHER_REJECTED, ERR_DATA, false, GO_ON},
	{426, 426, TEACHER_REJECTED, ERR_DATA, false, GO_ON},
	{429, 429, TEACHER_RELEASED, ERR_TEMPFAIL, true, SLOW},
	{431, 431, TEACHER_REJECTED, ERR_DATA, false, GO_ON},
	{451, 451, TEACHER_REJECTED, ERR_DATA, false, GO_ON},
	{503, 503, TEACHER_RELEASED, ERR_UNAVAILABLE, true, SLOW},
	{529, 529, TEACHER_RELEASED, ERR_UNAVAILABLE, true, SLOW},
	{400, 499, TEACHER_IN_DOUBT, ERR_UNAVAILABLE, false, GO_ON},
	{500, 599, TEACHER_IN_DOUBT, ERR_UNAVAILABLE, true, GO_ON},
	{0, 999, TEACHER_IN_DOUBT, ERR_PROTOCOL, true, GO_ON},
};

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && !strcmp(text + n - m, end);
}

/* Money, not pace: waiting does not help. */
static bool tells_quota(const char *word)
{
	static const char *const words[] = {"insufficient_quota", "credit_balance_exhausted", "insufficient_balance",
					    "billing_hard_limit_reached", "billing_not_active",
					    "exceeded_current_quota_error"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(word, words[i]))
			return true;
	return ends_with(word, "_spend_limit_exceeded");
}

/* Anthropic's and xAI's words, which come with the code of any bad request. */
static bool says_no_credit(const char *message)
{
	return strstr(message, "credit balance is too low") || strstr(message, "have any credits");
}

static bool is_quota(int status, const struct teacher_error *e)
{
	return status >= 400 && status <= 499 && e &&
	       (tells_quota(e->code) || tells_quota(e->type) || says_no_credit(e->message));
}

static bool tells_unsupported(const struct teacher_error *e)
{
	static const char *const words[] = {"nsupported", "not support", "n't support", "deprecated", "not permitted"};
	if (!strncmp(e->code, "unsupported_", 12) || !strncmp(e->type, "unsupported_", 12))
		return true;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strstr(e->message, words[i]))
			return true;
	return false;
}

/* The parameter that a server names, or else the one its words are about. */
static unsigned wanted_change(int status, const struct teacher_error *e)
{
	static const struct {
		const char *param;
		unsigned change;
	} rows[] = {
		{"max_tokens", TEACHER_RENAME_LIMIT},
		{"temperature", TEACHER_DROP_TEMPERATURE},
	};
	if ((status != 400 && status != 422) || !e || !tells_unsupported(e))
		return 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (*e->param ? !strcmp(e->param, rows[i].param) : strstr(e->message, rows[i].param) != NULL)
			return rows[i].change;
	return 0;
}

static void decide_failure(struct teacher_outcome *o, const struct teacher_exchange *x)
{
	bool all_sent = x->to_send && x->sent >= x->to_send;
	o->state = all_sent ? TEACHER_IN_DOUBT : TEACHER_RELEASED;
	o->code = transports[x->transport].code;
	o->stop = transports[x->transport].stop ? o->code : 0;
	o->retry = transports[x->transport].retry;
	snprintf(o->reason, sizeof o->reason, "%s", transports[x->transport].reason);
}

static void decide_success(struct teacher_outcome *o, const struct teacher_facts *f)
{
	const struct teacher_answer *answer = f->answer;
	bool error = answer->cause == TEACHER_ERROR_BODY && !answer->usage.known && f->error && !*f->error->code;
	o->state = answer->cause == TEACHER_USABLE ? TEACHER_ANSWERED : TEACHER_UNUSABLE;
	o->code = answer->cause == TEACHER_USABLE ? 0 : ERR_DATA;
	o->page = answer->cause == TEACHER_HTML || error;
	snprintf(o->reason, sizeof o->reason, "%s", teacher_cause_name(answer->cause));
}

static const struct rule *rule_of(int status)
{
	const struct rule *rule = rules;
	while (status < rule->first || status > rule->last)
		rule++;
	return rule;
}

static bool tells_content(const struct teacher_error *e)
{
	static const char *const words[] = {"content_filter", "content_policy_violation", "content_policy"};
	for (size_t i = 0; e && i < sizeof words / sizeof *words; i++)
		if (!strcmp(e->code, words[i]) || !strcmp(e->type, words[i]))
			return true;
	return false;
}

/* A prompt that is longer than what a minute allows is refused as if there were too many: no wait helps. */
static bool is_too_large(int status, const struct teacher_error *e)
{
	return status == 413 || (status == 429 && e && strstr(e->message, "equest too large"));
}

static void decide_status(struct teacher_outcome *o, int told, const struct teacher_facts *f)
{
	const int status = is_too_large(told, f->error) ? 413 : told;
	const struct rule *rule = rule_of(status >= 0 && status <= 999 ? status : 0);
	unsigned change = wanted_change(told, f->error);
	o->state = rule->state;
	o->code = rule->code;
	o->retry = rule->retry;
	o->stop = rule->verdict == STOP ? rule->code : 0;
	o->slow_down = rule->verdict == SLOW;
	o->content = rule->state == TEACHER_REJECTED && tells_content(f->error);
	snprintf(o->reason, sizeof o->reason, "http %d", told);
	if (is_quota(told, f->error)) {
		*o = (struct teacher_outcome){.state = TEACHER_RELEASED,
					      .stop = ERR_QUOTA,
					      .code = ERR_QUOTA,
					      .retry = true,
					      .wait = TEACHER_NO_WAIT};
		snprintf(o->reason, sizeof o->reason, "quota");
	} else if (change && !(f->changes & change)) {
		o->state = TEACHER_RELEASED;
		o->retry = true;
		o->changes = change;
	}
}

/* A wait is asked for with a refusal; one that is too long ends the run. A changed request is another one. */
static void heed_headers(struct teacher_outcome *o, const struct teacher_facts *f)
{
	if (o->slow_down)
		o->wait = f->headers->wait;
	if (o->wait > f->max_wait)
		o->stop = o->code;
	if (!f->headers->never_retry || o->changes)
		return;
	o->retry = false;
	if (o->state == TEACHER_RELEASED && !o->stop)
		o->state = TEACHER_REJECTED;
}

/*
 * A server that passes on what others answer (OpenRouter) has begun its reply with 200 when one of them refuses; the
 * status of the refusal, 400 to 499, then stands in the error. 0: there is none, or it is one prompt's (403: flagged).
 */
static int passed_on(const struct teacher_facts *f)
{
	const char *code = f->error ? f->error->code : "";
	bool bare = f->answer && f->answer->cause == TEACHER_ERROR_BODY && !f->answer->usage.known;
	if (!bare || strlen(code) != 3 || strspn(code, "0123456789") != 3 || *code != '4' || !strcmp(code, "403"))
		return 0;
	return (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
}

/* Whether a reply of success is billed is known to nobody: the unit stays spent. */
static void decide_passed_on(struct teacher_outcome *o, int status, const struct teacher_facts *f)
{
	decide_status(o, status, f);
	if (o->state == TEACHER_RELEASED)
		o->state = TEACHER_IN_DOUBT;
	if (o->state != TEACHER_REJECTED && !o->changes)
		return;
	*o = (struct teacher_outcome){.wait = TEACHER_NO_WAIT};
	decide_success(o, f);
}

void teacher_outcome_decide(struct teacher_outcome *o, const struct teacher_exchange *x, const struct teacher_facts *f)
{
	int passed = passed_on(f);
	*o = (struct teacher_outcome){.wait = TEACHER_NO_WAIT};
	if (x->transport != TEACHER_REPLIED)
		decide_failure(o, x);
	else if (x->status < 200 || x->status > 299 || !f->answer)
		decide_status(o, x->status, f);
	else if (passed)
		decide_passed_on(o, passed, f);
	else
		decide_success(o, f);
	if (x->transport == TEACHER_REPLIED && f->headers)
		heed_headers(o, f);
}
