// SPDX-License-Identifier: Apache-2.0
/* generate: a completion for every row. */
#include <stdio.h>

#include "src/cmd/job.h"
#include "src/pipeline/generate_rows.h"

/* Finished rows do not wait for later ones. */
static int to_stdout_now(void *context, const char *text, size_t n, struct err *err)
{
	(void)context;
	if (fwrite(text, 1, n, stdout) == n && !fflush(stdout))
		return 0;
	return err_set_errno(err, ERR_IO, "cannot write standard output");
}

static int run(struct arguments *args, struct err *err)
{
	struct job job;
	struct generate_rows_options s = GENERATE_ROWS_DEFAULTS;
	job_defaults(&job);
	const struct option_row rows[] = {
		JOB_FILES(&job),
		{"max-new-tokens", OPTION_NUMBER, &s.max_new_tokens, "N", "tokens of a completion at the most (200)"},
		{"temperature", OPTION_REAL, &s.temperature, "X", "0: greedy (0)"},
		{"top-k", OPTION_NUMBER, &s.top_k, "N", "draw among the N likeliest tokens; 0: all (0)"},
		{"top-p", OPTION_REAL, &s.top_p, "X", "draw among the likeliest tokens that reach X (1)"},
		{"seed", OPTION_NUMBER, &job.seed, "N", "of the draws (1)"},
		{"slots", OPTION_NUMBER, &job.slots, "N", "rows decoded together (64; on a GPU 256)"},
		{"token-nll", OPTION_FLAG, &s.token_nll, NULL, "write the negative log-likelihood of every token"},
		JOB_DEVICE(&job),
		{0},
	};
	int go = options_parse(&cmd_generate, rows, args, err);
	if (go <= 0)
		return go;
	int rc = options_expect(&cmd_generate, args, 0, 0, err);
	job_connect(&job, args);
	job.put = to_stdout_now;
	return job_close(&job, rc ? rc : generate_rows(&job, &s, err), err);
}

const struct command cmd_generate = {"generate", "completions of prompts", NULL, run, 0};
