// SPDX-License-Identifier: Apache-2.0
#include "src/dataset/synthetic.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"

const char *const synthetic_causes[SYNTHETIC_CAUSES] = {
	"none",
	"not UTF-8 text",
	"no input",
	"no choices",
	"no rationale",
	"no answer",
	"label is not the domain",
	"copies a demonstration",
	"copies a test input",
};

/* ---- headings --------------------------------------------------------------------------- */

enum heading { INPUT, CHOICES, RATIONALE, ANSWER, HEADINGS };
static const char *const heading_names[HEADINGS] = {"input", "choices", "rationale", "answer"};

static size_t skip_any(const char *text, size_t n, size_t at, const char *characters)
{
	while (at < n && text[at] && strchr(characters, text[at]))
		at++;
	return at;
}

/* Which heading the line at `at` begins with, its text from *start; HEADINGS for none. */
static enum heading heading_at(size_t *start, const char *text, size_t n, size_t at)
{
	at = skip_any(text, n, at, " \t*#_");
	for (int h = 0; h < HEADINGS; h++) {
		size_t length = words_match(text, n, at, heading_names[h], strlen(heading_names[h]));
		size_t end = length ? skip_any(text, n, at + length, " *_") : 0;
		bool colon = length && end < n && text[end] == ':';
		bool alone =
			length && at && text[at - 1] != '\n' && (end == n || text[end] == '\n' || text[end] == '\r');
		if (colon || alone) { /* "Input:", or "### Input" on a line of its own */
			*start = skip_any(text, n, end + colon, colon ? "*_" : "");
			return (enum heading)h;
		}
	}
	return HEADINGS;
}

struct sections {
	struct span part[HEADINGS];
	bool seen[HEADINGS];
};

/* A heading begins its part only in its order: "Answer:" inside an input is text. "Input:" after a rationale: the next
 * example. */
static bool in_order(const struct sections *s, enum heading current, enum heading h, enum answer_type type)
{
	if (h == CHOICES && type != ANSWER_CHOICE)
		return false;
	if (h == INPUT || h == ANSWER)
		return h == INPUT ? !s->seen[INPUT] : current == RATIONALE || current == ANSWER;
	return s->seen[INPUT] && h > current;
}

static void cut_sections(struct sections *s, enum answer_type type, const char *text, size_t n)
{
	enum heading current = HEADINGS;
	size_t start = 0;
	*s = (struct sections){0};
	for (size_t at = 0, begin; at < n;) {
		enum heading h = heading_at(&begin, text, n, at);
		bool next = h == INPUT && s->seen[RATIONALE];
		if (next || (h < HEADINGS && in_order(s, current, h, type))) {
			if (current < HEADINGS)
				s->part[current] = (struct span){text + start, at - start};
			current = next ? HEADINGS : h;
			start = begin;
			if (next)
				break;
			s->seen[h] = true;
		}
		const char *newline = memchr(text + at, '\n', n - at);
		at = newline ? (size_t)(newline - text) + 1 : n;
	}
	if (current < HEADINGS)
		s->part[current] = (struct span){text + start, n - start};
	for (int h = 0; h < HEADINGS; h++)
		s->part[h] = span_trim(s->part[h]);
}

/* ---- parts ---------------------------------------------------------------------------------- */

/* Without the quotation marks around the whole. */
static struct span unquoted(struct span s)
{
	static const char open[] = "\xe2\x80\x9c", close[] = "\xe2\x80\x9d";
	if (s.n >= 2 && s.text[0] == '"' && memchr(s.text + 1, '"', s.n - 1) == s.text + s.n - 1)
		return span_trim((struct span){s.text + 1, s.n - 2});
	if (s.n >= 6 && !memcmp(s.text, open, 3) && !memcmp(s.text + s.n - 3, close, 3))
		return span_trim((struct span){s.text + 3, s.n - 6});
	return s;
}

static bool says_something(struct span s)
{
	for (size_t at = 0; at < s.n; at = words_next(s.text, s.n, at))
		if (words_at(s.text, s.n, at))
			return true;
	return false;
}

static char *copy(struct span s, struct err *err)
{
	char *out = mem_array(s.n + 1, 1, err);
	if (out && s.n)
		memcpy(out, s.text, s.n);
	return out;
}

/* "A. ", "(a) ", "B) ", "- ": bytes of what a line of a list begins with. */
static size_t bullet(const char *text, size_t n)
{
	size_t at = n && text[0] == '(', letter = at;
	if (at >= n)
		return 0;
	if (!letter && strchr("-*", text[0]) && text[0])
		return 1;
	while (at < n && ((text[at] >= '0' && text[at] <= '9') || (at == letter && words_at(text, n, at))))
		at++;
	return at > letter && at < n && (text[at] == '.' || text[at] == ')' || text[at] == ':') ? at + 1 : 0;
}

/* One choice a line. */
static int read_choices(struct synthetic *s, struct span part, struct err *err)
{
	size_t room = 0;
	while (part.n) {
		const char *newline = memchr(part.text, '\n', part.n);
		size_t length = newline ? (size_t)(newline - part.text) : part.n, next = length + (newline != NULL);
		struct span line = span_trim((struct span){part.text, length});
		size_t mark = bullet(line.text, line.n);
		line = span_trim((struct span){line.text + mark, line.n - mark});
		part = (struct span){part.text + next, part.n - next};
		if (!line.n)
			continue;
		if (mem_grow(&s->choices, &room, s->n_choices + 1, sizeof *s->choices, err))
			return -1;
		s->choices[s->n_choices] = copy(line, err);
		if (!s->choices[s->n_choices])
			return -1;
		s->n_choices++;
	}
	return 0;
}

