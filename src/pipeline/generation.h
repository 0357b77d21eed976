// SPDX-License-Identifier: Apache-2.0
/*
 * generation.h - the rows of `generate`, block after block.
 *
 * A block is what one call of student_generate makes, so that a block made
 * again has the same bytes. Blocks go to the job's `put` as they are finished or,
 * where the job names a file, through part.h: an earlier start of the same work
 * is gone on with.
 */
#ifndef BALDISTILL_PIPELINE_GENERATION_H
#define BALDISTILL_PIPELINE_GENERATION_H

#include "src/base/hash.h"
#include "src/pipeline/job.h"
#include "src/student/generate.h"

struct generation {
	struct job *job;                         /* opened with in_blocks */
	const struct generate_options *options;
	bool token_nll;                          /* write them */
	const struct generate_row *rows;         /* one for each of the job's */
	const char *name;                        /* of the work (work.h), where the job has an output */
};

int generation_run(const struct generation *generation, struct err *err);

#endif
