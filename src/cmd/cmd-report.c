// SPDX-License-Identifier: Apache-2.0
/* report: the HTML report of a run, finished or not. */
#include "config.h"

#include <stddef.h>

#include "src/cmd/cmd.h"
#include "src/pipeline/report.h"

static int run(struct arguments *args, struct err *err)
{
	const char *output = NULL;
	const struct option_row rows[] = {
		{"output", OPTION_TEXT, &output, "FILE", "where it goes (RUN/report.html)"},
		{0},
	};
	int go = options_parse(&cmd_report, rows, args, err);
	if (go <= 0)
		return go;
	if (options_expect(&cmd_report, args, 1, 1, err))
		return -1;
	return report_write(args->argv[0], output, PACKAGE_STRING, err);
}

const struct command cmd_report = {"report", "write the HTML report of a run", "RUN", run, 0};
