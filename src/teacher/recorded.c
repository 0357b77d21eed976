// SPDX-License-Identifier: Apache-2.0
/* A recorded teacher: what a cassette has is the answer, and nobody is paid. */
#define _GNU_SOURCE /* mempcpy */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/teacher/recording.h"
#include "src/teacher/retry.h"

struct recorded {
	struct teacher_source source;
	struct recording recording;
	bool skip_missing;
	struct teacher_question *open; /* [open_n]: asked and not yet polled */
	size_t open_n, open_room;
};

static int recorded_ask(struct teacher_source *source, const struct teacher_question *q, struct err *err)
{
	struct recorded *r = (struct recorded *)source;
	const struct recording_row *e;
	char shown[128];
	if (recording_find(&r->recording, q, &e, err) ||
	    mem_grow(&r->open, &r->open_room, r->open_n + 1, sizeof *r->open, err))
		return -1;
	if (!e && !r->skip_missing)
		return err_set(
			err, ERR_DATA,
			"cassette '%s' has no attempt %llu of %s '%s'; record it, or begin another run with "
			"teacher.on_missing: skip",
			r->recording.path, (unsigned long long)q->attempt + 1, q->kind,
			text_escape(shown, sizeof shown, q->id, strlen(q->id)));
	r->open[r->open_n++] = *q;
	return 0;
}

/* A heading and what stands behind it; nothing where the row does not say. */
static size_t add_part(char *to, const char *heading, const struct pick *value)
{
	if (value->kind != JSON_STRING)
		return 0;
	char *at = stpcpy(to, heading);
	at = mempcpy(at, value->bytes, value->n);
	*at++ = '\n';
	return (size_t)(at - to);
}

/* A parsed synthesis as the teacher would have written it: "Input:", "Rationale:", "Answer:", a line each. */
static int compose(struct teacher_answer *answer, const struct pick *rationale, const struct pick *input,
		   const struct pick *label, struct err *err)
{
	static const char words[] = "Input: \nRationale: \nAnswer: \n";
	size_t room;
	if (!size_add(&room, rationale->n, input->n) || !size_add(&room, room, label->n) ||
	    !size_add(&room, room, sizeof words))
		return err_set(err, ERR_MEMORY, "a recorded answer is too long");
	char *text = mem_array(room, 1, err);
	if (!text)
		return -1;
	answer->n = add_part(text, "Input: ", input);
	answer->n += add_part(text + answer->n, "Rationale: ", rationale);
	answer->n += add_part(text + answer->n, "Answer: ", label);
	text[--answer->n] = '\0';
	answer->content = text;
	return 0;
}

enum { ROW_RATIONALE, ROW_INPUT, ROW_LABEL, ROW_PROMPT, ROW_KIND, ROW_MEMBERS };

static int take_parsed(struct teacher_answer *answer, const struct pick *p, struct err *err)
{
	bool annotation = pick_is(&p[ROW_KIND], "annotate") || p[ROW_INPUT].kind != JSON_STRING;
	answer->cause = TEACHER_USABLE;
	memcpy(answer->finish_reason, "stop", sizeof "stop");
	if (annotation ? pick_copy(&answer->content, &answer->n, &p[ROW_RATIONALE], err)
		       : compose(answer, &p[ROW_RATIONALE], &p[ROW_INPUT], &p[ROW_LABEL], err))
		return -1;
	answer->cause = teacher_text_cause(answer->content, answer->n, answer->finish_reason);
	return 0;
}

/* A row's answer, by which kind of row it is. */
static int read_row(struct teacher_answer *answer, const char *row, size_t n, struct err *err)
{
	struct pick picks[ROW_MEMBERS] = {[ROW_RATIONALE] = {.path = "rationale"}, [ROW_INPUT] = {.path = "input"},
					  [ROW_LABEL] = {.path = "label"}, [ROW_PROMPT] = {.path = "prompt_sha256"},
					  [ROW_KIND] = {.path = "kind"}};
	struct pick_text text;
	struct err why = {0};
	*answer = (struct teacher_answer){.cause = TEACHER_NOT_JSON};
	int rc = pick_read(&text, row, n, picks, ROW_MEMBERS, &why);
	bool parsed = !rc && picks[ROW_PROMPT].kind == JSON_ABSENT;
	if (parsed)
		rc = take_parsed(answer, picks, &why);
	pick_release(&text);
	if (!rc && !parsed)
		return teacher_line_read(answer, row, n, false, err);
	if (!rc || why.code == ERR_DATA)
		return 0;
	teacher_answer_release(answer);
	return err_set(err, why.code, "%s", why.message);
}

