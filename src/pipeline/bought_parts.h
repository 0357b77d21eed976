// SPDX-License-Identifier: Apache-2.0
/* bought_parts.h - what bought*.c share: answers by their place in a step, rows and drops being added. */
#ifndef BALDISTILL_PIPELINE_BOUGHT_PARTS_H
#define BALDISTILL_PIPELINE_BOUGHT_PARTS_H

#include "src/pipeline/bought.h"

/* What became of one query, by its place in the step. */
struct bought_outcome {
	const char *content; /* NULL: no usable answer */
	size_t n;
	const char *cause;   /* why there is none */
};

/* Queries of a step in query order, filled while the attempts pass by. */
struct bought_gather {
	struct bought *bought;
	const char *step;
	struct bought_outcome *outcome; /* [n], owned */
	const char **id;                /* [n] example ids as JSON, owned */
	size_t n, at;
};

int bought_gather(struct bought_gather *g, struct run *run, struct err *err);
void bought_gather_release(struct bought_gather *g);

/* A row of zeros; NULL with ERR_MEMORY. */
struct bought_row *bought_add_row(struct bought *b, struct err *err);
int bought_add_drop(struct bought *b, size_t domain, const char *cause, bool synthetic, struct err *err);

/* The rationale as the student learns it: one without a closing sentence is closed with the answer `said`. */
const char *bought_close(struct bought *b, const char *rationale, struct span said, struct err *err);

/* bought_tail.c: real rows shown again, and synthetic ones. */
int bought_repeats(struct bought *b, const struct run *run, const struct run_stage *stage, struct err *err);
int bought_synthetic(struct bought *b, struct run *run, const struct run_stage *stage, struct rationales *known,
		     struct err *err);

#endif
