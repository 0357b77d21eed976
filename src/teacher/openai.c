// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/base/mem.h"
#include "src/teacher/request.h"
#include "src/teacher/retry.h"
#include "src/teacher/teacher.h"

struct open_question {
	bool busy;
	uint64_t tag;
	unsigned changes;
	char *changed; /* the body as sent, where changes were made; NULL otherwise */
};

struct openai {
	struct teacher_source source;
	struct teacher_http *http;
	const struct teacher_key *key;
	const char *model;
	double max_wait;
	unsigned changes; /* that this server wants in every request */
	size_t n;
	struct open_question *open; /* [n] */
};

/* Of one poll. */
struct polling {
	struct openai *openai;
	teacher_callback *done;
	void *context;
	struct err err; /* the first failure */
};

/* The request as this server takes it: the question's own body, or a changed copy in *open. */
static int make_body(struct openai *o, struct open_question *open, const struct teacher_question *q, const char **body,
		     size_t *n, struct err *err)
{
	*body = q->body;
	*n = q->body_n;
	if (!o->changes)
		return 0;
	open->changed = teacher_request_change(q->body, q->body_n, o->changes, n, err);
	*body = open->changed;
	return *body ? 0 : -1;
}

static struct open_question *free_question(struct openai *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (!o->open[i].busy)
			return &o->open[i];
	return NULL;
}

static int openai_ask(struct teacher_source *source, const struct teacher_question *q, struct err *err)
{
	struct openai *o = (struct openai *)source;
	struct open_question *open = free_question(o);
	const char *body;
	size_t n;
	if (!open)
		return err_set(err, ERR_INTERNAL, "more than %zu questions to the teacher at once", o->n);
	open->changed = NULL;
	if (make_body(o, open, q, &body, &n, err) ||
	    teacher_http_send(o->http, (uint64_t)(open - o->open), q->client_id, body, n, q->slot, err)) {
		free(open->changed);
		return -1;
	}
	open->busy = true;
	open->tag = q->tag;
	open->changes = o->changes;
	return 0;
}

static int judge(struct openai *o, struct teacher_reply *reply, struct err *err)
{
	struct teacher_slot *slot = reply->slot;
	const struct teacher_exchange *x = &reply->exchange;
	struct teacher_headers headers;
	bool whole = x->transport == TEACHER_REPLIED, success = whole && x->status >= 200 && x->status <= 299;
	struct teacher_facts facts = {.headers = &headers,
				      .changes = reply->changes,
				      .max_wait = o->max_wait,
				      .answer = success ? &reply->answer : NULL};
	teacher_headers_read(&headers, slot->head, slot->head_n, (double)time(NULL), o->key);
	memcpy(reply->request_id, headers.request_id, sizeof reply->request_id);
	if (success && teacher_answer_read(&reply->answer, slot->body, slot->body_n, o->model, o->key, err))
		return -1;
	if (whole && (!success || reply->answer.cause == TEACHER_ERROR_BODY)) {
		teacher_error_read(&reply->error, slot->body, slot->body_n, o->key);
		facts.error = &reply->error;
	}
	teacher_outcome_decide(&reply->outcome, x, &facts);
	return 0;
}

static void on_done(void *context, const struct teacher_http_done *done)
{
	struct polling *p = context;
	struct openai *o = p->openai;
	struct open_question *open = &o->open[done->tag];
	struct teacher_reply reply = {.tag = open->tag,
				      .exchange = done->exchange,
				      .changes = open->changes,
				      .slot = done->slot,
				      .raw = done->slot->body,
				      .raw_n = done->slot->body_n};
	free(open->changed);
	open->busy = false;
	if (judge(o, &reply, p->err.code ? NULL : &p->err))
		return;
	o->changes |= reply.outcome.changes;
	p->done(p->context, &reply);
	teacher_answer_release(&reply.answer);
}

static int openai_poll(struct teacher_source *source, double seconds, teacher_callback *done, void *context,
		       struct err *err)
{
	struct openai *o = (struct openai *)source;
	struct polling p = {.openai = o, .done = done, .context = context};
	int n = teacher_http_poll(o->http, seconds, on_done, &p, err);
	if (p.err.code)
		return err_set(err, p.err.code, "%s", p.err.message);
	return n;
}

static int openai_read(struct teacher_source *source, struct teacher_answer *answer, const char *raw, size_t n,
		       struct err *err)
{
	const struct openai *o = (struct openai *)source;
	return teacher_answer_read(answer, raw, n, o->model, o->key, err);
}

static void openai_close(struct teacher_source *source)
{
	struct openai *o = (struct openai *)source;
	teacher_http_free(o->http);
	for (size_t i = 0; o->open && i < o->n; i++)
		if (o->open[i].busy)
			free(o->open[i].changed);
	free(o->open);
	free(o);
}

struct teacher_source *teacher_openai_open(const struct teacher_openai_config *config, struct err *err)
{
	struct openai *o = mem_array(1, sizeof *o, err);
	if (!o)
		return NULL;
	o->source = (struct teacher_source){"openai", true, openai_ask, openai_poll, openai_read, openai_close};
	o->key = config->http.key;
	o->model = config->model;
	o->max_wait = config->max_wait > 0 ? config->max_wait : 600;
	o->n = config->http.max_concurrent ? config->http.max_concurrent : 1;
	o->open = mem_array(o->n, sizeof *o->open, err);
	o->http = o->open ? teacher_http_new(&config->http, err) : NULL;
	if (o->http)
		return &o->source;
	openai_close(&o->source);
	return NULL;
}

const char *teacher_openai_proxy(const struct teacher_source *source, bool *exceptions)
{
	return teacher_http_proxy(((const struct openai *)source)->http, exceptions);
}
