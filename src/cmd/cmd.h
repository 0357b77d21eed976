// SPDX-License-Identifier: Apache-2.0
/*
 * cmd.h - commands and their options.
 *
 * This room alone knows argv, prints and chooses the exit status. A command is
 * one file with a table of options and one function; to add one:
 *
 *     1. write src/cmd/cmd-NAME.c, which defines `const struct command cmd_NAME`;
 *     2. declare it below, name it in `commands` of main.c, list the file in Makefile.am;
 *     3. describe it in man/baldistill.1 and test it in tests/cli_test.sh.
 *
 *     static int run(struct arguments *args, struct err *err)
 *     {
 *             uint64_t rows = 16;
 *             const struct option_row rows_of_this[] = {
 *                     {"rows", OPTION_NUMBER, &rows, "N", "rows per batch"},
 *                     {0},
 *             };
 *             int go = options_parse(&cmd_NAME, rows_of_this, args, err);
 *             if (go <= 0)
 *                     return go;                      // --help, or an error
 *             …                                       // args->argv[0 … args->argc): what is not an option
 *             return 0;
 *     }
 *
 *     const struct command cmd_NAME = {"NAME", "does it", "FILE", run, NEEDS_JSON};
 *
 * Results go to standard output, messages and progress to standard error. A
 * command returns 0, or -1 with the err filled: main prints its message in one
 * line and exits with its code. --help, --quiet and --verbose are everybody's.
 */
#ifndef BALDISTILL_CMD_CMD_H
#define BALDISTILL_CMD_CMD_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/err.h"

enum command_needs {
	NEEDS_JSON = 1,    /* offers --json: a program may read its output */
	NEEDS_SECRECY = 2, /* may hold an API key: nobody looks into its memory, no core dump keeps it */
};

/* Options of the keys of examples (struct example_fields); `where` stands before each help, "" or with a blank. */
#define FIELD_OPTIONS(fields, where)                                                                                   \
	{"id-field", OPTION_TEXT, &(fields)->id, "KEY", where "key of the id (id, else the line number)"},             \
	{"input-field", OPTION_TEXT, &(fields)->input, "KEY", where "key of the input (input, text)"},                 \
	{"label-field", OPTION_TEXT, &(fields)->label, "KEY", where "key of the label (label, answer, gt_choice)"},    \
	{"domain-field", OPTION_TEXT, &(fields)->domain, "KEY", where "key of the domain (domain, source)"},           \
	{"choices-field", OPTION_TEXT, &(fields)->choices, "KEY", where "key of the choices (choices)"}

struct arguments {
	int argc; /* before options_parse: all words, argv[0] the command's name; after it: those that are no option */
	char **argv;
	bool quiet, verbose, json;
};

struct command {
	const char *name;
	const char *summary;  /* one line, lower case, no full stop */
	const char *operands; /* as the usage line names them: "PLAN"; NULL where there are none */
	int (*run)(struct arguments *args, struct err *err);
	unsigned needs; /* enum command_needs, or-ed */
};

/* Every command, each in its cmd-NAME.c. */
extern const struct command cmd_backends, cmd_bench, cmd_check_adapter, cmd_compare, cmd_eval, cmd_generate, cmd_inspect,
	cmd_ledger, cmd_merge, cmd_plan, cmd_prepare, cmd_report, cmd_run, cmd_score, cmd_status, cmd_tokenize, cmd_train;

enum option_kind {
	OPTION_END,
	OPTION_FLAG,   /* bool; takes no value */
	OPTION_TEXT,   /* const char *, borrowed from argv */
	OPTION_NUMBER, /* uint64_t, decimal */
	OPTION_REAL,   /* double, finite */
	OPTION_SIZE,   /* uint64_t of bytes: "512", "64KiB", "8GiB" */
};

/* One row of a command's table, which a row of zeros ends. */
struct option_row {
	const char *name; /* without the dashes */
	enum option_kind kind;
	void *to;          /* where the value goes; keeps its default where the option is not given */
	const char *value; /* its name in --help; NULL for a flag */
	const char *help;  /* one line, lower case, no full stop */
};

/*
 * Read the options of args with the command's own table and the common ones.
 * Returns 1 to go on, with only the operands left in args; 0 where --help was
 * printed and all is done; -1 with ERR_USAGE or, for a value that is none,
 * ERR_CONFIG.
 */
int options_parse(const struct command *command, const struct option_row *rows, struct arguments *args,
		  struct err *err);

/* Fail with ERR_USAGE unless min <= args->argc <= max operands are left. */
int options_expect(const struct command *command, const struct arguments *args, int min, int max, struct err *err);

/* Print what `baldistill --version` prints: the program's version, then each library it runs with. */
void version_print(void);

#endif
