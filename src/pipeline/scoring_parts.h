// SPDX-License-Identifier: Apache-2.0
/* What the scoring files share: every example's part of the score, and figures of a sample of them. */
#ifndef BALDISTILL_PIPELINE_SCORING_PARTS_H
#define BALDISTILL_PIPELINE_SCORING_PARTS_H

#include "src/pipeline/scoring.h"

struct scoring_detail {
	bool by_class;               /* per-class F1; otherwise means of scores */
	int32_t *domain;             /* [n] of the gold example; classification: its class */
	int32_t *predicted;          /* [n] class, -1 for an invalid answer */
	double *score;               /* [n] where not by_class */
	struct answer_index *index;  /* of the class names, by_class */
	bool *head;                  /* [l], NULL: not known */
	double *by_domain;           /* [l] of the sample looked at, */
	size_t *examples;            /* [l] and of how many examples, where not by_class */
	struct metrics_class *count; /* [l] likewise */
	size_t *gold;                /* [l] gold examples of each */
	size_t n, l;
	enum scoring_figure figure; /* the one being drawn */
};

/* by_domain[], and for classes count[], of a sample; of all examples where it is NULL. */
void scoring_sample(struct scoring_detail *d, const size_t *sample, size_t n);
/* A figure of the sample that scoring_sample was given last. */
double scoring_figure(const struct scoring_detail *d, enum scoring_figure figure, const size_t *sample, size_t n);
/* s->interval[], every figure over the same replicates. */
int scoring_intervals(struct scoring *s, const struct scoring_options *options, struct err *err);

#endif
