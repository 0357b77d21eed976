// SPDX-License-Identifier: Apache-2.0
/*
 * Synthetic training rows, and the demonstrations they were made after.
 *
 * The file may be large, so no more than one row is kept parsed: a first walk
 * counts the synthetic rows, a second copies the few that are shown, a third
 * the rows that these name as demonstrations.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/ifd.h"
#include "src/pipeline/report_parts.h"

struct walk {
	struct report *report;
	size_t at; /* synthetic rows met so far */
	struct ifd_id wanted[REPORT_EXAMPLES][REPORT_DEMONSTRATIONS];
};

typedef int row_visitor(struct walk *walk, struct json_value row, struct err *err);

/* ---- values ---------------------------------------------------------------------------------------- */

static int get_text(struct report *report, struct json_value value, const char **out, struct err *err)
{
	const char *text;
	size_t n; /* a NUL ends it */
	if (json_opt_string(value, NULL, &text, &n, err))
		return -1;
	*out = text ? arena_strdup(&report->arena, text, err) : NULL;
	return text && !*out ? -1 : 0;
}

/* The id, its text borrowed from the row. */
static int get_id(struct json_value value, struct ifd_id *id, struct err *err)
{
	*id = (struct ifd_id){.is_number = json_kind(value) == JSON_INTEGER};
	return id->is_number ? json_get_int64(value, &id->number, err) : json_get_string(value, &id->text, NULL, err);
}

static const char *id_text(struct report *report, const struct ifd_id *id, struct err *err)
{
	char number[32];
	snprintf(number, sizeof number, "%lld", (long long)id->number);
	return arena_strdup(&report->arena, id->is_number ? number : id->text, err);
}

static int copy_row(struct report *report, struct json_value row, struct report_text *to, struct err *err)
{
	struct ifd_id id;
	if (get_id(json_in(row, "id"), &id, err) || !(to->id = id_text(report, &id, err)))
		return -1;
	return get_text(report, json_in(row, "domain"), &to->domain, err) ||
			       get_text(report, json_in(row, "label"), &to->label, err) ||
			       get_text(report, json_in(row, "input"), &to->input, err) ||
			       get_text(report, json_in(row, "rationale"), &to->rationale, err)
		       ? -1
		       : 0;
}

static int is_synthetic(struct json_value row, bool *synthetic, struct err *err)
{
	const char *origin;
	if (json_get_string(json_in(row, "origin"), &origin, NULL, err))
		return -1;
	*synthetic = !strcmp(origin, "synthetic");
	return 0;
}

/* ---- walks ------------------------------------------------------------------------------------------ */

static int count_row(struct walk *walk, struct json_value row, struct err *err)
{
	bool synthetic;
	if (is_synthetic(row, &synthetic, err))
		return -1;
	walk->report->synthetic += synthetic;
	return 0;
}

/* The first, the last and those at equal distances between them. */
static bool is_shown(const struct report *report, size_t at)
{
	size_t n = report->synthetic, e = report->examples;
	return e < REPORT_EXAMPLES && (n <= REPORT_EXAMPLES || at == e * (n - 1) / (REPORT_EXAMPLES - 1));
}

static int show_row(struct walk *walk, struct json_value row, struct err *err)
{
	struct report *report = walk->report;
	bool synthetic;
	if (is_synthetic(row, &synthetic, err))
		return -1;
	if (!synthetic || !is_shown(report, walk->at++))
		return 0;
	struct report_example *example = &report->example[report->examples];
	struct json_value list = json_in(row, "demonstrations");
	if (copy_row(report, row, &example->made, err) ||
	    (json_is_there(list) && json_get_length(list, &example->n, err)))
		return -1;
	example->n = example->n < REPORT_DEMONSTRATIONS ? example->n : REPORT_DEMONSTRATIONS;
	for (size_t i = 0; i < example->n; i++) {
		struct ifd_id *id = &walk->wanted[report->examples][i];
		if (get_id(json_at(list, i), id, err) || !(example->shown[i].id = id_text(report, id, err)))
			return -1;
		id->text = id->is_number ? NULL : example->shown[i].id;
	}
	report->examples++;
	return 0;
}

static int find_demonstration(struct walk *walk, struct json_value row, struct err *err)
{
	struct ifd_id id;
	if (get_id(json_in(row, "id"), &id, err))
		return -1;
	for (size_t e = 0; e < walk->report->examples; e++)
		for (size_t i = 0; i < walk->report->example[e].n; i++) {
			struct report_text *shown = &walk->report->example[e].shown[i];
			if (!shown->input && !ifd_id_compare(&walk->wanted[e][i], &id) &&
			    copy_row(walk->report, row, shown, err))
				return -1;
		}
	return 0;
}

static int visit(struct walk *walk, const char *line, size_t n, row_visitor *visitor, struct err *err)
{
	struct json *doc = json_parse(line, n, NULL, err);
	int rc = doc ? visitor(walk, json_root(doc), err) : -1;
	json_free(doc);
	return rc;
}

static int each_row(struct walk *walk, const char *text, size_t n, const char *name, row_visitor *visitor,
		    struct err *err)
{
	size_t number = 1;
	for (const char *line = text, *stop = text + n, *end; line < stop; line = end + 1, number++) {
		end = memchr(line, '\n', (size_t)(stop - line));
		end = end ? end : stop;
		if (end > line && visit(walk, line, (size_t)(end - line), visitor, err))
			return err_prefix(err, "%s/%s:%zu", walk->report->directory, name, number);
	}
	return 0;
}

int report_read_rows(struct report *report, size_t k, bool *there, struct err *err)
{
	static row_visitor *const visitors[] = {count_row, show_row, find_demonstration};
	struct walk walk = {.report = report};
	char name[64];
	size_t n;
	int rc;
	snprintf(name, sizeof name, "stage-%zu/train.jsonl", k);
	char *text = report_file(report, name, &n, &rc, err);
	*there = text;
	for (size_t i = 0; text && !rc && i < sizeof visitors / sizeof *visitors; i++)
		rc = each_row(&walk, text, n, name, visitors[i], err);
	free(text);
	return rc;
}
