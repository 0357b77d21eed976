// SPDX-License-Identifier: Apache-2.0
/* The files of a run directory, one after the other. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/tree.h"
#include "src/base/yamlio.h"
#include "src/pipeline/report_parts.h"

enum { MOST_BYTES = 64 << 20 };
static const size_t most_row_bytes = (size_t)64 << 30; /* of train.jsonl */

char *report_file(const struct report *report, const char *name, size_t *n, int *rc, struct err *err)
{
	struct err why = {0};
	bool rows = strlen(name) > 6 && !strcmp(name + strlen(name) - 6, ".jsonl");
	char *path = grown_format(err, "%s/%s", report->directory, name);
	char *text = path ? file_read(path, rows ? most_row_bytes : MOST_BYTES, n, &why) : NULL;
	*rc = !path || (!text && (why.code != ERR_NOINPUT || !access(path, F_OK))) ? -1 : 0;
	if (path && *rc)
		err_set(err, why.code, "%s", why.message);
	free(path);
	return text;
}

/* ---- the plan ------------------------------------------------------------------------------------- */

/* ${NAME} stands for itself here: what it was replaced by is not the report's business. */
static char *without_variables(const char *text, struct err *err)
{
	struct grown out = {0};
	for (const char *c = text; *c; c++) {
		if (c[0] == '$' && c[1] == '{')
			grown_put(&out, "$");
		grown_add(&out, c, 1);
	}
	return grown_take(&out, err);
}

/* Kinds of teacher that bill nobody: what a crash interrupts is released, and how often is not the run's result. */
static bool is_billable(const struct yaml_node *top)
{
	const struct yaml_node *teacher = yaml_find(top, "teacher");
	const struct yaml_node *kind = teacher ? yaml_find(teacher, "kind") : NULL;
	return !kind || kind->kind != YAML_SCALAR || (strcmp(kind->text, "recorded") && strcmp(kind->text, "local"));
}

static int read_names(struct report *report, const struct yaml_node *top, struct err *err)
{
	if (top->kind != YAML_MAP)
		return yaml_refuse(top, err, "this is no plan: its keys are missing");
	const struct yaml_node *method = yaml_find(top, "method");
	if (method && method->kind == YAML_MAP)
		method = yaml_find(method, "name");
	report->billable = is_billable(top);
	if (!method || method->kind != YAML_SCALAR)
		return 0;
	report->method = arena_strdup(&report->arena, method->text, err);
	return report->method ? 0 : -1;
}

static int read_plan(struct report *report, struct err *err)
{
	int rc;
	size_t n;
	report->plan = report_file(report, "plan.yaml", &n, &rc, err);
	if (!report->plan)
		return rc ? -1
			  : err_set(err, ERR_NOINPUT, "'%s' is no run directory: it has no plan.yaml",
				    report->directory);
	char *path = grown_format(err, "%s/plan.yaml", report->directory);
	char *plain = path ? without_variables(report->plan, err) : NULL;
	struct yaml *doc = plain ? yaml_parse(path, plain, strlen(plain), err) : NULL;
	rc = doc ? read_names(report, yaml_root(doc), err) : -1;
	if (rc && err && err->code == ERR_CONFIG)
		err->code = ERR_DATA;
	yaml_close(doc);
	free(plain);
	free(path);
	return rc;
}

/* ---- all files -------------------------------------------------------------------------------------- */

static int read_json(struct report *report, size_t k, const char *name, report_reader *read, struct err *err)
{
	int rc;
	size_t n;
	char *text = report_file(report, name, &n, &rc, err);
	if (!text)
		return rc;
	struct json_limits limits = json_default_limits;
	limits.max_bytes = MOST_BYTES;
	struct json *doc = json_parse(text, n, &limits, err);
	rc = doc ? read(report, k, json_root(doc), err) : -1;
	json_free(doc);
	free(text);
	return rc ? err_prefix(err, "%s/%s", report->directory, name) : 0;
}

/* How many stages have begun: they are counted from 0, each has a directory. */
static int count_stages(struct report *report, struct err *err)
{
	enum tree_kind kind = TREE_DIRECTORY;
	for (; kind == TREE_DIRECTORY; report->K++) {
		char *path = grown_format(err, "%s/stage-%zu", report->directory, report->K);
		int rc = path ? tree_find(path, &kind, err) : -1;
		free(path);
		if (rc)
			return -1;
	}
	report->K--; /* the last was not there */
	report->stages = arena_array(&report->arena, report->K + 1, sizeof *report->stages, err);
	return report->stages ? 0 : -1;
}

static int read_stage(struct report *report, size_t k, struct err *err)
{
	static const struct {
		const char *name;
		report_reader *read;
	} files[] = {{"allocation.json", report_read_allocation},
		     {"collected.json", report_read_collected},
		     {"metrics.json", report_read_stage}};
	char name[64];
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(name, sizeof name, "stage-%zu/%s", k, files[i].name);
		if (read_json(report, k, name, files[i].read, err))
			return -1;
	}
	return 0;
}

/* train.jsonl holds all stages' rows, so the last one there is enough. */
static int read_last_rows(struct report *report, struct err *err)
{
	bool there = false;
	for (size_t k = report->K; k-- > 0 && !there;)
		if (report_read_rows(report, k, &there, err))
			return -1;
	return 0;
}

static int read_all(struct report *report, struct err *err)
{
	if (read_plan(report, err) || count_stages(report, err))
		return -1;
	for (size_t k = 0; k < report->K; k++)
		if (read_stage(report, k, err))
			return -1;
	if (read_json(report, 0, "metrics.json", report_read_final, err) ||
	    read_json(report, 0, "status.json", report_read_status, err))
		return -1;
	return read_last_rows(report, err);
}

int report_read(struct report *report, const char *directory, struct err *err)
{
	*report = (struct report){.directory = directory, .cost = (double)NAN};
	arena_init(&report->arena);
	if (!read_all(report, err))
		return 0;
	report_release(report);
	return -1;
}

void report_release(struct report *report)
{
	free(report->plan);
	free(report->domain);
	free(report->cause);
	arena_release(&report->arena);
}
