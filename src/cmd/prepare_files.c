// SPDX-License-Identifier: Apache-2.0
/* prepare's output directory (prepare.h). */
#include "src/cmd/prepare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/tree.h"
#include "src/dataset/chart.h"

static int save_picture(const struct examples *examples, const char *directory, struct err *err)
{
	char *path = tree_join(directory, "domains.svg", err);
	char *picture = path ? chart_domains(examples, "Examples per domain", err) : NULL;
	int rc = picture ? file_save(path, picture, strlen(picture), 0666, err) : -1;
	free(path);
	free(picture);
	return rc;
}

static int remove_file(const char *directory, const char *name, struct err *err)
{
	char *path = tree_join(directory, name, err);
	int rc = path ? 0 : -1;
	if (path && unlink(path) && errno != ENOENT)
		rc = err_set_errno(err, ERR_CANTCREATE, "cannot remove the old '%s'", path);
	free(path);
	return rc;
}

static int start(struct file_writer *writer, const char *directory, const char *name, const struct examples *examples,
		 struct err *err)
{
	char *path = tree_join(directory, name, err);
	int rc = path && !file_writer_open(writer, path, 0666, err) ? 0 : -1;
	free(path);
	return rc || examples_write(examples, writer, err) ? -1 : 0;
}

/*
 * Whatever fails and whenever it is killed, no row of a test set stands among those to train on: both files are written
 * aside, and a test set that is replaced goes before the new rows get their name.
 */
static int save_rows(const struct prepared *p, const char *directory, struct err *err)
{
	struct file_writer train, test = {.directory = -1, .fd = -1};
	int rc = start(&train, directory, "train.jsonl", &p->pool, err) ||
				 (p->test.n && start(&test, directory, "test.jsonl", &p->test, err)) ||
				 remove_file(directory, "test.jsonl", err) || file_writer_commit(&train, err) ||
				 (p->test.n && file_writer_commit(&test, err))
			 ? -1 : 0;
	file_writer_abort(&train);
	file_writer_abort(&test);
	return rc;
}

/* Without test rows an older test set would stay beside rows that may be in it, and it may be the user's own. */
static int spare_test_set(const char *directory, struct err *err)
{
	char *path = tree_join(directory, "test.jsonl", err);
	int rc = path ? 0 : -1;
	if (path && (!access(path, F_OK) || errno != ENOENT))
		rc = err_set(err, ERR_CANTCREATE,
			     "'%s' is there, and no test set is made that could replace it; remove it, or choose another --output",
			     path);
	free(path);
	return rc;
}

int prepare_save(const struct prepared *p, const char *directory, struct err *err)
{
	if (!p->test.n && spare_test_set(directory, err))
		return -1;
	if (mkdir(directory, 0777) && errno != EEXIST)
		return err_set_errno(err, ERR_CANTCREATE, "cannot create '%s'", directory);
	return save_rows(p, directory, err) || save_picture(&p->pool, directory, err) ? -1 : 0;
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static int spare(const char *directory, const char *name, const char *input, struct err *err)
{
	char *path = tree_join(directory, name, err);
	int rc = path ? file_expect_apart(path, input, err) : -1;
	free(path);
	return rc;
}

int prepare_spare(const char *directory, const char *input, struct err *err)
{
	return spare(directory, "train.jsonl", input, err) || spare(directory, "test.jsonl", input, err) ? -1 : 0;
}
