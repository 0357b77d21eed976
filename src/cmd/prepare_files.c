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
#include "src/dataset/chart.h"
#include "src/dataset/grown.h"

static int save(const struct examples *examples, const char *directory, const char *name, struct err *err)
{
	char *path = grown_format(err, "%s/%s", directory, name);
	int rc = path ? examples_save(examples, path, err) : -1;
	free(path);
	return rc;
}

static int save_picture(const struct examples *examples, const char *directory, struct err *err)
{
	char *path = grown_format(err, "%s/domains.svg", directory);
	char *picture = path ? chart_domains(examples, "Examples per domain", err) : NULL;
	int rc = picture ? file_save(path, picture, strlen(picture), 0666, err) : -1;
	free(path);
	free(picture);
	return rc;
}

static int remove_file(const char *directory, const char *name, struct err *err)
{
	char *path = grown_format(err, "%s/%s", directory, name);
	int rc = path ? 0 : -1;
	if (path && unlink(path) && errno != ENOENT)
		rc = err_set_errno(err, ERR_CANTCREATE, "cannot remove the old '%s'", path);
	free(path);
	return rc;
}

int prepare_save(const struct prepared *p, const char *directory, struct err *err)
{
	if (mkdir(directory, 0777) && errno != EEXIST)
		return err_set_errno(err, ERR_CANTCREATE, "cannot create '%s'", directory);
	/* A failure between the two leaves no row of a test set among those to train on. */
	if (p->test.n && save(&p->test, directory, "test.jsonl", err))
		return -1;
	if (save(&p->pool, directory, "train.jsonl", err) || save_picture(&p->pool, directory, err))
		return -1;
	return p->test.n ? 0 : remove_file(directory, "test.jsonl", err);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static int spare(const char *directory, const char *name, const char *input, struct err *err)
{
	char *path = grown_format(err, "%s/%s", directory, name);
	int rc = path ? file_expect_apart(path, input, err) : -1;
	free(path);
	return rc;
}

int prepare_spare(const char *directory, const char *input, struct err *err)
{
	return spare(directory, "train.jsonl", input, err) || spare(directory, "test.jsonl", input, err) ? -1 : 0;
}
