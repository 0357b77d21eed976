// SPDX-License-Identifier: Apache-2.0
/*
 * A cassette is kept as its text and a sorted table of what each row answers:
 * a digest and the row's place. Rows of equal digest stay in file order, so
 * the k-th attempt finds the k-th of them by itself, after a restart too.
 */
#define _GNU_SOURCE /* mempcpy */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/teacher/pick.h"
#include "src/teacher/retry.h"
#include "src/teacher/teacher.h"

struct entry {
	char hex[HASH_HEX_ROOM]; /* of the question, or of what a parsed row answers */
	size_t at, n;            /* the row's text */
};

struct recorded {
	struct teacher_source source;
	char *path, *text;
	bool skip_missing;
	struct entry *entry; /* [n], sorted by hex, then place */
	size_t n, room;
	struct teacher_question *open; /* [open_n]: asked and not yet polled */
	size_t open_n, open_room;
};

enum { MAX_CASSETTE = 1 << 30 };

/* What a parsed row answers; input NULL for a synthesis, which only its domain chooses. */
static int parsed_hash(char hex[HASH_HEX_ROOM], const char *kind, const char *domain, size_t domain_n,
		       const char *input, size_t n, struct err *err)
{
	unsigned char digest[HASH_SIZE];
	struct hash hash;
	if (hash_init(&hash, err))
		return -1;
	/* The domain's length and a NUL behind the kind: none of them can run into the next. */
	int rc = hash_update(&hash, kind, strlen(kind) + 1, err) ||
		 hash_update(&hash, &domain_n, sizeof domain_n, err) || hash_update(&hash, domain, domain_n, err) ||
		 (input && hash_update(&hash, input, n, err)) || hash_final(digest, &hash, err);
	hash_release(&hash);
	if (!rc)
		hash_hex(hex, digest);
	return rc ? -1 : 0;
}

static bool is_hex_digest(const char *text, size_t n)
{
	return n == HASH_HEX_ROOM - 1 && strspn(text, "0123456789abcdef") == n;
}

enum { KIND, DOMAIN, INPUT, RATIONALE, PROMPT, STATE, MEMBERS };

static const char *const members[MEMBERS] = {"kind", "domain", "input", "rationale", "prompt_sha256", "state"};

static int need_text(const struct pick *p, int member, struct err *err)
{
	return p[member].kind == JSON_STRING ? 0 : err_set(err, ERR_DATA, "'%s' must be a string", members[member]);
}

static bool is_word(const struct pick *p, const char *word)
{
	return p->kind == JSON_STRING && p->n == strlen(word) && !memcmp(p->bytes, word, p->n);
}

static int entry_of_parsed(struct entry *e, const struct pick *p, struct err *err)
{
	for (int i = KIND; i <= RATIONALE; i++)
		if (need_text(p, i, err))
			return -1;
	bool annotate = is_word(&p[KIND], "annotate");
	if (!annotate && !is_word(&p[KIND], "synthesise") && !is_word(&p[KIND], "synthesize"))
		return err_set(err, ERR_DATA, "'kind' must be \"annotate\" or \"synthesise\"");
	return parsed_hash(e->hex, annotate ? "annotate" : "synthesise", p[DOMAIN].bytes, p[DOMAIN].n,
			   annotate ? p[INPUT].bytes : NULL, p[INPUT].n, err);
}

static int state_of(enum teacher_state *state, const struct pick *value, struct err *err)
{
	for (int i = 0; i < TEACHER_STATES; i++)
		if (is_word(value, teacher_state_name((enum teacher_state)i))) {
			*state = (enum teacher_state)i;
			return 0;
		}
	return err_set(err, ERR_DATA, "'state' is none of answered, unusable, in_doubt, released, rejected");
}

static int entry_of(struct entry *e, const struct pick *p, struct err *err)
{
	enum teacher_state state;
	if (p[PROMPT].kind == JSON_ABSENT)
		return entry_of_parsed(e, p, err);
	if (need_text(p, PROMPT, err) || state_of(&state, &p[STATE], err))
		return -1;
	if (!is_hex_digest(p[PROMPT].bytes, p[PROMPT].n))
		return err_set(err, ERR_DATA, "'prompt_sha256' must be 64 lower-case hexadecimal digits");
	memcpy(e->hex, p[PROMPT].bytes, p[PROMPT].n);
	return 0;
}

static int add_row(struct recorded *r, size_t at, size_t n, struct err *err)
{
	struct entry e = {.at = at, .n = n};
	struct pick p[MEMBERS];
	struct pick_text text;
	for (int i = 0; i < MEMBERS; i++)
		p[i].path = members[i];
	int rc = pick_read(&text, r->text + at, n, p, MEMBERS, err) || entry_of(&e, p, err) ||
		 mem_grow(&r->entry, &r->room, r->n + 1, sizeof *r->entry, err);
	pick_release(&text);
	if (!rc)
		r->entry[r->n++] = e;
	return rc ? -1 : 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->hex, y->hex);
	return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* A byte order mark, CRLF, empty lines and a missing last newline are accepted. */
