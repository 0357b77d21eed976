// SPDX-License-Identifier: Apache-2.0
/*
 * stage.h - the steps of a stage, and where a run goes on.
 *
 * A table of steps, walked in order. A step works in stage-K/STEP.part/, where
 * finished pieces survive a kill; at its end its results are synced, renamed
 * into stage-K/, and one transaction of the ledger stores their names and
 * SHA-256. So a step is done or is not; what lies in stage-K/ without being in
 * the ledger is a killed step's and is removed when that step begins again.
 */
#ifndef BALDISTILL_PIPELINE_STAGE_H
#define BALDISTILL_PIPELINE_STAGE_H

#include "src/pipeline/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The table's own "select", "annotate", "synthesise", "train" or "evaluate"; NULL for a name that is none. */
const char *stage_step(const char *name);

/* Stage k from its first step that is not done; stops after `until`, which sets run->stopped. */
int stage_run(struct run *run, int64_t k, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
