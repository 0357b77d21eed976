// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/cmd.h"

enum { MAX_OPTIONS = 64, COMMON_OPTIONS = 4 };

/* The command's rows and the common ones in one list, and the form getopt_long wants. */
struct option_list {
	struct option_row rows[MAX_OPTIONS];
	struct option longs[MAX_OPTIONS + 1]; /* a row of zeros ends it */
	int n;
};

static void add_row(struct option_list *list, const struct option_row *row)
{
	if (list->n == MAX_OPTIONS)
		return;
	list->rows[list->n] = *row;
	list->longs[list->n].name = row->name;
	list->longs[list->n].has_arg = row->kind == OPTION_FLAG ? no_argument : required_argument;
	list->n++;
}

static void fill_list(struct option_list *list, const struct option_row *rows, const struct command *command,
		      struct arguments *args, bool *help)
{
	const struct option_row common[COMMON_OPTIONS] = {
		{"quiet", OPTION_FLAG, &args->quiet, NULL, "print no progress and no notes"},
		{"verbose", OPTION_FLAG, &args->verbose, NULL, "print more about what is done"},
		{"help", OPTION_FLAG, help, NULL, "show this text"},
		{"json", OPTION_FLAG, &args->json, NULL, "print the result as JSON"},
	};
	for (; rows && rows->kind != OPTION_END; rows++)
		add_row(list, rows);
	if (command->needs & NEEDS_JSON)
		add_row(list, &common[3]);
	for (int i = 0; i < 3; i++)
		add_row(list, &common[i]);
}

static void print_help(const struct command *command, const struct option_list *list)
{
	printf("Usage: baldistill %s [OPTIONS]%s%s\n", command->name, command->operands ? " " : "",
	       command->operands ? command->operands : "");
	printf("%s%s\n\nOptions:\n", command->summary, command->summary[strlen(command->summary) - 1] == '?' ? "" : ".");
	for (int i = 0; i < list->n; i++) {
		const struct option_row *row = &list->rows[i];
		char left[64];
		snprintf(left, sizeof left, "--%s%s%s", row->name, row->value ? " " : "", row->value ? row->value : "");
		printf("  %-24s %s\n", left, row->help);
	}
}

static int bad_value(const struct option_row *row, const char *value, const char *wanted, struct err *err)
{
	return err_set(err, ERR_CONFIG, "'--%s' takes %s, not '%s'", row->name, wanted, value);
}

/* A decimal number of digits only (no sign, no blank); *end is what follows it. */
static bool read_digits(const char *text, uint64_t *out, char **end)
{
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*out = strtoull(text, end, 10);
	return errno == 0;
}

static int set_number(const struct option_row *row, const char *value, struct err *err)
{
	uint64_t number;
	char *end;
	if (!read_digits(value, &number, &end) || *end)
		return bad_value(row, value, "a whole number", err);
	*(uint64_t *)row->to = number;
	return 0;
}

static int set_real(const struct option_row *row, const char *value, struct err *err)
{
	char *end;
	double number = strtod(value, &end);
	if (end == value || *end || !isfinite(number))
		return bad_value(row, value, "a number", err);
	*(double *)row->to = number;
	return 0;
}

static int set_size(const struct option_row *row, const char *value, struct err *err)
{
	static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
	uint64_t number;
	char *end;
	if (!read_digits(value, &number, &end))
		return bad_value(row, value, "a size such as 512MiB", err);
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t bytes;
		if (!strcmp(end, units[i]) && size_mul(&bytes, number, (size_t)1 << 10 * i)) {
			*(uint64_t *)row->to = bytes;
			return 0;
		}
	}
	return bad_value(row, value, "a size such as 512MiB", err);
}

static int set_option(const struct option_row *row, const char *value, struct err *err)
{
	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)row->to = true;
		return 0;
	case OPTION_TEXT:
		*(const char **)row->to = value;
		return 0;
	case OPTION_NUMBER:
		return set_number(row, value, err);
	case OPTION_REAL:
		return set_real(row, value, err);
	case OPTION_SIZE:
		return set_size(row, value, err);
	case OPTION_END:
		break;
	}
	return err_set(err, ERR_INTERNAL, "option '--%s' has no kind", row->name);
}

static bool is_flag(const struct option_list *list, const char *name, size_t n)
{
	for (int i = 0; i < list->n; i++)
		if (!strncmp(list->rows[i].name, name, n) && !list->rows[i].name[n])
			return list->rows[i].kind == OPTION_FLAG;
	return false;
}

/* getopt_long has stepped past a long option it refuses; a short one, of which there are none, is in optopt. */
static int bad_option(const struct command *command, const struct option_list *list, char *const *argv, int code,
		      struct err *err)
{
	const char letter[] = {'-', (char)optopt, 0}, *word = optopt ? letter : argv[optind - 1];
	size_t n = strcspn(word, "=");
	const char *rule = code == ':' ? "needs a value" : "is unknown";
	if (code == '?' && word[n] && is_flag(list, word + 2, n - 2))
		rule = "takes no value";
	return err_set(err, ERR_USAGE, "option '%s' %s; see 'baldistill %s --help'", word, rule, command->name);
}

int options_parse(const struct command *command, const struct option_row *rows, struct arguments *args, struct err *err)
{
	struct option_list list = {0};
	bool help = false;
	fill_list(&list, rows, command, args, &help);
	if (list.n == MAX_OPTIONS)
		return err_set(err, ERR_INTERNAL, "'%s' has %d options or more", command->name, MAX_OPTIONS);
	opterr = 0;
	optind = 0; /* GNU: start anew, also for a second call in one process */
	int code, row;
	while ((code = getopt_long(args->argc, args->argv, ":", list.longs, &row)) == 0)
		if (set_option(&list.rows[row], optarg, err))
			return -1;
	if (code != -1)
		return bad_option(command, &list, args->argv, code, err);
	args->argv += optind;
	args->argc -= optind;
	if (help)
		print_help(command, &list);
	return !help;
}

int options_expect(const struct command *command, const struct arguments *args, int min, int max, struct err *err)
{
	if (args->argc > max)
		return err_set(err, ERR_USAGE, "unexpected '%s'; see 'baldistill %s --help'", args->argv[max],
			       command->name);
	if (args->argc < min)
		return err_set(err, ERR_USAGE, "'%s' needs %s; see 'baldistill %s --help'", command->name,
			       command->operands, command->name);
	return 0;
}
