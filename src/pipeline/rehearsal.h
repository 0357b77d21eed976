// SPDX-License-Identifier: Apache-2.0
/*
 * rehearsal.h - what can be known to fail before anything is bought.
 *
 * Opens the student as the run will (files, chat template, backend, memory)
 * and looks for a prompt that leaves room for a target: keys that are wrong
 * then have cost nothing, and may still be changed.
 */
#ifndef BALDISTILL_PIPELINE_REHEARSAL_H
#define BALDISTILL_PIPELINE_REHEARSAL_H

#include "src/pipeline/run.h"

/* For a teacher that is paid, where the directory has no ledger yet; else nothing is done. Failures of student_open. */
int rehearse(const struct run *run, struct err *err);

#endif
