// SPDX-License-Identifier: Apache-2.0
/*
 * generate_rows.h - a completion for every row of a job.
 *
 *     struct generate_rows_options options = GENERATE_ROWS_DEFAULTS;
 *     rc = generate_rows(&job, &options, &err);
 *     rc = job_close(&job, rc, &err);
 *
 * Rows in: {"prompt" or "messages"}. Rows out: the same, with {"completion",
 * "completion_ids", "finish_reason", "completion_tokens", "nll"} and, where
 * asked for, "token_nll". A job with an output that was killed goes on with
 * what OUTPUT.part holds (generation.h).
 */
#ifndef BALDISTILL_PIPELINE_GENERATE_ROWS_H
#define BALDISTILL_PIPELINE_GENERATE_ROWS_H

#include "src/pipeline/job.h"

#ifdef __cplusplus
extern "C" {
#endif

struct generate_rows_options {
	uint64_t max_new_tokens; /* 1 to 1048576 */
	uint64_t top_k;          /* 0: all */
	double temperature;      /* 0: greedy */
	double top_p;            /* above 0, at most 1 */
	bool token_nll;          /* write the negative log-likelihood of every token */
};

/* 200 tokens, greedy. */
#define GENERATE_ROWS_DEFAULTS {.max_new_tokens = 200, .top_p = 1}

/* The job begins here and ends with the caller's job_close. ERR_CONFIG, and the failures of job_begin and part.h. */
int generate_rows(struct job *job, const struct generate_rows_options *options, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
