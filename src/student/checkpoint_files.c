// SPDX-License-Identifier: Apache-2.0
#include "src/student/checkpoint_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/grown.h"
#include "src/base/mem.h"
#include "src/base/tree.h"
#include "src/model/directory.h"

enum { KEEP = 2 };

const char *const checkpoint_listed[] = {[CHECKPOINT_VALUES] = "values.safetensors",
					 [CHECKPOINT_MOMENTS] = "moments.safetensors",
					 [CHECKPOINT_STATE] = "state.json"};
const char checkpoint_manifest[] = "manifest.json";

/* ---- names ------------------------------------------------------------------------ */

char *checkpoint_path(const char *directory, int64_t step, bool unfinished, struct err *err)
{
	return grown_format(err, "%s/checkpoint-%lld%s", directory, (long long)step, unfinished ? ".tmp" : "");
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

/* Other programs name theirs so, too, but no file in them; a damaged one of ours may lack some. */
static int look(bool *ours, const char *directory, const char *name, struct err *err)
{
	char *path = tree_join(directory, name, err);
	int rc = path ? directory_has(ours, path, checkpoint_manifest, err) : -1;
	for (int i = 0; !rc && !*ours && i < CHECKPOINT_LISTED; i++)
		rc = directory_has(ours, path, checkpoint_listed[i], err);
	free(path);
	return rc;
}

/* Into descending order. */
static int add_step(int64_t **steps, size_t *room, size_t *n, int64_t step, struct err *err)
{
	if (mem_grow(steps, room, *n + 1, sizeof **steps, err))
		return -1;
	size_t i = (*n)++;
	for (; i && (*steps)[i - 1] < step; i--)
		(*steps)[i] = (*steps)[i - 1];
	(*steps)[i] = step;
	return 0;
}

int64_t *checkpoint_steps(const char *directory, size_t *n, struct err *err)
{
	DIR *dir = opendir(directory);
	int64_t *steps = mem_array(1, sizeof *steps, err);
	size_t room = 1;
	int rc = steps ? 0 : -1;
	*n = 0;
	if (!dir)
		rc = err_set_errno(err, ERR_IO, "cannot list '%s'", directory);
	for (struct dirent *entry; !rc && (entry = readdir(dir));) {
		bool whole, ours = false;
		int64_t step = step_of(entry->d_name, &whole);
		if (step >= 0 && whole)
			rc = look(&ours, directory, entry->d_name, err);
		if (!rc && ours)
			rc = add_step(&steps, &room, n, step, err);
	}
	if (dir)
		closedir(dir);
	if (!rc)
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

int checkpoint_remove_step(const char *directory, int64_t step, bool whole, struct err *err)
{
	char *path = checkpoint_path(directory, step, false, err), *aside = checkpoint_path(directory, step, true, err);
	int rc = !path || !aside || tree_remove(aside, err) ? -1 : 0;
	if (!rc && whole && rename(path, aside) && errno != ENOENT)
		rc = err_set_errno(err, ERR_IO, "cannot rename '%s'", path);
	if (!rc && whole)
		rc = tree_remove(aside, err);
	free(path);
	free(aside);
	return rc;
}

int checkpoint_remove_older(const char *directory, struct err *err)
{
	size_t n;
	int64_t *steps = checkpoint_steps(directory, &n, err);
	int rc = steps ? 0 : -1;
	for (size_t i = KEEP; !rc && i < n; i++)
		rc = checkpoint_remove_step(directory, steps[i], true, err);
	free(steps);
	return rc;
}

int checkpoint_remove(const char *directory, bool unfinished_only, struct err *err)
{
	DIR *dir = opendir(directory);
	int rc = dir ? 0 : err_set_errno(err, ERR_IO, "cannot list '%s'", directory);
	for (struct dirent *entry; !rc && (entry = readdir(dir));) {
		bool whole, ours = true;
		int64_t step = step_of(entry->d_name, &whole);
		if (step >= 0 && whole)
			rc = look(&ours, directory, entry->d_name, err);
		if (!rc && !ours)
			rc = err_set(err, ERR_CANTCREATE, "'%s/%s' is no checkpoint of this program; remove it or choose another directory",
				     directory, entry->d_name);
		if (!rc && step >= 0 && !(whole && unfinished_only))
			rc = checkpoint_remove_step(directory, step, whole, err);
	}
	if (dir)
		closedir(dir);
	return rc ? -1 : file_sync_dir(directory, err);
}
