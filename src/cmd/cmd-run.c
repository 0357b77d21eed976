// SPDX-License-Identifier: Apache-2.0
/* run: the whole distillation; the same command goes on after an interruption. */
#include "config.h"

#include <stdio.h>

#include "src/cmd/cmd.h"
#include "src/cmd/print.h"
#include "src/cmd/progress.h"
#include "src/cmd/signals.h"
#include "src/pipeline/run.h"
#include "src/pipeline/until.h"

/* ---- results ----------------------------------------------------------------------------------------------------------- */

static void say_end(const struct run *run, const struct arguments *args)
{
	if (args->quiet)
		return;
	if (run->stopped)
		print_line("stopped as asked; the same command without --until goes on");
	else
		voice_say(run->options->voice, "done; see %s/report.html, or type: baldistill status %s", run->directory,
			  run->directory);
}

static int run_plan(struct plan *plan, struct arguments *args, const struct run_options *options, struct err *err)
{
	struct run run;
	int rc = run_open(&run, plan, options, err) || run_stages(&run, err) || (!run.stopped && run_finish(&run, err)) ? -1 : 0;
	if (!rc)
		say_end(&run, args);
	run_close(&run);
	return rc;
}

static int run(struct arguments *args, struct err *err)
{
	const char *until = NULL;
	struct progress_output progress;
	struct voice voice = {.say = print_note, .context = args, .progress = &progress};
	struct run_options options = {.voice = &voice, .version = PACKAGE_STRING, .erase_key = true};
	const struct option_row rows[] = {
		{"until", OPTION_TEXT, &until, "STEP", "stop after this step: [STAGE.]select, annotate, synthesise, train or evaluate"},
		{"allow-http", OPTION_FLAG, &options.allow_http, NULL, "talk to a teacher on another machine without TLS"},
		{"strict", OPTION_FLAG, &options.strict, NULL, "count what a teacher refused and says it did not bill, too"},
		{0},
	};
	int go = options_parse(&cmd_run, rows, args, err);
	if (go <= 0)
		return go;
	if (options_expect(&cmd_run, args, 1, 1, err) || until_read(&options.until, until, err))
		return -1;
	struct plan plan;
	progress = progress_of(args->quiet);
	signals_catch(&voice);
	if (plan_load(&plan, args->argv[0], err))
		return -1;
	int rc = run_plan(&plan, args, &options, err);
	plan_release(&plan);
	return rc;
}

const struct command cmd_run = {"run", "the whole distillation that a plan describes; resumable", "PLAN", run, NEEDS_SECRECY};
