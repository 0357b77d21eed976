// SPDX-License-Identifier: Apache-2.0
/* completions_parts.h - the file of finished completions, for completions*.c: a row {"of", "stop", "ids", "logp"} each. */
#ifndef BALDISTILL_PIPELINE_COMPLETIONS_PARTS_H
#define BALDISTILL_PIPELINE_COMPLETIONS_PARTS_H

#include "src/pipeline/completions.h"

/* Every row of text[0..n) into its place of done->row[job->n]; rows that are not there stay empty. */
int completions_parse(struct completions *done, const struct completions_job *job, const char *text, size_t n,
		      struct err *err);
/* The same of job->path. */
int completions_read(struct completions *done, const struct completions_job *job, struct err *err);

#endif
