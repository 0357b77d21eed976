// SPDX-License-Identifier: Apache-2.0
/*
 * rehearsal.h - what can be known to fail before anything is bought.
 *
 * Opens the student as the run will (files, chat template, backend, memory),
 * looks for prompts that leave room for a target, and trains one step on the
 * first of them: what is wrong then has cost nothing, and may still be changed.
 * Rows of a teacher's length may need more memory than these.
 */
#ifndef BALDISTILL_PIPELINE_REHEARSAL_H
#define BALDISTILL_PIPELINE_REHEARSAL_H

#include <stdint.h>

#include "src/pipeline/run.h"

/*
 * For a teacher that is paid, where the directory has no ledger yet; else nothing is done. Failures of student_open and
 * student_train.
 */
int rehearse(const struct run *run, struct err *err);

/* How many of n prompts are too long to learn an answer, and what helps; nothing where none is. */
void rehearsal_tell(const struct voice *voice, size_t too_long, size_t n, int64_t max_length, int64_t positions);

/* That a small student's adapters want another learning rate than the default, where they are to have it. */
void rehearsal_tell_rate(const struct voice *voice, const struct plan *plan, const struct model_config *student);

#endif
