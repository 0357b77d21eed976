// SPDX-License-Identifier: Apache-2.0
/*
 * score_rows.h - instruction-following difficulty of every row of a job (METHOD section 3).
 *
 * Rows in: {"prompt" or "messages", "completion"}. Rows out: the same, with
 * {"prompt_tokens", "completion_tokens", "counted_tokens", "nll_conditional",
 * "nll_unconditional", "ppl_conditional", "ppl_unconditional", "ifd"}, nulls
 * where no token is counted.
 */
#ifndef BALDISTILL_PIPELINE_SCORE_ROWS_H
#define BALDISTILL_PIPELINE_SCORE_ROWS_H

#include "src/pipeline/job.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The job begins here and ends with the caller's job_close. Failures: those of job_begin; ERR_DATA names the row. */
int score_rows(struct job *job, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
