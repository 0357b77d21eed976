// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* mempcpy */
#include "src/dataset/answer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "reference/metrics.h"
#include "src/base/mem.h"
#include "src/dataset/answer_parts.h"

const char *const answer_type_names[ANSWER_TYPES] = {"classification", "multiple_choice", "math", "qa"};

int answer_type_parse(enum answer_type *type, const char *name, struct err *err)
{
	for (int i = 0; i < ANSWER_TYPES; i++)
		if (!strcmp(name, answer_type_names[i])) {
			*type = (enum answer_type)i;
			return 0;
		}
	return err_set(err, ERR_CONFIG, "unknown task type '%s'; it is classification, multiple_choice, math or qa",
		       name);
}

/* ---- the closing sentence ------------------------------------------------------- */

/* The full stop of a sentence: white space or the end follows, behind what may close it. */
static bool ends_sentence(const char *text, size_t n, size_t stop)
{
	size_t length = 0, at = stop + 1;
	while (at < n && strchr("\"')]*$`}", text[at]) && text[at])
		at++;
	while (n - at >= 3 && !memcmp(text + at, "\xe2\x80", 2) && (text[at + 2] == '\x99' || text[at + 2] == '\x9d'))
		at += 3; /* closing typographic quotes */
	return at >= n || words_blank(words_char(text + at, n - at, &length));
}

/* Bytes up to the sentence's full stop. A run of closing characters is stepped over once, so time is linear. */
static size_t sentence_length(const char *text, size_t n)
{
	for (size_t at = 0; at < n; at++)
		if (text[at] == '.' && ends_sentence(text, n, at))
			return at;
	return n;
}

/* What follows the last opening up to the sentence's full stop, as it is written. */
static bool closing_sentence(struct span *written, const char *text, size_t n)
{
	static const char opening[] = "the answer is";
	size_t start = 0;
	for (size_t at = 0; at < n; at = words_next(text, n, at)) {
		size_t length = words_match(text, n, at, opening, sizeof opening - 1);
		if (length)
			start = at + length;
	}
	*written = (struct span){text + start, n - start};
	struct span s = span_strip(*written); /* in front, before a full stop is looked for */
	written->n = (size_t)(s.text - written->text) + sentence_length(s.text, s.n);
	return start > 0;
}

bool answer_closing(struct span *rest, const char *text, size_t n)
{
	if (!closing_sentence(rest, text, n))
		return false;
	*rest = span_strip(*rest);
	return true;
}

/* ---- names ------------------------------------------------------------------------ */

static void found_name(struct answer *answer, const struct answer_task *task, size_t index)
{
	*answer = (struct answer){true, index, {task->names[index], strlen(task->names[index])}};
}

/* Length of a name without its last full stops, which a sentence that ends in it has only once. */
static size_t stem(const char *name)
{
	size_t n = strlen(name), stem = n;
	while (stem && name[stem - 1] == '.')
		stem--;
	return stem ? stem : n;
}

/* Bytes that this name takes at this place, 0: it is not there. */
static size_t match_name(const char *text, size_t n, size_t at, const char *name)
{
	size_t m = strlen(name), length = words_match(text, n, at, name, m);
	if (!length && m && name[m - 1] == '.')
		length = words_match(text, n, at, name, stem(name));
	return length;
}

/* Can this name begin with the character `first`, as words_char has it? Says no at once for most names of a list. */
static bool may_begin(const char *name, uint32_t first)
{
	unsigned char c = (unsigned char)*name;
	bool plain = c > ' ' && c < 0x80;
	return !plain || (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) == (int)first;
}

static bool spelled(const char *text, size_t length, const char *name)
{
	return length == strlen(name) && !memcmp(text, name, length);
}

/* The best name so far at one place. */
struct best {
	size_t index, length; /* length 0: none */
};

/* Is name i longer, or as long and the one so spelled? */
static void try_name(struct best *best, const struct answer_task *task, size_t i, const char *text, size_t n, size_t at)
{
	size_t length = match_name(text, n, at, task->names[i]);
	if (length > best->length || (length && length == best->length && spelled(text + at, length, task->names[i]) &&
				      !spelled(text + at, length, task->names[best->index])))
		*best = (struct best){i, length};
}

/* The longest name at this place, of two as long the one so spelled: its length, 0 where none is. */
static size_t name_at(struct answer *answer, const struct answer_task *task, const struct answer_index *index,
		      const char *text, size_t n, size_t at)
{
	struct best best = {0};
	size_t count = task->n, width;
	uint32_t first = words_char(text + at, n - at, &width);
	const size_t *list = index ? answer_index_at(index, first, &count) : NULL;
	if (task->type == ANSWER_CHOICE)
		best.length = answer_letter_at(&best.index, task->n, text, n, at);
	for (size_t i = 0; i < count; i++) {
		size_t name = list ? list[i] : i;
		if (may_begin(task->names[name], first))
			try_name(&best, task, name, text, n, at);
	}
	if (best.length)
		found_name(answer, task, best.index);
	return best.length;
}

/* The first name that begins in the statement s. It may go on behind it, up to `end`: "St. Louis" has a full stop. */
static void first_name(struct answer *answer, const struct answer_task *task, const struct answer_index *index,
		       struct span s, const char *end)
{
	size_t small;
	*answer = (struct answer){0};
	for (size_t at = 0; at < s.n && !answer->found; at = words_next(s.text, s.n, at))
		name_at(answer, task, index, s.text, (size_t)(end - s.text), at);
	if (!answer->found && task->type == ANSWER_CHOICE && answer_small_letter(&small, task->n, s))
		found_name(answer, task, small);
}

