// SPDX-License-Identifier: Apache-2.0
/* compare: methods and seeds side by side, on the same data and budget. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/cmd.h"
#include "src/cmd/print.h"
#include "src/cmd/progress.h"
#include "src/cmd/signals.h"
#include "src/pipeline/compare.h"

enum { MAX_METHODS = 32, MAX_SEEDS = 1000 };

struct compare_command {
	const char *methods, *seeds;
	uint64_t max_queries;
	char *names; /* a copy of `methods`, cut at its commas */
	const char *method[MAX_METHODS];
	uint64_t seed[MAX_SEEDS];
	struct compare_options options;
};

/* ---- options --------------------------------------------------------------------------------------------------- */

static int read_methods(struct compare_command *c, struct err *err)
{
	char *rest;
	if (!c->methods)
		return err_set(err, ERR_USAGE, "'--methods' is missing: names with commas between, such as " COMPARE_BASELINE ",baldistill-adaptive");
	c->names = mem_strdup(c->methods, err);
	for (char *name = c->names ? strtok_r(c->names, ",", &rest) : NULL; name; name = strtok_r(NULL, ",", &rest)) {
		if (c->options.methods == MAX_METHODS)
			return err_set(err, ERR_CONFIG, "'--methods' takes at most %d names", MAX_METHODS);
		if (!method_find(name, err))
			return -1;
		for (size_t i = 0; i < c->options.methods; i++)
			if (!strcmp(c->method[i], name))
				return err_set(err, ERR_CONFIG, "'--methods' names %s twice", name);
		c->method[c->options.methods++] = name;
	}
	if (c->names && !c->options.methods)
		return err_set(err, ERR_USAGE, "'--methods' names no method");
	return c->names ? 0 : -1;
}

static int read_seeds(struct compare_command *c, struct err *err)
{
	const char *at = c->seeds ? c->seeds : "1";
	for (char *end;; at = end + 1) {
		at += strspn(at, " ");
		errno = 0;
		long long seed = strtoll(at, &end, 10);
		if (!isdigit((unsigned char)*at) || errno || (*end && *end != ',') || c->options.seeds == MAX_SEEDS)
			return err_set(err, ERR_CONFIG, "'--seeds' takes whole numbers with commas between, at most %d of them, not '%s'",
				       MAX_SEEDS, c->seeds);
		for (size_t i = 0; i < c->options.seeds; i++)
			if (c->seed[i] == (uint64_t)seed)
				return err_set(err, ERR_CONFIG, "'--seeds' names %lld twice", seed);
		c->seed[c->options.seeds++] = (uint64_t)seed;
		if (!*end)
			return 0;
	}
}

/* ---- table ------------------------------------------------------------------------------------------------------ */

static void print_interval(const struct metrics_interval *interval)
{
	char text[32] = "";
	if (!isnan(interval->low))
		snprintf(text, sizeof text, "[%.2f, %.2f]", 100 * interval->low, 100 * interval->high);
	printf(" %-16s", text);
}

static void print_table(const struct comparison *c)
{
	printf("per cent, mean of %zu seed%s, macro with its 95 %% interval; preset %s\n\n", c->seeds, c->seeds == 1 ? "" : "s",
	       c->preset);
	printf("%-28s %8s %-16s %8s %8s %8s%s\n", "method", "macro", "", "micro", "head", "tail",
	       c->baseline ? "   macro less " COMPARE_BASELINE : "");
	for (size_t m = 0; m < c->rows; m++) {
		const struct comparison_row *row = &c->row[m];
		printf("%-28s", row->method);
		print_score(row->mean[SCORING_MACRO]);
		print_interval(&row->spread[SCORING_MACRO]);
		for (int f = SCORING_MACRO + 1; f < SCORING_FIGURES; f++)
			print_score(row->mean[f]);
		if (c->baseline && row != c->baseline && !isnan(row->difference[0]))
			printf("   %+.2f", 100 * row->difference[0]);
		if (c->baseline && row != c->baseline && !isnan(row->interval[0].low))
			printf(" [%+.2f, %+.2f]", 100 * row->interval[0].low, 100 * row->interval[0].high);
		putchar('\n');
	}
}

/* ---- the command -------------------------------------------------------------------------------------------------- */

static int print(const struct comparison *c, const struct arguments *args, struct err *err)
{
	struct json_writer w;
	if (!args->json) {
		print_table(c);
		return 0;
	}
	json_writer_init(&w, 0);
	comparison_put(&w, c);
	return print_document(&w, err);
}

static int compare(struct compare_command *c, struct arguments *args, struct err *err)
{
	struct comparison comparison;
	if (read_methods(c, err) || read_seeds(c, err))
		return -1;
	c->options.path = args->argv[0];
	c->options.method = c->method;
	c->options.seed = c->seed;
	c->options.max_queries = (int64_t)c->max_queries;
	if (compare_run(&comparison, &c->options, err))
		return -1;
	int rc = print(&comparison, args, err);
	comparison_release(&comparison);
	return rc;
}

static int run(struct arguments *args, struct err *err)
{
	static struct compare_command c; /* large; one command runs once */
	const struct option_row rows[] = {
		{"methods", OPTION_TEXT, &c.methods, "NAME,...", "methods to compare"},
		{"seeds", OPTION_TEXT, &c.seeds, "N,...", "seeds of each (1)"},
		{"max-queries", OPTION_NUMBER, &c.max_queries, "TOTAL", "bound of the requests of all runs in one start; needed where the teacher is paid"},
		{"allow-http", OPTION_FLAG, &c.options.run.allow_http, NULL, "talk to a teacher on another machine without TLS"},
		{0},
	};
	int go = options_parse(&cmd_compare, rows, args, err);
	if (go <= 0)
		return go;
	struct progress_output progress = progress_of(args->quiet);
	struct voice voice = {.say = print_note, .context = args, .progress = &progress};
	signals_catch(&voice);
	c.options.run.voice = &voice;
	c.options.run.version = PACKAGE_STRING;
	c.options.run.erase_key = true;
	int rc = options_expect(&cmd_compare, args, 1, 1, err) || compare(&c, args, err) ? -1 : 0;
	free(c.names);
	return rc;
}

const struct command cmd_compare = {"compare", "methods and seeds side by side on the same data and budget", "PLAN", run,
				    NEEDS_JSON | NEEDS_SECRECY};
