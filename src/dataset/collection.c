// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* versionsort */
#include "src/dataset/collection.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/grown.h"
#include "src/base/text.h"
#include "src/dataset/collection_parts.h"
#include "src/dataset/rows.h"

static const char ending[] = ".jsonl";

/* One side of the collection as it is being read. */
struct side {
	struct examples *to;
	enum answer_type type;
	const char *directory, *name; /* of the collection; "train" or "test" */
};

/* Length of a file's name without its ending. */
static size_t stem(const char *file)
{
	size_t n = strlen(file), e = sizeof ending - 1;
	return n > e && !strcmp(file + n - e, ending) ? n - e : n;
}

/* ---- one file ------------------------------------------------------------------------------------ */

static int add_row(const struct side *side, const struct row *row, const struct layout *layout, const char *domain,
		   const char *file, struct err *err)
{
	struct example example = {.line = row->line};
	struct arena arena;
	arena_init(&arena);
	char *id = grown_format(err, "%s/%.*s/%zu", side->name, (int)stem(file), file, row->line);
	example.id.text = id;
	int rc = !id || layout_read(&example, layout, json_root(row->doc), &arena, err) ||
				 examples_add(side->to, &example, domain, err)
			 ? -1 : 0;
	free(id);
	arena_release(&arena);
	return rc;
}

static int add_rows(const struct side *side, const struct rows *rows, const char *domain, const char *file,
		    struct err *err)
{
	if (!rows->n)
		return err_set(err, ERR_DATA, "%s: no row", rows->path);
	const struct layout *layout = layout_of(json_root(rows->row[0].doc), side->type, err);
	if (!layout)
		return row_refuse(rows, 0, err);
	for (size_t i = 0; i < rows->n; i++)
		if (add_row(side, &rows->row[i], layout, domain, file, err))
			return row_refuse(rows, i, err);
	return 0;
}

static int read_file(const struct side *side, const char *domain, const char *file, struct err *err)
{
	struct rows rows;
	char *path = grown_format(err, "%s/%s/%s", side->directory, side->name, file);
	int rc = path ? rows_load_by(&rows, path, NULL, err) : -1;
	if (!rc) {
		rc = add_rows(side, &rows, domain, file, err);
		rows_release(&rows);
	}
	free(path);
	return rc;
}

/* ---- all files of a folder ------------------------------------------------------------------------- */

static int is_rows(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && entry->d_name[stem(entry->d_name)];
}

static int read_found(const struct side *side, const char *folder, struct err *err)
{
	struct dirent **names;
	int rc = 0, n = scandir(folder, &names, is_rows, versionsort);
	if (n < 0)
		return err_set_errno(err, file_input_code(errno), "cannot list '%s'", folder);
	if (!n)
		rc = err_set(err, ERR_DATA, "%s: no file '*%s'", folder, ending);
	for (int i = 0; i < n; i++) {
		char *domain = rc ? NULL : grown_format(err, "%.*s", (int)stem(names[i]->d_name), names[i]->d_name);
		if (!rc)
			rc = domain ? read_file(side, domain, names[i]->d_name, err) : -1;
		free(domain);
		free(names[i]);
	}
	free(names);
	return rc;
}

/* ---- files by name ----------------------------------------------------------------------------------- */

/* One "DOMAIN=FILE", which is cut apart. A test side need not have the file. */
static int read_item(const struct side *side, char *item, bool may_lack, struct err *err)
{
	char shown[128], *equal = strchr(item, '=');
	if (!equal || equal == item || !equal[1])
		return err_set(err, ERR_CONFIG, "'%s' is no DOMAIN=FILE such as Race=high.jsonl",
			       text_escape(shown, sizeof shown, item, strlen(item)));
	*equal = '\0';
	char *path = grown_format(err, "%s/%s/%s", side->directory, side->name, equal + 1);
	if (!path)
		return -1;
	bool lacks = may_lack && access(path, F_OK) && errno == ENOENT;
	free(path);
	return lacks ? 0 : read_file(side, item, equal + 1, err);
}

static int read_named(const struct side *side, const char *named, bool may_lack, struct err *err)
{
	char *list = mem_strdup(named, err), *rest;
	int rc = list ? 0 : -1;
	for (char *item = list ? strtok_r(list, ",", &rest) : NULL; !rc && item; item = strtok_r(NULL, ",", &rest))
		rc = read_item(side, item, may_lack, err);
	free(list);
	return rc;
}

/* ---- both sides ---------------------------------------------------------------------------------------- */

static int read_side(const struct side *side, const char *named, bool may_lack, struct err *err)
{
	struct stat st;
	char *folder = grown_format(err, "%s/%s", side->directory, side->name);
	int rc = folder ? 0 : -1;
	bool lacks = folder && may_lack && stat(folder, &st) && errno == ENOENT;
	if (!rc && !lacks)
		rc = named ? read_named(side, named, may_lack, err) : read_found(side, folder, err);
	free(folder);
	return rc || examples_group(side->to, err) ? -1 : 0;
}

int collection_load(struct examples *pool, struct examples *test, enum answer_type type, const char *directory,
		    const char *named, struct err *err)
{
	const struct side train = {pool, type, directory, "train"}, rest = {test, type, directory, "test"};
	examples_init(pool);
	examples_init(test);
	return read_side(&train, named, false, err) || read_side(&rest, named, true, err) ? -1 : 0;
}
