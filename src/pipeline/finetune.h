// SPDX-License-Identifier: Apache-2.0
/*
 * finetune.h - the student of a stage, trained from its base on all bought so far.
 *
 *     finetune_step(&run, k, work, &err);    // train.jsonl, collected.json, adapter/ (or checkpoint/) into `work`
 *
 * train.jsonl: what stage k's student learns from, rows of all stages so far,
 * {"id", "domain", "stage", "origin", "input", "label", "rationale", "prompt",
 * "completion"} and, of synthetic ones, "demonstrations": [ids]. collected.json:
 * {"stage", "rows", "domains": [{"domain", "real", "synthetic", "repeated",
 * "dropped": {CAUSE: n}}]} of this stage alone.
 */
#ifndef BALDISTILL_PIPELINE_FINETUNE_H
#define BALDISTILL_PIPELINE_FINETUNE_H

#include "src/pipeline/run.h"

#ifdef __cplusplus
extern "C" {
#endif

int finetune_step(struct run *run, int64_t k, const char *work, struct err *err);

/* "adapter" or "checkpoint": what lies in stage-K/, unless the method trains nothing. */
const char *finetune_name(const struct run *run);

/* training_rows.c: train.jsonl and collected.json into `work`; what is trained on is read back from the first. */
int training_rows_write(struct run *run, int64_t k, const char *work, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
