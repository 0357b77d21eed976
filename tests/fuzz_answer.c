// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target: what a model's free text answers. An input is a byte (the task's
 * type), then pieces between NULs: the gold label, the names of classes or
 * choices, and last the text. A place lies in the text, a name is one of those
 * given, a score is in its range, "equal" is an equivalence, and a rationale
 * closed with an answer states that answer.
 */
#define _GNU_SOURCE /* fuzz_check.h */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/dataset/answer.h"
#include "tests/fuzz_check.h"

enum { NAMES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	struct answer_task task;
	char *copy;
	const char *gold, *names[NAMES];
	struct span text;
};

/* A copy with a NUL behind it, in which the pieces are strings; the text is a block of its own, without. */
static void take_apart(struct input *in, const uint8_t *data, size_t size)
{
	*in = (struct input){.task.type = (enum answer_type)(data[0] % ANSWER_TYPES), .copy = malloc(size)};
	require(in->copy != NULL, "memory", &(struct err){0});
	memcpy(in->copy, data + 1, size - 1);
	in->copy[size - 1] = '\0';
	char *at = in->copy, *end = in->copy + size - 1;
	in->gold = at;
	while (in->task.n < NAMES && at + strlen(at) < end) {
		at += strlen(at) + 1;
		in->names[in->task.n++] = at;
	}
	in->text.n = (size_t)(end - at);
	in->text.text = malloc(in->text.n + !in->text.n);
	require(in->text.text != NULL, "memory", &(struct err){0});
	memcpy((char *)in->text.text, at, in->text.n);
	in->task.n -= in->task.n > 0; /* the last is the text */
	in->task.names = in->names;
}

static bool inside(struct span s, struct span text)
{
	return s.text >= text.text && s.text + s.n <= text.text + text.n;
}

static void check_answer(const struct answer *a, const struct input *in)
{
	struct err err = {0};
	bool by_name = in->task.type == ANSWER_CLASS || in->task.type == ANSWER_CHOICE;

	if (!a->found)
		require(!a->index && !a->span.text && !a->span.n, "what is not found is zero", &err);
	else if (by_name)
		require(a->index < in->task.n && a->span.text == in->names[a->index] &&
				a->span.n == strlen(in->names[a->index]),
			"a name is one of the task's", &err);
	else
		require(inside(a->span, in->text), "an answer lies in its text", &err);
}

static void check_score(const struct answer *a, const struct input *in)
{
	struct err err = {0};
	struct answer gold;
	double score = -1, own = -1;

	require(!answer_score(&score, &in->task, a, in->gold, strlen(in->gold), &err), "an answer has a score", &err);
	require(score >= 0 && score <= 1, "a score is a share", &err);
	answer_gold(&gold, &in->task, in->gold, strlen(in->gold));
	require(!answer_score(&own, &in->task, &gold, in->gold, strlen(in->gold), &err), "a label has a score", &err);
	if (gold.found && in->task.type != ANSWER_QA)
		require(own == 1, "a label is right", &err);
}

static void check_closed(const struct answer *a, const struct input *in)
{
	struct err err = {0};
	struct span rest;
	char *closed = answer_close(in->text.text, in->text.n, a->span, &err);

	require(closed != NULL, "a rationale is closed", &err);
	require(answer_closing(&rest, closed, strlen(closed)), "a closed rationale has a closing sentence", &err);
	free(closed);
}

static void check_math(const struct input *in)
{
	struct err err = {0};
	char *a = answer_math_normal(in->gold, strlen(in->gold), &err);
	char *b = answer_math_normal(in->text.text, in->text.n, &err);

	require(a && b, "a normal form is made", &err);
	require(answer_math_equal(a, a) && answer_math_equal(b, b), "equal to itself", &err);
	require(answer_math_equal(a, b) == answer_math_equal(b, a), "equal either way", &err);
	free(a);
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer once, again, stated;
	struct answer_index *index;
	struct err err = {0};
	struct input in;
	struct span rest;

	if (!size)
		return 0;
	take_apart(&in, data, size);
	answer_extract(&once, &in.task, in.text.text, in.text.n);
	index = in.task.type == ANSWER_CLASS ? answer_index_new(&in.task, &err) : NULL;
	answer_extract_by(&again, &in.task, index, in.text.text, in.text.n);
	answer_index_free(index);
	require(once.found == again.found && once.index == again.index && once.span.text == again.span.text,
		"an index finds the same answer", &err);
	answer_stated(&stated, &in.task, in.text);
	check_answer(&once, &in);
	check_answer(&stated, &in);
	check_score(&once, &in);
	if (answer_closing(&rest, in.text.text, in.text.n))
		require(inside(rest, in.text), "a closing sentence lies in its text", &(struct err){0});
	if (once.found && !memchr(in.text.text, 0, in.text.n))
		check_closed(&once, &in);
	check_math(&in);
	free((char *)in.text.text);
	free(in.copy);
	return 0;
}
