// SPDX-License-Identifier: Apache-2.0
/* ledger: is a run's ledger whole, where did every unit go, and its attempts as a cassette. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/base/tree.h"
#include "src/cmd/cmd.h"
#include "src/cmd/print.h"
#include "src/ledger/audit.h"
#include "src/ledger/cassette.h"
#include "src/pipeline/spare.h"

/* Opening for a look must not make files where no run is. `output`, or NULL, must be no part of the run. */
static struct ledger *open_run(const char *directory, const char *output, struct err *err)
{
	const struct ledger_options options = {.directory = directory, .inspect = true};
	enum tree_kind kind;
	char *path = tree_join(directory, "ledger.db", err);
	int rc = path ? tree_find(path, &kind, err) : -1;
	free(path);
	if (rc)
		return NULL;
	if (kind == TREE_FILE)
		return output && run_spare(directory, output, "cassette.jsonl", err) ? NULL : ledger_open(&options, NULL, err);
	err_set(err, ERR_NOINPUT, "no run with a ledger in '%s'", directory);
	return NULL;
}

/* ---- audit ---------------------------------------------------------------------------- */

/* A text from the report, safe to show; "-" where it is null. */
static void print_member(const char *label, struct json_value object, const char *key)
{
	char shown[512];
	const char *text = "-";
	size_t n = 1;
	json_opt_string(json_in(object, key), "-", &text, &n, NULL);
	printf("%s%s", label, text_escape_line(shown, sizeof shown, text, strlen(text)));
}

static long long count_of(struct json_value object, const char *key)
{
	int64_t value = 0;
	json_opt_int64(json_in(object, key), 0, &value, NULL);
	return (long long)value;
}

static void print_units(struct json_value root)
{
	static const char *const keys[] = {"budget",   "used",  "answered", "unusable",
					   "in_doubt", "armed", "released", "wire"};
	struct json_value tokens = json_in(root, "tokens");
	double cost;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		printf("%-12s %lld\n", keys[i], count_of(json_in(root, "ledger"), keys[i]));
	printf("%-12s %lld sends that a provider may bill all the same\n", "not counted",
	       count_of(root, "not_counted"));
	printf("%-12s %lld in, %lld out\n", "tokens", count_of(tokens, "input"), count_of(tokens, "output"));
	if (!json_opt_double(json_in(root, "cost"), -1, &cost, NULL) && cost >= 0)
		printf("%-12s %.6f spent and reserved\n", "cost", cost);
}

static int print_doubts(struct json_value list, struct err *err)
{
	size_t n;
	if (json_get_length(list, &n, err))
		return -1;
	if (n)
		printf("\nIn doubt, to be compared with the provider's log:\n");
	for (size_t i = 0; i < n; i++) {
		struct json_value row = json_at(list, i);
		print_member("  ", row, "request_id");
		print_member("  ", row, "domain");
		print_member("  ", row, "reason");
		print_member("  ", row, "provider_request_id");
		putchar('\n');
	}
	return 0;
}

static int print_events(struct json_value list, struct err *err)
{
	size_t n;
	if (json_get_length(list, &n, err))
		return -1;
	if (n)
		printf("\nEvents:\n");
	for (size_t i = 0; i < n; i++) {
		print_member("  ", json_at(list, i), "kind");
		print_member(": ", json_at(list, i), "detail");
		putchar('\n');
	}
	return 0;
}

static int print_report(struct json_value root, struct err *err)
{
	print_member("run          ", root, "run");
	putchar('\n');
	print_units(root);
	return print_doubts(json_in(root, "in_doubt"), err) || print_events(json_in(root, "events"), err) ? -1 : 0;
}

/* The report is told in any case; a ledger that is not whole is then the command's failure. */
static int tell(const char *text, size_t n, bool raw, struct err *err)
{
	const struct json_limits limits = {.max_bytes = (size_t)1 << 30, .max_depth = 32,
					   .max_values = (size_t)1 << 24};
	const char *refusal = NULL;
	struct json *doc = json_parse(text, n, &limits, err);
	if (!doc)
		return -1;
	int rc = json_opt_string(json_in(json_root(doc), "refusal"), NULL, &refusal, NULL, err);
	if (!rc && raw)
		puts(text);
	else if (!rc)
		rc = print_report(json_root(doc), err);
	if (!rc && refusal)
		rc = err_set(err, ERR_LEDGER, "%s", refusal);
	else if (!rc && !raw)
		puts("\nThe ledger is whole.");
	json_free(doc);
	return rc;
}

static int audit(struct ledger *ledger, const struct arguments *args, struct err *err)
{
	struct json_writer w;
	size_t n;
	json_writer_init(&w, 2);
	int rc = ledger_audit(ledger, &w, err);
	const char *text = rc ? NULL : json_writer_text(&w, &n, err);
	rc = text ? tell(text, n, args->json, err) : -1;
	json_writer_release(&w);
	return rc;
}

/* ---- the command ------------------------------------------------------------------------ */

static int check_words(const struct arguments *args, const char *output, struct err *err)
{
	if (options_expect(&cmd_ledger, args, 2, 2, err))
		return -1;
	bool is_export = !strcmp(args->argv[0], "export");
	if (!is_export && strcmp(args->argv[0], "audit"))
		return err_set(err, ERR_USAGE, "'ledger' does audit or export, not '%s'", args->argv[0]);
	if (is_export && !output)
		return err_set(err, ERR_USAGE, "'ledger export' needs --output FILE");
	if (!is_export && output)
		return err_set(err, ERR_USAGE, "'--output' belongs to 'ledger export'");
	return 0;
}

static int run(struct arguments *args, struct err *err)
{
	const char *output = NULL;
	const struct option_row rows[] = {
		{"output", OPTION_TEXT, &output, "FILE", "the cassette that export writes, JSON Lines"},
		{0},
	};
	int go = options_parse(&cmd_ledger, rows, args, err);
	if (go <= 0)
		return go;
	if (check_words(args, output, err))
		return -1;
	struct ledger *ledger = open_run(args->argv[1], output, err);
	if (!ledger)
		return -1;
	int rc = output ? ledger_export(ledger, output, err) : audit(ledger, args, err);
	ledger_close(ledger);
	return rc;
}

const struct command cmd_ledger = {"ledger", "audit a run's ledger, or export it as a cassette", "audit|export RUN",
				   run, NEEDS_JSON};