/* A name inside one that was found already ("Probability" in "Counting & Probability") is none of its own. */
static void last_name(struct answer *answer, const struct answer_task *task, const struct answer_index *index,
		      const char *text, size_t n)
{
	for (size_t at = 0, length; at < n; at = length ? at + length : words_next(text, n, at))
		length = name_at(answer, task, index, text, n, at);
}

/* ---- by type ------------------------------------------------------------------------ */

/* Marks at the edges of `written` are no part of a name but where there is none without them: "__label__sport". */
static void stated_before(struct answer *answer, const struct answer_task *task, const struct answer_index *index,
			  struct span written, const char *end)
{
	struct span s = span_strip(written);
	if (task->type == ANSWER_CLASS || task->type == ANSWER_CHOICE) {
		first_name(answer, task, index, s, end);
		if (!answer->found)
			first_name(answer, task, index, s, s.text + s.n); /* "_earn_" */
		if (!answer->found)
			first_name(answer, task, index, written, end);
		return;
	}
	if (task->type == ANSWER_MATH)
		s = answer_boxed_inside(s);
	*answer = s.n ? (struct answer){.found = true, .span = s} : (struct answer){0};
}

void answer_stated(struct answer *answer, const struct answer_task *task, struct span s)
{
	stated_before(answer, task, NULL, s, s.text + s.n);
}

void answer_extract(struct answer *answer, const struct answer_task *task, const char *text, size_t n)
{
	answer_extract_by(answer, task, NULL, text, n);
}

void answer_extract_by(struct answer *answer, const struct answer_task *task, const struct answer_index *index,
		       const char *text, size_t n)
{
	struct span s;
	*answer = (struct answer){0};
	if (closing_sentence(&s, text, n)) {
		stated_before(answer, task, index, s, text + n);
		return;
	}
	if (task->type == ANSWER_CLASS || task->type == ANSWER_CHOICE) {
		last_name(answer, task, index, text, n);
		return;
	}
	s = task->type == ANSWER_MATH ? answer_without_closing(text, n) : span_strip((struct span){text, n});
	if (s.n)
		*answer = (struct answer){.found = true, .span = s};
}

static bool same_name(struct span s, const char *name)
{
	size_t length = match_name(s.text, s.n, 0, name);
	return length && length == s.n;
}

void answer_gold(struct answer *answer, const struct answer_task *task, const char *label, size_t n)
{
	struct span s = span_trim((struct span){label, n});
	size_t index;
	*answer = (struct answer){0};
	if (task->type == ANSWER_MATH || task->type == ANSWER_QA) {
		*answer = (struct answer){.found = true, .span = s};
		return;
	}
	for (size_t i = 0; i < task->n && !answer->found; i++)
		if (strlen(task->names[i]) == s.n && !memcmp(task->names[i], s.text, s.n))
			found_name(answer, task, i);
	for (size_t i = 0; i < task->n && !answer->found; i++)
		if (same_name(s, task->names[i]))
			found_name(answer, task, i);
	if (!answer->found && task->type == ANSWER_CHOICE && answer_only_letter(&index, task->n, s))
		found_name(answer, task, index);
}

static int math_score(double *score, const struct span *answer, const struct span *gold, struct err *err)
{
	char *a = answer_math_normal(answer->text, answer->n, err);
	char *b = a ? answer_math_normal(gold->text, gold->n, err) : NULL;
	if (b)
		*score = answer_math_equal(a, b);
	free(a);
	free(b);
	return b ? 0 : -1;
}

/* A NUL inside a text ends a word there, like a blank. */
static char *without_nul(struct span s, struct err *err)
{
	char *copy = mem_array(s.n + 1, 1, err);
	for (size_t i = 0; copy && i < s.n; i++)
		copy[i] = s.text[i] ? s.text[i] : ' ';
	return copy;
}

static int qa_score(double *score, const struct span *answer, const struct span *gold, struct err *err)
{
	char *a = without_nul(*answer, err), *b = a ? without_nul(*gold, err) : NULL;
	int rc = b ? metrics_word_f1(score, a, b) : -1;
	if (b && rc)
		err_set(err, ERR_MEMORY, "out of memory while comparing an answer of %zu bytes", answer->n);
	free(a);
	free(b);
	return rc;
}

int answer_score(double *score, const struct answer_task *task, const struct answer *answer, const char *label,
		 size_t n, struct err *err)
{
	struct answer gold;
	answer_gold(&gold, task, label, n);
	*score = 0;
	if (!answer->found || !gold.found)
		return 0;
	if (task->type == ANSWER_MATH)
		return math_score(score, &answer->span, &gold.span, err);
	if (task->type == ANSWER_QA)
		return qa_score(score, &answer->span, &gold.span, err);
	*score = !strcmp(task->names[answer->index], task->names[gold.index]); /* two choices may say the same */
	return 0;
}

char *answer_close(const char *rationale, size_t n, struct span answer, struct err *err)
{
	static const char opening[] = "The answer is ";
	struct span rest;
	size_t room;
	if (!size_add(&room, n, answer.n) || !size_add(&room, room, sizeof opening + 3)) {
		err_set(err, ERR_MEMORY, "a rationale of %zu bytes is too long", n);
		return NULL;
	}
	char *out = mem_array(room, 1, err);
	if (!out)
		return NULL;
	char *end = mempcpy(out, rationale, n);
	if (answer_closing(&rest, rationale, n))
		return out;
	if (n && !isspace((unsigned char)rationale[n - 1]))
		*end++ = ' ';
	end = mempcpy(end, opening, sizeof opening - 1);
	end = mempcpy(end, answer.text, answer.n);
	*end = '.';
	return out;
}
