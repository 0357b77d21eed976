// SPDX-License-Identifier: Apache-2.0
#include "src/cmd/job.h"

#include <stdio.h>
#include <string.h>

#include "src/base/text.h"
#include "src/cmd/progress.h"

static int to_stdout(void *context, const char *text, size_t n, struct err *err)
{
	(void)context;
	return fwrite(text, 1, n, stdout) == n ? 0 : err_set_errno(err, ERR_IO, "cannot write standard output");
}

static void say(void *context, const char *message)
{
	char shown[4096];
	(void)context;
	fprintf(stderr, "%s\n", text_escape(shown, sizeof shown, message, strlen(message)));
}

void job_connect(struct job *job, const struct arguments *args)
{
	static struct progress_output progress; /* one command runs once */
	progress = progress_of(args->quiet);
	job->voice = (struct voice){.say = args->quiet ? NULL : say, .progress = &progress};
	job->verbose = args->verbose;
	job->put = to_stdout;
}

int job_open_text(struct job *job, const struct arguments *args, struct err *err)
{
	job_connect(job, args);
	return job_begin(job, true, err);
}

int job_open_model(struct job *job, const struct arguments *args, struct err *err)
{
	job_connect(job, args);
	return job_begin_model(job, err);
}
