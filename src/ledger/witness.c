// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* F_OFD_SETLK */
#include "src/ledger/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/tree.h"
#include "src/ledger/ledger.h"

enum { NUMBER_BYTES = 20 }; /* "%019d\n": one write within one sector */

static char *join(const char *first, const char *second, struct err *err)
{
	size_t room = strlen(first) + strlen(second) + 1;
	char *text = mem_array(room, 1, err);
	if (text)
		snprintf(text, room, "%s%s", first, second);
	return text;
}

static char *state_directory(struct err *err)
{
	static const struct {
		const char *variable, *below;
	} places[] = {{"BALDISTILL_STATE_DIR", ""}, {"XDG_STATE_HOME", "/baldistill"}, {"HOME", "/.local/state/baldistill"}};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		const char *value = getenv(places[i].variable);
		if (!i && value && *value && *value != '/') {
			err_set(err, ERR_CONFIG, "BALDISTILL_STATE_DIR is '%s'; it must be an absolute path", value);
			return NULL;
		}
		if (value && *value == '/')
			return join(value, places[i].below, err);
	}
	err_set(err, ERR_CONFIG, "no place to keep a witness of this run; set BALDISTILL_STATE_DIR to an absolute path");
	return NULL;
}

/* mkdir -p */
static int make_directories(char *path, struct err *err)
{
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			return err_set_errno(err, ERR_CANTCREATE, "cannot create directory '%s' for the runs' witnesses (BALDISTILL_STATE_DIR names another)", path);
		if (!slash)
			return 0;
		*slash = '/';
	}
}

static int read_number(struct witness *witness, const char *path, struct err *err)
{
	char text[NUMBER_BYTES + 1] = "", *end;
	ssize_t got = pread(witness->fd, text, NUMBER_BYTES, 0);
	if (got < 0)
		return err_set_errno(err, ERR_IO, "cannot read witness '%s'", path);
	witness->armed = strtoll(text, &end, 10);
	if (got == NUMBER_BYTES && end == text + NUMBER_BYTES - 1 && witness->armed >= 0)
		return 0;
	return err_set(err, ERR_LEDGER, "witness '%s' is damaged; compare the run with the teacher's bill, then remove it",
		       path);
}

/* A witness appears whole or not at all. */
static int create(const char *path, struct err *err)
{
	enum tree_kind kind;
	if (tree_find(path, &kind, err))
		return -1;
	return kind != TREE_NOTHING ? 0 : file_save(path, "0000000000000000000\n", NUMBER_BYTES, 0600, err);
}

/* Copies of a run have a lock each, but one witness. Where its file system has no locks, only the number is left. */
static int take(const struct witness *witness, const char *path, struct err *err)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (!fcntl(witness->fd, F_OFD_SETLK, &whole) || (errno != EAGAIN && errno != EACCES))
		return 0;
	return err_set(err, ERR_TEMPFAIL, "witness '%s' is held: a copy of this run is at work; wait for it or stop it",
		       path);
}

static int open_in(struct witness *witness, char *directory, const char *uuid, struct err *err)
{
	char name[64];
	snprintf(name, sizeof name, "/%s.witness", uuid);
	char *path = join(directory, name, err);
	int failed = path ? 0 : -1;
	failed = failed || make_directories(directory, err) || create(path, err);
	if (!failed) {
		witness->fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		failed = witness->fd < 0 ? err_set_errno(err, ERR_IO, "cannot open witness '%s'", path)
					 : take(witness, path, err) || read_number(witness, path, err);
	}
	witness->path = path;
	return failed ? -1 : 0;
}

int witness_open(struct witness *witness, const char *directory, const char *uuid, struct err *err)
{
	*witness = (struct witness){.fd = -1};
	char *place = directory ? mem_strdup(directory, err) : state_directory(err);
	int failed = place ? open_in(witness, place, uuid, err) : -1;
	free(place);
	if (failed)
		witness_close(witness);
	return failed;
}

int witness_raise(struct witness *witness, int64_t attempt, struct err *err)
{
	char text[32];
	if (attempt <= witness->armed)
		return 0;
	snprintf(text, sizeof text, "%019" PRId64 "\n", attempt);
	if (file_put(witness->fd, text, NUMBER_BYTES, 0))
		return err_set_errno(err, ERR_IO, "cannot write the run's witness");
	witness->armed = attempt;
	return 0;
}

void witness_close(struct witness *witness)
{
	if (witness->fd >= 0)
		close(witness->fd);
	free(witness->path);
	*witness = (struct witness){.fd = -1};
}
