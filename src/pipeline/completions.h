// SPDX-License-Identifier: Apache-2.0
/*
 * completions.h - what the student says to many prompts, greedily, safe to kill.
 *
 *     struct completions done = {0};
 *     struct completions_job job = {.student = student, .prompt = texts, .n = n, .plan = plan, .max_new_tokens = 200,
 *                                   .path = "stage-1/select.part/completions.jsonl", .label = "select"};
 *     if (completions_make(&done, &job, &err))
 *             return -1;
 *     … done.row[i].text, .ids, .logp …
 *     completions_release(&done);
 *
 * Finished blocks are kept beside `path` (src/base/part.h); the whole is kept
 * under it, and found there by a later call with the same job. Without a path
 * all is kept in memory alone. Rows too long for the model give an empty
 * completion and are counted in `too_long`.
 */
#ifndef BALDISTILL_PIPELINE_COMPLETIONS_H
#define BALDISTILL_PIPELINE_COMPLETIONS_H

#include "src/pipeline/plan.h"
#include "src/pipeline/voice.h"
#include "src/student/student.h"

#ifdef __cplusplus
extern "C" {
#endif

struct completion {
	char *text;    /* NUL-terminated; n bytes */
	size_t n;
	int32_t *ids;  /* [tokens], the end token included where it was generated */
	float *logp;   /* [tokens] */
	int64_t tokens;
	bool stopped;
};

struct completions {
	struct completion *row;
	size_t n, too_long;
};

struct completions_job {
	struct student *student;
	const struct plan *plan;       /* slots, memory, chat template */
	const char *const *prompt;     /* [n] rendered templates */
	size_t n;
	int64_t max_new_tokens;
	const char *path; /* NULL: none */
	const char *label;             /* of the progress line */
	const struct voice *voice;
};

int completions_make(struct completions *done, const struct completions_job *job, struct err *err);
/* What counts against the student's score without being wrong: prompts too long, answers cut off. */
void completions_tell(const struct completions *done, const struct completions_job *job);
void completions_release(struct completions *done);

/* A prompt's ids, through the plan's chat template where there is one. */
int completions_encode(struct student *student, const char *prompt, const char *completion, struct example_ids *out,
		       struct err *err);

/* The plan's student: its base, or with the adapter or checkpoint in `trained` (NULL: the base). */
struct student *completions_student(const struct plan *plan, const char *trained, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
