// SPDX-License-Identifier: Apache-2.0
/*
 * Why a run ends, in words a user can act on.
 */
#include "src/base/text.h"
#include "src/pipeline/collect_parts.h"

static const struct {
	int code;
	const char *what, *advice;
} stops[] = {
	{ERR_DATA, "more than half of the teacher's answers cannot be used",
	 "look at them with 'baldistill ledger export RUN --output FILE'; the same command goes on and pays for more"},
	{ERR_UNAVAILABLE, "the teacher cannot be reached, or leaves requests without an answer",
	 "the same command goes on"},
	{ERR_MEMORY, "no memory or descriptors are left for requests to the teacher", "the same command goes on"},
	{ERR_TEMPFAIL, "the teacher refuses, for longer than teacher.max_wait or for good", "the same command goes on later"},
	{ERR_PROTOCOL, "what answers does not speak the teacher's protocol, or cannot be trusted",
	 "check teacher.base_url (with another one name another output_dir), and teacher.ca_file where a certificate is of your own making"},
	{ERR_NOPERM, "the teacher refuses the key, or what it is asked",
	 "check teacher.api_key_env or teacher.api_key_file; the same command goes on, and gives up what alone is refused again"},
	{ERR_CONFIG, "the teacher knows no such address or model, or rejects whatever it is asked",
	 "check teacher.base_url, teacher.model and the other keys of teacher; the same command goes on, and gives up what "
	 "alone is rejected again; with other keys name another output_dir"},
	{ERR_QUOTA, "the teacher's quota or credit is used up", "the same command goes on when there is more"},
};

void collect_explain_stop(struct err *err, int code, const struct teacher_reply *reply, bool billable)
{
	char begins[100];
	const char *words = *reply->error.message ? reply->error.message : reply->exchange.detail;
	bool cut = code == ERR_DATA && reply->answer.cause == TEACHER_LENGTH && billable;
	if (reply->answer.cause == TEACHER_FINISH_REASON)
		words = reply->answer.finish_reason;
	if (code == ERR_DATA && !*words && reply->raw && !reply->answer.content)
		words = text_escape_line(begins, sizeof begins, reply->raw, reply->raw_n);
	size_t i = 0;
	while (i + 1 < sizeof stops / sizeof *stops && stops[i].code != code)
		i++;
	err_set(err, code, "%s (last: %s%s%s); %s", stops[i].what, reply->outcome.reason, *words ? ", " : "", words,
		cut ? "raise teacher.max_tokens, which counts a model's thinking too, and start the same command again"
		    : stops[i].advice);
}

static int explain_cost(const struct ledger_counts *counts, struct err *err)
{
	const double billionth = 1e-9;
	return err_set(err, ERR_BUDGET,
		       "teacher.max_cost %g does not allow another request: %g is spent, and %lld queries are left; "
		       "raise it and start the same command again",
		       (double)counts->cost_cap * billionth, (double)counts->cost * billionth,
		       (long long)counts->pending);
}

static int explain_wire(const struct ledger_counts *counts, struct err *err)
{
	return err_set(err, ERR_UNAVAILABLE,
		       "the teacher refuses too many requests: %lld are sent, of which %lld count against the budget of "
		       "%lld; the same command goes on",
		       (long long)counts->wire, (long long)counts->used, (long long)counts->budget);
}

/* The stage's own budget is no failure: what is left without an answer is parked when the step ends. */
int collect_explain_bound(struct collecting *c, struct err *err)
{
	struct ledger_counts counts;
	if (c->bound == LEDGER_GO || c->bound == LEDGER_STAGE_CAP)
		return 0;
	if (ledger_counts(c->collector->ledger, &counts, err))
		return -1;
	if (c->bound == LEDGER_COST_CAP)
		return explain_cost(&counts, err);
	if (c->bound == LEDGER_WIRE_CAP)
		return explain_wire(&counts, err);
	return err_set(err, ERR_INTERNAL, "the ledger has no free slot though nothing is in flight");
}