/* The label that a statement gives; false where it gives none. */
static bool stated(struct span *label, const struct answer_task *task, struct span s)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct answer answer;
	struct span rest, written = s;
	bool closing = answer_closing(&rest, s.text, s.n);
	s = closing ? rest : span_strip(s);
	while (s.n && s.text[s.n - 1] == '.')
		s.n--;
	answer_gold(&answer, task, s.text, s.n); /* a name's own full stop need not be there */
	if (!answer.found && !closing)
		answer_gold(&answer, task, written.text, written.n); /* with the marks that belong to it */
	if (!answer.found && closing)
		answer_extract(&answer, task, written.text, written.n);
	else if (!answer.found)
		answer_stated(&answer, task, written);
	*label = answer.span;
	if (answer.found && task->type == ANSWER_CHOICE && answer.index < sizeof letters - 1)
		*label = (struct span){letters + answer.index, 1};
	if (!answer.found && task->type == ANSWER_CLASS)
		*label = s; /* no class of the task; what it is will be seen */
	return label->n > 0;
}

static bool read_label(struct span *label, const struct sections *cut, const struct answer_task *task)
{
	struct span rest;
	if (cut->part[ANSWER].n)
		return stated(label, task, cut->part[ANSWER]);
	const struct span *rationale = &cut->part[RATIONALE];
	return answer_closing(&rest, rationale->text, rationale->n) && stated(label, task, *rationale);
}

/* ---- parse ------------------------------------------------------------------------------------ */

static enum synthetic_cause missing(const struct sections *cut, enum answer_type type)
{
	if (!says_something(cut->part[INPUT]))
		return SYNTHETIC_NO_INPUT;
	if (type == ANSWER_CHOICE && !says_something(cut->part[CHOICES]))
		return SYNTHETIC_NO_CHOICES;
	return says_something(cut->part[RATIONALE]) ? SYNTHETIC_GOOD : SYNTHETIC_NO_RATIONALE;
}

static int fill(struct synthetic *s, enum synthetic_cause *cause, const struct sections *cut,
		const struct answer_task *task, struct err *err)
{
	struct answer_task own = *task;
	struct span label;
	if (task->type == ANSWER_CHOICE) {
		if (read_choices(s, cut->part[CHOICES], err))
			return -1;
		own.names = (const char *const *)s->choices;
		own.n = s->n_choices;
	}
	if (task->type == ANSWER_CHOICE && s->n_choices < 2)
		*cause = SYNTHETIC_NO_CHOICES;
	else if (!read_label(&label, cut, &own))
		*cause = SYNTHETIC_NO_ANSWER;
	if (*cause)
		return 0;
	s->input = copy(unquoted(cut->part[INPUT]), err);
	s->rationale = s->input ? copy(cut->part[RATIONALE], err) : NULL;
	s->label = s->rationale ? copy(label, err) : NULL;
	return s->label ? 0 : -1;
}

int synthetic_parse(struct synthetic *s, enum synthetic_cause *cause, const struct answer_task *task, const char *text,
		    size_t n, struct err *err)
{
	struct sections cut;
	*s = (struct synthetic){0};
	*cause = SYNTHETIC_NOT_TEXT;
	if (text_utf8_valid(text, n) < n || memchr(text, '\0', n))
		return 0;
	cut_sections(&cut, task->type, text, n);
	*cause = missing(&cut, task->type);
	int rc = *cause ? 0 : fill(s, cause, &cut, task, err);
	if (*cause)
		synthetic_release(s);
	return rc;
}

void synthetic_release(struct synthetic *s)
{
	for (size_t i = 0; i < s->n_choices; i++)
		free(s->choices[i]);
	free(s->choices);
	free(s->input);
	free(s->label);
	free(s->rationale);
	*s = (struct synthetic){0};
}

/* ---- verify ------------------------------------------------------------------------------------ */

static bool other_label(const struct synthetic *s, const struct answer_task *task, const char *domain)
{
	struct span rest;
	struct answer answer = {0};
	if (task->type != ANSWER_CLASS)
		return false;
	size_t n = strlen(s->rationale);
	if (answer_closing(&rest, s->rationale, n))
		answer_extract(&answer, task, s->rationale, n);
	return strcmp(s->label, domain) || (answer.found && strcmp(answer.span.text, domain));
}

/* *cause = copied where the text is a copy of one that is known. */
static int check_copies(enum synthetic_cause *cause, enum synthetic_cause copied, const struct copies *known,
			const char *text, struct err *err)
{
	struct copies_match match;
	if (!known || *cause)
		return 0;
	if (copies_find(&match, known, text, strlen(text), err))
		return -1;
	if (match.equal || match.share >= COPIES_HIGH)
		*cause = copied;
	return 0;
}

int synthetic_verify(enum synthetic_cause *cause, const struct synthetic *s, const struct answer_task *task,
		     const char *domain, const struct copies *demonstrations, const struct copies *test,
		     struct err *err)
{
	*cause = other_label(s, task, domain) ? SYNTHETIC_OTHER_LABEL : SYNTHETIC_GOOD;
	if (check_copies(cause, SYNTHETIC_COPIES_DEMONSTRATION, demonstrations, s->input, err))
		return -1;
	return check_copies(cause, SYNTHETIC_COPIES_TEST, test, s->input, err);
}
