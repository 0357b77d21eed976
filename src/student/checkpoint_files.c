// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* asprintf */
#include "src/student/checkpoint_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/tree.h"

enum { KEEP = 2 };

const char *const checkpoint_listed[] = {[CHECKPOINT_VALUES] = "values.safetensors",
					 [CHECKPOINT_MOMENTS] = "moments.safetensors",
					 [CHECKPOINT_STATE] = "state.json"};
const char checkpoint_manifest[] = "manifest.json";

/* ---- names ------------------------------------------------------------------------ */

char *checkpoint_path(const char *directory, int64_t step, bool unfinished, struct err *err)
{
	char *path = NULL;
	if (asprintf(&path, "%s/checkpoint-%lld%s", directory, (long long)step, unfinished ? ".tmp" : "") >= 0)
		return path;
	err_set(err, ERR_MEMORY, "out of memory for a path in '%s'", directory);
	return NULL;
}

/* The step that a name tells, or -1 for other names; *whole: not a ".tmp". */
static int64_t step_of(const char *name, bool *whole)
{
	static const char begin[] = "checkpoint-";
	char *end;
	if (strncmp(name, begin, sizeof begin - 1) || name[sizeof begin - 1] < '0' || name[sizeof begin - 1] > '9')
		return -1;
	errno = 0;
	long long step = strtoll(name + sizeof begin - 1, &end, 10);
	*whole = !*end;
	return errno || (*end && strcmp(end, ".tmp")) ? -1 : step;
}

int64_t *checkpoint_steps(const char *directory, size_t *n, struct err *err)
{
	DIR *dir = opendir(directory);
	int64_t *steps = mem_array(1, sizeof *steps, err);
	size_t room = 1;
	*n = 0;
	if (!dir)
		err_set_errno(err, ERR_IO, "cannot list '%s'", directory);
	for (struct dirent *entry; dir && steps && (entry = readdir(dir));) {
		bool whole;
		int64_t step = step_of(entry->d_name, &whole);
		if (step < 0 || !whole)
			continue;
		if (mem_grow(&steps, &room, *n + 1, sizeof *steps, err)) {
			free(steps);
			steps = NULL;
			break;
		}
		size_t i = (*n)++;
		for (; i && steps[i - 1] < step; i--)
			steps[i] = steps[i - 1];
		steps[i] = step;
	}
	if (dir)
		closedir(dir);
	if (dir)
		return steps;
	free(steps);
	return NULL;
}

int checkpoint_digest(const char *directory, const char *name, char hex[HASH_HEX_ROOM], struct err *err)
{
	unsigned char digest[HASH_SIZE];
	char *path = tree_join(directory, name, err);
	int rc = path ? hash_file(digest, path, err) : -1;
	free(path);
	if (!rc)
		hash_hex(hex, digest);
	return rc;
}

/* ---- removing ---------------------------------------------------------------------- */

int checkpoint_remove_older(const char *directory, struct err *err)
{
	size_t n;
	int64_t *steps = checkpoint_steps(directory, &n, err);
	int rc = steps ? 0 : -1;
	for (size_t i = KEEP; !rc && i < n; i++) {
		char *path = checkpoint_path(directory, steps[i], false, err);
		rc = path ? tree_remove(path, err) : -1;
		free(path);
	}
	free(steps);
	return rc;
}

int checkpoint_remove(const char *directory, bool unfinished_only, struct err *err)
{
	DIR *dir = opendir(directory);
	int rc = dir ? 0 : err_set_errno(err, ERR_IO, "cannot list '%s'", directory);
	for (struct dirent *entry; !rc && (entry = readdir(dir));) {
		bool whole;
		int64_t step = step_of(entry->d_name, &whole);
		if (step < 0 || (whole && unfinished_only))
			continue;
		char *path = checkpoint_path(directory, step, !whole, err);
		rc = path ? tree_remove(path, err) : -1;
		free(path);
	}
	if (dir)
		closedir(dir);
	return rc ? -1 : file_sync_dir(directory, err);
}
