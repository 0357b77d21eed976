// SPDX-License-Identifier: Apache-2.0
/*
 * prompt.h - prompt templates: texts with named slots.
 *
 * A set has four templates, each a file of this name in data/prompts/TYPE:
 *
 *     annotate_gold.txt  a rationale for an example, its gold answer shown
 *     annotate.txt       the same, the gold answer hidden
 *     synthesise.txt     a new example of a domain, from demonstrations
 *     student.txt        what the student answers, in training and after
 *
 *     struct prompts prompts;
 *     if (prompts_load(&prompts, ANSWER_CLASS, NULL, &err))        // built in
 *             return -1;
 *     struct prompt_values values = {.slot = {[SLOT_INPUT] = text, [SLOT_DOMAINS] = names}};
 *     char *prompt = prompt_render(&prompts, PROMPT_STUDENT, &values, &err);
 *     free(prompt);
 *     prompts_release(&prompts);
 *
 * A slot is {input}, {label}, {domain}, {domains}, {demonstrations} or
 * {choices}; {{name}} stands for the text {name}; all other braces are text. A
 * first line that begins "# SPDX" is not part of the template. What is put
 * into a slot is never searched for slots. The gold answer cannot be leaked by
 * mistake: which slots a template must have and may have depends on its kind
 * and the task (the table in prompt.c), and what stands before {input} in the
 * student's template is the same for every row of a run.
 *
 * Failures: ERR_CONFIG with "FILE:LINE: rule", those of file_read, ERR_MEMORY.
 */
#ifndef BALDISTILL_DATASET_PROMPT_H
#define BALDISTILL_DATASET_PROMPT_H

#include "src/dataset/answer.h"

#ifdef __cplusplus
extern "C" {
#endif

enum prompt_kind { PROMPT_ANNOTATE_GOLD, PROMPT_ANNOTATE, PROMPT_SYNTHESISE, PROMPT_STUDENT, PROMPT_KINDS };
enum prompt_slot { SLOT_INPUT, SLOT_LABEL, SLOT_DOMAIN, SLOT_DOMAINS, SLOT_DEMONSTRATIONS, SLOT_CHOICES, PROMPT_SLOTS };

struct prompt_piece; /* literal text, or a slot */

struct prompt {
	char *text; /* of the file */
	struct prompt_piece *piece;
	size_t n;
};

struct prompts {
	struct prompt prompt[PROMPT_KINDS];
};

/* The four templates of a task: those built in where directory is NULL, else the files in it, all of them. */
int prompts_load(struct prompts *prompts, enum answer_type type, const char *directory, struct err *err);
void prompts_release(struct prompts *prompts);

/* "annotate_gold.txt" and so on. */
extern const char *const prompt_file_names[PROMPT_KINDS];
/* Text of a built-in template, as the file of data/prompts has it. */
const char *prompt_builtin(enum answer_type type, enum prompt_kind kind);

struct prompt_values {
	const char *slot[PROMPT_SLOTS]; /* NULL: there is none; ERR_INTERNAL where the template wants it */
};

/* The finished text, released with free(). The same values give the same bytes. */
char *prompt_render(const struct prompts *prompts, enum prompt_kind kind, const struct prompt_values *values,
		    struct err *err);

/* ---- values of slots; all released with free() ---- */

/* "acq, earn, tin" */
char *prompt_domains(const char *const *names, size_t n, struct err *err);

/* "A. a dog\nB. the cat"; from the 27th on by number. */
char *prompt_choices(const char *const *choices, size_t n, struct err *err);

struct prompt_demonstration {
	const char *input, *label;
	const char *rationale; /* NULL: input and label alone */
	const char *choices;   /* as prompt_choices has them; NULL where there are none */
};

/* Each as "Input: ...", "Choices:\n...", "Rationale: ...", "Answer: ...", a line apiece; a blank line between two. */
char *prompt_demonstrations(const struct prompt_demonstration *list, size_t n, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
