// SPDX-License-Identifier: Apache-2.0
/*
 * run_ledger.h - opening a run's ledger. Private to run.c.
 *
 * The ledger is held to the plan, the examples and the prompts of the run; a
 * budget that has grown since goes to the stages not begun (run->budget).
 *
 * Failures: those of ledger_open; ERR_CONFIG for a budget that cannot be used any more.
 */
#ifndef BALDISTILL_PIPELINE_RUN_LEDGER_H
#define BALDISTILL_PIPELINE_RUN_LEDGER_H

#include "src/pipeline/run.h"

/* run->ledger and run->collector, with what an interrupted start left settled. */
int run_open_ledger(struct run *run, struct err *err);

#endif
