// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* versionsort, memmem */
#include "src/dataset/math_set.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/grown.h"
#include "src/base/jsonio.h"
#include "src/base/tree.h"
#include "src/dataset/answer_parts.h"
#include "src/dataset/rows.h"

static const size_t most_bytes = (size_t)16 << 20; /* of a problem */

/* ---- one problem ----------------------------------------------------------------------------- */

static int read_answer(char **label, const char *solution, size_t n, struct err *err)
{
	bool boxed = memmem(solution, n, "\\boxed", 6) || memmem(solution, n, "\\fbox", 5);
	struct span s = boxed ? answer_without_closing(solution, n) : (struct span){solution, 0};
	if (!s.n)
		return err_set(err, ERR_DATA, "the solution has no answer in \\boxed{...}");
	*label = mem_array(s.n + 1, 1, err);
	if (*label)
		memcpy(*label, s.text, s.n);
	return *label ? 0 : -1;
}

static int add_problem(struct examples *to, struct json_value problem, struct ifd_id id, size_t line, struct err *err)
{
	struct example row = {.id = id, .line = line};
	const char *type, *solution;
	char *label = NULL;
	size_t n;
	if (json_get_string(json_in(problem, "problem"), &row.input, NULL, err) ||
	    json_get_string(json_in(problem, "type"), &type, NULL, err) ||
	    json_get_string(json_in(problem, "solution"), &solution, &n, err) || read_answer(&label, solution, n, err))
		return -1;
	row.label = label;
	bool blank = !row.input[strspn(row.input, " \t\r\n")] || !type[strspn(type, " \t\r\n")];
	int rc = blank ? err_set(err, ERR_DATA, "the problem or its type is empty") : examples_add(to, &row, type, err);
	free(label);
	return rc;
}

/* ---- one problem a file ------------------------------------------------------------------------ */

/* The names in a folder that do not begin with a full stop, "2.json" before "10.json". */
static int list_names(struct dirent ***names, const char *path, struct err *err)
{
	int n = scandir(path, names, NULL, versionsort);
	return n < 0 ? err_set_errno(err, file_input_code(errno), "cannot list '%s'", path) : n;
}

static void free_names(struct dirent **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	if (n >= 0)
		free(names);
}

static int read_problem(struct examples *to, const char *path, const char *id, struct err *err)
{
	size_t n;
	char *text = file_read(path, most_bytes, &n, err);
	if (!text)
		return -1;
	struct json *doc = json_parse(text, n, NULL, err);
	int rc = doc ? add_problem(to, json_root(doc), (struct ifd_id){.text = id}, 0, err) : -1;
	json_free(doc);
	free(text);
	return rc ? err_prefix(err, "%s", path) : 0;
}

/* "NUMBER.json" */
static bool is_problem(const char *name)
{
	size_t digits = strspn(name, "0123456789");
	return digits && !strcmp(name + digits, ".json");
}

static int read_subject(struct examples *to, const char *path, const char *side, const char *subject, struct err *err)
{
	struct dirent **names;
	int n = list_names(&names, path, err), rc = n < 0 ? -1 : 0;
	for (int i = 0; !rc && i < n; i++) {
		if (!is_problem(names[i]->d_name))
			continue;
		int digits = (int)strcspn(names[i]->d_name, ".");
		char *file = grown_format(err, "%s/%s", path, names[i]->d_name);
		char *id = file ? grown_format(err, "%s/%s/%.*s", side, subject, digits, names[i]->d_name) : NULL;
		rc = id ? read_problem(to, file, id, err) : -1;
		free(file);
		free(id);
	}
	free_names(names, n);
	return rc;
}

static int read_folder(struct examples *to, const char *path, const char *side, struct err *err)
{
	struct dirent **names;
	int n = list_names(&names, path, err), rc = n < 0 ? -1 : 0;
	for (int i = 0; !rc && i < n; i++) {
		enum tree_kind kind;
		if (names[i]->d_name[0] == '.')
			continue;
		char *subject = grown_format(err, "%s/%s", path, names[i]->d_name);
		rc = subject ? tree_find(subject, &kind, err) : -1;
		if (!rc && kind == TREE_DIRECTORY)
			rc = read_subject(to, subject, side, names[i]->d_name, err);
		free(subject);
	}
	free_names(names, n);
	return rc;
}

/* ---- one problem a line --------------------------------------------------------------------------- */

static int read_lines(struct examples *to, const char *path, struct err *err)
{
	struct rows rows;
	int rc = 0;
	if (rows_load(&rows, path, err))
		return -1;
	for (size_t i = 0; !rc && i < rows.n; i++)
		if (add_problem(to, json_root(rows.row[i].doc), rows.row[i].id, rows.row[i].line, err))
			rc = row_refuse(&rows, i, err);
	rows_release(&rows);
	return rc;
}

static int read_side(struct examples *to, const char *directory, const char *side, struct err *err)
{
	char *folder = grown_format(err, "%s/%s", directory, side);
	char *file = folder ? grown_format(err, "%s.jsonl", folder) : NULL;
	enum tree_kind kind;
	int rc = file ? tree_find(folder, &kind, err) : -1;
	if (!rc)
		rc = kind == TREE_DIRECTORY ? read_folder(to, folder, side, err) : read_lines(to, file, err);
	if (!rc && !to->n)
		rc = err_set(err, ERR_DATA, "%s: no problem in it", folder);
	free(folder);
	free(file);
	return rc || examples_group(to, err) ? -1 : 0;
}

int math_set_load(struct examples *pool, struct examples *test, const char *directory, struct err *err)
{
	examples_init(pool);
	examples_init(test);
	return read_side(pool, directory, "train", err) || read_side(test, directory, "test", err) ? -1 : 0;
}
