// SPDX-License-Identifier: Apache-2.0
/* score: instruction-following difficulty of every row. */
#include "src/cmd/job.h"
#include "src/pipeline/score_rows.h"

static int run(struct arguments *args, struct err *err)
{
	struct job job;
	job_defaults(&job);
	const struct option_row rows[] = {JOB_FILES(&job), JOB_DEVICE(&job), {0}};
	int go = options_parse(&cmd_score, rows, args, err);
	if (go <= 0)
		return go;
	int rc = options_expect(&cmd_score, args, 0, 0, err);
	job_connect(&job, args);
	return job_close(&job, rc ? rc : score_rows(&job, err), err);
}

const struct command cmd_score = {"score", "instruction-following difficulty of prompts and completions", NULL, run, 0};
