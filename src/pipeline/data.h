// SPDX-License-Identifier: Apache-2.0
/*
 * data.h - what a run works on: the pool, the test set, the task, the prompts.
 *
 *     struct data data;
 *     if (data_load(&data, &plan, &err))
 *             return -1;
 *     char *prompt = data_prompt(&data, PROMPT_STUDENT, example, domain, NULL, &err);   // released with free()
 *     data_release(&data);
 *
 * The domains of the pool stand in the order of METHOD section 3 (most
 * examples first, then by name) and are counted once, here, for the whole run.
 *
 * Failures: those of examples.h and prompt.h; ERR_CONFIG where the plan's
 * domains are not the data's.
 */
#ifndef BALDISTILL_PIPELINE_DATA_H
#define BALDISTILL_PIPELINE_DATA_H

#include "src/dataset/copies.h"
#include "src/dataset/prompt.h"
#include "src/pipeline/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

struct data {
	struct examples pool, test; /* test: empty where none is given */
	struct answer_task task;    /* classification: names of all domains of the training file */
	struct answer_index *names_index; /* of the task's, for a classification */
	const char **names;         /* [l]: those names, in the order of the domains; what a report lists */
	bool *head;                 /* [l] */
	size_t l;                   /* of the file; the pool may have lost some to restrict_pool */
	char *listed;               /* the names as a prompt lists them */
	struct prompts prompts;
	struct copies *usual;       /* a sample of the pool's inputs: what stands in many of them is no copy */
	struct copies *test_copies; /* inputs of the test set; NULL: none */
	size_t *by_id;              /* [pool.n]: rows of the pool by id */
	size_t *by_domain, *begin;  /* [pool.n]: the same by domain, each's in the pool's order; [pool.l + 1]: their places */
	size_t duplicates, unrecorded; /* rows left out of the pool */
	struct arena arena;
};

/* With `restrict_pool` only what the recorded teacher has annotated stays in the pool. */
int data_load(struct data *data, const struct plan *plan, struct err *err);
void data_release(struct data *data);

/* The task of one example: its own choices in a multiple choice. */
struct answer_task data_task(const struct data *data, const struct example *example);
/* What a text answers to it (answer.h). */
void data_answer(struct answer *answer, const struct data *data, const struct example *example, const char *text);

/* An example for a template, and the demonstrations it is to show (NULL: none). */
char *data_prompt(const struct data *data, enum prompt_kind kind, const struct example *example, const char *domain,
		  const char *demonstrations, struct err *err);

/*
 * The student's prompts for n examples of a set: those named in row[], or the
 * first n where it is NULL. Released with data_prompts_free.
 */
const char **data_prompts(const struct data *data, const struct examples *of, const size_t *row, size_t n,
			  struct err *err);
void data_prompts_free(const char **prompt, size_t n);

/* A chat completion's body that asks this as one message; released with free(). */
char *data_request(const struct plan *plan, const char *prompt, double temperature, size_t *n, struct err *err);

/* What annotates an example: gold answer shown for math and qa, hidden otherwise (the paper, table 9). */
char *data_annotation(const struct data *data, const struct plan *plan, const struct example *example, size_t *n,
		      struct err *err);
bool data_gold_shown(const struct data *data);

/* An id as JSON, 7 or "seven"; released with free(). */
char *data_id(const struct ifd_id *id, struct err *err);

/* data_index.c: lists of a pool that no longer changes, made by data_load; on failure data_release frees what there is. */
int data_index(struct data *data, struct err *err);
/* The row of the pool with that id, or pool.n. */
size_t data_find(const struct data *data, const struct ifd_id *id);
/* The n rows of a domain, in the pool's order; the data's. */
const size_t *data_domain(const struct data *data, size_t domain, size_t *n);

#ifdef __cplusplus
}
#endif
#endif
