// SPDX-License-Identifier: Apache-2.0
/*
 * evaluate.h - a stage's student on the test set.
 *
 *     evaluate_step(&run, k, work, &err);     // predictions.jsonl and metrics.json into `work`
 *
 * predictions.jsonl: {"id", "prediction"} in the order of the test file. Both
 * files are absent where the plan does not ask for this stage or names no test
 * file.
 */
#ifndef BALDISTILL_PIPELINE_EVALUATE_H
#define BALDISTILL_PIPELINE_EVALUATE_H

#include "src/pipeline/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether stage k is evaluated. */
bool evaluate_wanted(const struct run *run, int64_t k);

/* Answers as rows {"id", "prediction"}, in the order of the examples. */
struct completions;
int predictions_save(const struct examples *gold, const struct completions *done, const char *path, struct err *err);

int evaluate_step(struct run *run, int64_t k, const char *work, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