/* A cassette's attempts were judged when they were bought; only an answer without a usable text is none. */
static void replay(struct teacher_reply *reply, const struct pick *state, const struct pick *reason,
		   const struct pick *http)
{
	static const int codes[TEACHER_STATES] = {[TEACHER_UNUSABLE] = ERR_DATA,
						  [TEACHER_IN_DOUBT] = ERR_UNAVAILABLE,
						  [TEACHER_RELEASED] = ERR_UNAVAILABLE,
						  [TEACHER_REJECTED] = ERR_DATA};
	struct teacher_outcome *o = &reply->outcome;
	uint64_t status;
	bool told = reason->kind == JSON_STRING;
	if (recording_state(&o->state, state, NULL))
		return;
	text_escape(o->reason, sizeof o->reason, told ? reason->bytes : "", told ? reason->n : 0);
	if (o->state == TEACHER_ANSWERED && reply->answer.cause != TEACHER_USABLE) {
		o->state = TEACHER_UNUSABLE;
		snprintf(o->reason, sizeof o->reason, "%s", teacher_cause_name(reply->answer.cause));
	}
	o->code = codes[o->state];
	o->retry = o->state == TEACHER_IN_DOUBT || o->state == TEACHER_RELEASED;
	if (!json_event_uint64(&http->event, &status, NULL) && status <= 999)
		reply->exchange.status = (int)status;
}

static int answer_with(struct recorded *r, const struct recording_row *e, struct teacher_reply *reply, struct err *err)
{
	struct pick p[] = {{.path = "prompt_sha256"}, {.path = "state"}, {.path = "reason"}, {.path = "http"}};
	struct teacher_facts facts = {.answer = &reply->answer};
	struct teacher_exchange as_http = {.transport = TEACHER_REPLIED, .status = 200};
	struct pick_text text;
	reply->raw = r->recording.text + e->at;
	reply->raw_n = e->n;
	int rc = pick_read(&text, reply->raw, reply->raw_n, p, 4, err) ||
		 read_row(&reply->answer, reply->raw, reply->raw_n, err);
	if (!rc && p[0].kind != JSON_ABSENT)
		replay(reply, &p[1], &p[2], &p[3]);
	else if (!rc)
		teacher_outcome_decide(&reply->outcome, &as_http, &facts);
	pick_release(&text);
	return rc ? -1 : 0;
}

/* A doubt behind which the recording has no attempt was the last: it is not asked again here either. */
static int find_last_doubt(struct recorded *r, const struct teacher_question *q, struct teacher_outcome *o,
			   struct err *err)
{
	const struct recording_row *next;
	struct teacher_question again = *q;
	again.attempt++;
	if (o->state != TEACHER_IN_DOUBT)
		return 0;
	if (recording_find(&r->recording, &again, &next, err))
		return -1;
	o->retry = next != NULL;
	return 0;
}

static int answer_one(struct recorded *r, const struct teacher_question *q, teacher_callback *done, void *context,
		      struct err *err)
{
	const struct recording_row *e;
	struct teacher_reply reply = {.tag = q->tag,
				      .slot = q->slot,
				      .outcome = {.state = TEACHER_REJECTED,
						  .code = ERR_DATA,
						  .wait = TEACHER_NO_WAIT,
						  .reason = "not recorded"}};
	if (recording_find(&r->recording, q, &e, err) || (e && answer_with(r, e, &reply, err)) ||
	    find_last_doubt(r, q, &reply.outcome, err))
		return -1;
	done(context, &reply);
	teacher_answer_release(&reply.answer);
	return 0;
}

/* First asked, first answered; what the callback asks waits for the next poll. */
static int recorded_poll(struct teacher_source *source, double seconds, teacher_callback *done, void *context,
			 struct err *err)
{
	struct recorded *r = (struct recorded *)source;
	size_t n = r->open_n;
	(void)seconds;
	for (size_t i = 0; i < n; i++) {
		struct teacher_question q = r->open[i];
		if (answer_one(r, &q, done, context, err))
			return -1;
	}
	r->open_n -= n;
	if (r->open_n)
		memmove(r->open, r->open + n, r->open_n * sizeof *r->open);
	return (int)n;
}

static int recorded_read(struct teacher_source *source, struct teacher_answer *answer, const char *raw, size_t n,
			 struct err *err)
{
	(void)source;
	return read_row(answer, raw, n, err);
}

static void recorded_close(struct teacher_source *source)
{
	struct recorded *r = (struct recorded *)source;
	recording_close(&r->recording);
	free(r->open);
	free(r);
}

struct teacher_source *teacher_recorded_open(const struct teacher_recorded_config *config, struct err *err)
{
	struct recorded *r = mem_array(1, sizeof *r, err);
	if (!r)
		return NULL;
	r->source =
		(struct teacher_source){"recorded", false, recorded_ask, recorded_poll, recorded_read, recorded_close};
	r->skip_missing = config->skip_missing;
	if (!recording_open(&r->recording, config->path, config->exact, err))
		return &r->source;
	recorded_close(&r->source);
	return NULL;
}
