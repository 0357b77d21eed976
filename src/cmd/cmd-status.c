// SPDX-License-Identifier: Apache-2.0
/* status: where a run stands, from its status.json, also while the run goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/jsonio.h"
#include "src/base/progress.h"
#include "src/base/text.h"
#include "src/cmd/cmd.h"
#include "src/cmd/print.h"
#include "src/ledger/lock.h"

enum { MAX_STATUS = 16 << 20 };

struct domain {
	const char *name;
	int64_t required, answered, unusable;
};

static int read_domain(struct domain *d, struct json_value row, struct err *err)
{
	if (json_get_string(json_in(row, "domain"), &d->name, NULL, err) ||
	    json_get_int64(json_in(row, "required"), &d->required, err) ||
	    json_get_int64(json_in(row, "answered"), &d->answered, err))
		return -1;
	return json_get_int64(json_in(row, "unusable"), &d->unusable, err);
}

static int print_domains(struct json_value list, struct err *err)
{
	size_t n;
	struct domain d;
	if (json_get_length(list, &n, err))
		return -1;
	if (n)
		printf("\n%-24s %10s %10s %10s\n", "domain", "required", "answered", "unusable");
	for (size_t i = 0; i < n; i++) {
		if (read_domain(&d, json_at(list, i), err))
			return -1;
		print_name(d.name, strlen(d.name));
		printf(" %10lld %10lld %10lld\n", (long long)d.required, (long long)d.answered, (long long)d.unusable);
	}
	return 0;
}

static int print_units(struct json_value ledger, struct err *err)
{
	static const struct {
		const char *key, *meaning;
	} units[] = {
		{"budget", "units in all"},
		{"used", "of them spent or on their way"},
		{"answered", "answers in the form asked for; a report tells which were dropped for what they say"},
		{"unusable", "paid, of no use"},
		{"in_doubt", "sent, perhaps paid, without an answer"},
		{"armed", "on their way"},
		{"released", "given back"},
		{"wire", "requests sent in all"},
	};
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		int64_t value;
		if (json_get_int64(json_in(ledger, units[i].key), &value, err))
			return -1;
		printf("%-10s %10lld  %s\n", units[i].key, (long long)value, units[i].meaning);
	}
	return 0;
}

static int print_place(struct json_value root, const char *directory, struct err *err)
{
	int64_t stage;
	const char *step, *const nows[] = {"", ": nothing is at work on it; the command that began it goes on, or says why it cannot", ": at work"};
	char shown[64];
	if (json_get_int64(json_in(root, "stage"), &stage, err) ||
	    json_get_string(json_in(root, "step"), &step, NULL, err))
		return -1;
	const char *now = nows[lock_held(directory) + 1];
	if (now != nows[2] && !strcmp(step, "done"))
		now = ": finished";
	printf("stage %lld, %s%s\n\n", (long long)stage, text_escape_line(shown, sizeof shown, step, strlen(step)), now);
	return 0;
}

static int print_money_and_time(struct json_value root, struct err *err)
{
	double cost, left;
	char shown[32];
	if (json_opt_double(json_in(root, "cost"), -1, &cost, err) ||
	    json_opt_double(json_in(root, "seconds_left"), -1, &left, err))
		return -1;
	if (cost >= 0)
		printf("%-10s %10.6f  spent and reserved\n", "cost", cost);
	if (left >= 0)
		printf("%-10s %10s  of this step\n", "time left", progress_duration(shown, sizeof shown, left));
	return 0;
}

static int print_status(struct json_value root, const char *directory, struct err *err)
{
	return print_place(root, directory, err) || print_units(json_in(root, "ledger"), err) || print_money_and_time(root, err) ||
	       print_domains(json_in(root, "domains"), err) ? -1 : 0;
}

static int show(const char *path, const char *directory, const char *text, size_t n, bool raw, struct err *err)
{
	struct json *doc = json_parse(text, n, NULL, err);
	int rc = doc ? 0 : -1;
	if (!rc && raw)
		puts(text);
	else if (!rc)
		rc = print_status(json_root(doc), directory, err);
	json_free(doc);
	return rc ? err_prefix(err, "%s", path) : 0;
}

static int run(struct arguments *args, struct err *err)
{
	char path[4096];
	size_t n;
	int go = options_parse(&cmd_status, NULL, args, err);
	if (go <= 0)
		return go;
	if (options_expect(&cmd_status, args, 1, 1, err))
		return -1;
	int length = snprintf(path, sizeof path, "%s/status.json", args->argv[0]);
	char *text = length > 0 && (size_t)length < sizeof path ? file_read(path, MAX_STATUS, &n, err) : NULL;
	if (!text)
		return err->code == ERR_NOINPUT || (size_t)length >= sizeof path
			? err_set(err, ERR_NOINPUT, "no run in '%s': there is no status.json", args->argv[0]) : -1;
	int rc = show(path, args->argv[0], text, n, args->json, err);
	free(text);
	return rc;
}

const struct command cmd_status = {"status", "show where a run stands and what it has spent", "RUN", run, NEEDS_JSON};
