// SPDX-License-Identifier: Apache-2.0
/*
 * synthetic.h - a new example out of a teacher's answer, and whether it can be
 * trusted.
 *
 * The answer has the form that data/prompts/.../synthesise.txt asks for:
 *
 *     Input: ...
 *     Choices:            (multiple choice alone)
 *     A. ...
 *     Rationale: ...
 *     Answer: ...
 *
 * Headings stand at the beginning of a line, in any case and decorated as
 * Markdown has it ("**Input:**", "### Rationale"). What stands before the first
 * one, and further examples behind the first, are left out. Quotation marks
 * around the whole input go. Without "Answer:" the rationale's closing
 * sentence gives the label.
 *
 *     struct synthetic s;
 *     enum synthetic_cause cause;
 *     if (synthetic_parse(&s, &cause, &task, text, n, &err))
 *             return -1;
 *     if (!cause && synthetic_verify(&cause, &s, &task, domain, demonstrations, test, &err))
 *             …
 *     if (cause)
 *             … synthetic_causes[cause] …
 *     synthetic_release(&s);
 *
 * A bad answer is no failure but a cause; failures are ERR_MEMORY.
 */
#ifndef BALDISTILL_DATASET_SYNTHETIC_H
#define BALDISTILL_DATASET_SYNTHETIC_H

#include "src/dataset/answer.h"
#include "src/dataset/copies.h"

#ifdef __cplusplus
extern "C" {
#endif

enum synthetic_cause {
	SYNTHETIC_GOOD,
	SYNTHETIC_NOT_TEXT,
	SYNTHETIC_NO_INPUT,
	SYNTHETIC_NO_CHOICES,
	SYNTHETIC_NO_RATIONALE,
	SYNTHETIC_NO_ANSWER,
	SYNTHETIC_OTHER_LABEL,
	SYNTHETIC_COPIES_DEMONSTRATION,
	SYNTHETIC_COPIES_TEST,
	SYNTHETIC_CAUSES
};

/* What a report calls each: "no rationale" and so on. */
extern const char *const synthetic_causes[SYNTHETIC_CAUSES];

struct synthetic {
	char *input, *rationale;
	char *label;    /* a class by its name, a choice by its letter, else as stated */
	char **choices; /* multiple choice */
	size_t n_choices;
};

/*
 * Parse the teacher's answer. task: type and, for classification, the names of
 * all classes; a multiple-choice example brings its own choices. Where *cause
 * is not SYNTHETIC_GOOD there is nothing in *s. Release in every case.
 */
int synthetic_parse(struct synthetic *s, enum synthetic_cause *cause, const struct answer_task *task, const char *text,
		    size_t n, struct err *err);
void synthetic_release(struct synthetic *s);

/*
 * `verify_synthetic: full`: is the stated label, in a classification, the
 * domain that was asked for, also in the rationale's closing sentence; and is
 * the input no copy of a demonstration's or a test input? Either index may be
 * NULL.
 */
int synthetic_verify(enum synthetic_cause *cause, const struct synthetic *s, const struct answer_task *task,
		     const char *domain, const struct copies *demonstrations, const struct copies *test,
		     struct err *err);

#ifdef __cplusplus
}
#endif
#endif