static int index_rows(struct recorded *r, size_t n, struct err *err)
{
	size_t at = n >= 3 && !memcmp(r->text, "\xEF\xBB\xBF", 3) ? 3 : 0;
	for (size_t line = 1; at < n; line++) {
		const char *end = memchr(r->text + at, '\n', n - at);
		size_t next = end ? (size_t)(end - r->text) + 1 : n, length = next - at - (end != NULL);
		length -= length && r->text[at + length - 1] == '\r';
		if (length && add_row(r, at, length, err))
			return err_prefix(err, "%s:%zu", r->path, line);
		at = next;
	}
	if (r->n)
		qsort(r->entry, r->n, sizeof *r->entry, compare_entries);
	return 0;
}

/* The k-th row that answers this; with `last` the last one where there are fewer. NULL: none. */
static const struct entry *find(const struct recorded *r, const char *hex, uint64_t k, bool last)
{
	size_t low = 0, high = r->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(r->entry[middle].hex, hex) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	const struct entry *found = NULL;
	for (; low < r->n && !strcmp(r->entry[low].hex, hex); low++) {
		found = &r->entry[low];
		if (!k--)
			return found;
	}
	return last ? found : NULL;
}

static int look_up(const struct recorded *r, const struct teacher_question *q, const struct entry **e, struct err *err)
{
	char hex[HASH_HEX_ROOM];
	bool annotate = !strcmp(q->kind, "annotate");
	if (teacher_question_hash(hex, q, err))
		return -1;
	*e = find(r, hex, q->attempt, false);
	if (*e || (annotate && !q->input))
		return 0;
	if (parsed_hash(hex, q->kind, q->domain, strlen(q->domain), annotate ? q->input : NULL, q->input_n, err))
		return -1;
	*e = find(r, hex, annotate ? q->attempt : q->position, annotate);
	return 0;
}

static int recorded_ask(struct teacher_source *source, const struct teacher_question *q, struct err *err)
{
	struct recorded *r = (struct recorded *)source;
	const struct entry *e;
	char shown[128];
	if (look_up(r, q, &e, err) || mem_grow(&r->open, &r->open_room, r->open_n + 1, sizeof *r->open, err))
		return -1;
	if (!e && !r->skip_missing)
		return err_set(
			err, ERR_DATA,
			"cassette '%s' has no attempt %llu of %s '%s'; set teacher.on_missing to skip, or record it",
			r->path, (unsigned long long)q->attempt + 1, q->kind,
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
	bool annotation = is_word(&p[ROW_KIND], "annotate") || p[ROW_INPUT].kind != JSON_STRING;
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
		return teacher_line_read(answer, row, n, err);
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
	if (state_of(&o->state, state, NULL))
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

static int answer_with(struct recorded *r, const struct entry *e, struct teacher_reply *reply, struct err *err)
{
	struct pick p[] = {{.path = "prompt_sha256"}, {.path = "state"}, {.path = "reason"}, {.path = "http"}};
	struct teacher_facts facts = {.answer = &reply->answer};
	struct teacher_exchange as_http = {.transport = TEACHER_REPLIED, .status = 200};
	struct pick_text text;
	reply->raw = r->text + e->at;
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

static int answer_one(struct recorded *r, const struct teacher_question *q, teacher_callback *done, void *context,
		      struct err *err)
{
	const struct entry *e;
	struct teacher_reply reply = {.tag = q->tag,
				      .slot = q->slot,
				      .outcome = {.state = TEACHER_REJECTED,
						  .code = ERR_DATA,
						  .wait = TEACHER_NO_WAIT,
						  .reason = "not recorded"}};
	if (look_up(r, q, &e, err) || (e && answer_with(r, e, &reply, err)))
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
	free(r->path);
	free(r->text);
	free(r->entry);
	free(r->open);
	free(r);
}

struct teacher_source *teacher_recorded_open(const struct teacher_recorded_config *config, struct err *err)
{
	size_t n = 0;
	struct recorded *r = mem_array(1, sizeof *r, err);
	if (!r)
		return NULL;
	r->source =
		(struct teacher_source){"recorded", false, recorded_ask, recorded_poll, recorded_read, recorded_close};
	r->skip_missing = config->skip_missing;
	r->path = mem_strdup(config->path, err);
	r->text = r->path ? file_read(config->path, MAX_CASSETTE, &n, err) : NULL;
	if (r->text && !index_rows(r, n, err))
		return &r->source;
	recorded_close(&r->source);
	return NULL;
}
