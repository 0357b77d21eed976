// SPDX-License-Identifier: Apache-2.0
/*
 * forecast.h - what a plan will do, before anything is spent or written.
 *
 *     struct forecast forecast;
 *     if (forecast_make(&forecast, &plan, &voice, &err))
 *             return -1;
 *     … forecast.stage[k].domain[d].required, forecast.annotate, forecast.has_tokens …
 *     forecast_release(&forecast);
 *
 * The allocation is exact for the methods with a policy as long as every
 * answer can be used; for the others, which draw from the whole pool, it is
 * what is to be expected (in proportion to the domains). Tokens and money are
 * bounds: prompts as the student's tokenizer counts them, answers at
 * `max_tokens`. Memory and seconds come from a short probe on the student; the
 * time that the teacher takes is not in them.
 */
#ifndef BALDISTILL_PIPELINE_FORECAST_H
#define BALDISTILL_PIPELINE_FORECAST_H

#include "src/pipeline/run.h"

#ifdef __cplusplus
extern "C" {
#endif

struct forecast {
	struct data data;
	struct allocation *stage; /* [stages] */
	int64_t stages;
	int64_t annotate, synthesise; /* queries */
	int64_t candidates;           /* rows that the student answers for selection, all stages together */
	int64_t trained;              /* rows that it learns from, all stages together, one epoch */
	int64_t evaluated;            /* rows of the test set it answers */
	bool has_tokens;              /* the student's directory is there: all below is known */
	double tokens_in, tokens_out;
	double cost;                  /* currency units; negative: no prices */
	bool has_probe;
	uint64_t memory;              /* bytes */
	double seconds;               /* of the student's work */
};

int forecast_make(struct forecast *forecast, const struct plan *plan, const struct voice *voice, struct err *err);
void forecast_release(struct forecast *forecast);

/* forecast_probe.c: tokens, memory and seconds, where there is a student to ask. */
int forecast_probe(struct forecast *forecast, const struct plan *plan, const struct voice *voice, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
