// SPDX-License-Identifier: Apache-2.0
/*
 * answer.h - the answer in a model's free text, and whether it is right.
 *
 * Source: Zhou et al. 2024, section 4, for what is scored; the rules of
 * extraction are the project's own:
 *
 * The closing sentence is the last "the answer is ..." (any case), up to a
 * full stop that white space or the end follows; quotes, brackets and
 * asterisks may stand between the two.
 *   classification   the first class name there, the longest one at that
 *                    place; without a closing sentence the last class name of
 *                    the text. Names count as whole words, in any case.
 *   multiple choice  likewise, where a choice's name is its letter in brackets
 *                    or alone (A for the first), or its text.
 *   math             the closing sentence, else the last \boxed{...}, else the
 *                    last number. Compared after normalising, numbers as
 *                    rationals.
 *   qa               the closing sentence, else the whole text. Compared by
 *                    word-level F1.
 *
 *     struct answer_task task = {ANSWER_CLASS, names, l};
 *     struct answer answer;
 *     answer_extract(&answer, &task, text, n);
 *     if (answer_score(&score, &task, &answer, gold, strlen(gold), &err))
 *             return -1;
 *
 * Texts need not be UTF-8 and may be of any length; time is linear in it. An
 * extracted answer is borrowed from the text or the task and is to be freed by
 * nobody. Only the functions with an err can fail, all with ERR_MEMORY.
 */
#ifndef BALDISTILL_DATASET_ANSWER_H
#define BALDISTILL_DATASET_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"
#include "src/dataset/words.h"

#ifdef __cplusplus
extern "C" {
#endif

enum answer_type { ANSWER_CLASS, ANSWER_CHOICE, ANSWER_MATH, ANSWER_QA, ANSWER_TYPES };

/* "classification", "multiple_choice", "math", "qa": the words of a plan. */
extern const char *const answer_type_names[ANSWER_TYPES];
/* 0, or -1 with ERR_CONFIG naming all types. */
int answer_type_parse(enum answer_type *type, const char *name, struct err *err);

struct answer_task {
	enum answer_type type;
	const char *const *names; /* classes, or the example's choices in order; NULL for the other types */
	size_t n;
};

struct answer {
	bool found;       /* false: invalid, all below are zero */
	size_t index;     /* of the class or choice */
	struct span span; /* name of the class or choice; math and qa: the place in the text */
};

/* What follows "the answer is" in the last closing sentence, without decoration; false where there is none. */
bool answer_closing(struct span *rest, const char *text, size_t n);

void answer_extract(struct answer *answer, const struct answer_task *task, const char *text, size_t n);

/*
 * The same for many texts of one classification: an index of its names says
 * which of a long list can begin at a place. It borrows nothing, is released
 * with answer_index_free, and holds for that task alone; NULL: none.
 */
struct answer_index;
struct answer_index *answer_index_new(const struct answer_task *task, struct err *err);
void answer_index_free(struct answer_index *index);
void answer_extract_by(struct answer *answer, const struct answer_task *task, const struct answer_index *index,
		       const char *text, size_t n);

/* The answer in a short statement, such as what a closing sentence says after "is": the first name, or all of it. */
void answer_stated(struct answer *answer, const struct answer_task *task, struct span statement);

/*
 * The answer that a gold label states: the class of that name, the choice of
 * that letter or text, else the label itself. Not found: no such name.
 */
void answer_gold(struct answer *answer, const struct answer_task *task, const char *label, size_t n);

/* 1 or 0, for qa the word-level F1 in [0, 1], of an answer against the gold label. Not found scores 0. */
int answer_score(double *score, const struct answer_task *task, const struct answer *answer, const char *label,
		 size_t n, struct err *err);

/*
 * A rationale as the student is to learn it: as it stands, followed by
 * "The answer is ANSWER." where it has no closing sentence. Released with free().
 */
char *answer_close(const char *rationale, size_t n, struct span answer, struct err *err);

/* ---- math ---- */

/*
 * The answer without what does not change its value: spaces, \left and \right,
 * \text and its kin, \boxed, dollars, %, degrees, trailing units and full
 * stops, "x =", thousands commas; \dfrac and \tfrac as \frac, \frac12 as
 * \frac{1}{2}, \sqrt2 as \sqrt{2}, an asterisk between two numbers as \cdot.
 * NUL-terminated, released with free().
 */
char *answer_math_normal(const char *text, size_t n, struct err *err);

/*
 * Are two normal forms equal? Part by part between brackets and commas, each
 * part as a rational number where both are one: 1/2, 2/4, .5, 0.50,
 * \frac{1}{2}, 1\frac{1}{4}. Words alone are equal in any case.
 */
bool answer_math_equal(const char *a, const char *b);

#ifdef __cplusplus
}
#endif
#endif
