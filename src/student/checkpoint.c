// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* renameat2, asprintf */
#include "src/student/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/jsonio.h"
#include "src/base/mem.h"
#include "src/base/tree.h"
#include "src/model/directory.h"
#include "src/student/train.h"

/* In the order they are written; the manifest holds the digests of those before it. */
static const char values_name[] = "values.safetensors", moments_name[] = "moments.safetensors",
		  state_name[] = "state.json", manifest_name[] = "manifest.json";
static const char *const listed[] = {values_name, moments_name, state_name};
enum { LISTED = 3, KEEP = 2, MAX_JSON = 4096 };

/* ---- names ------------------------------------------------------------------------ */

/* "DIRECTORY/checkpoint-STEP" + suffix, then "/" and `file` where it is given; released with free(). */
static char *path_of(const char *directory, int64_t step, const char *suffix, const char *file, struct err *err)
{
	char *path = NULL;
	if (asprintf(&path, "%s/checkpoint-%lld%s%s%s", directory, (long long)step, suffix, file ? "/" : "",
		     file ? file : "") >= 0)
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

/* ---- room on the disk ---------------------------------------------------------------- */

/* Bytes of a checkpoint: values and both averages in f32, their names and shapes, a part of a block for each file. */
static uint64_t bytes_of(const struct parameters *params, uint64_t block)
{
	return 12 * (uint64_t)params->total + (PARAMETER_NAME + 64) * (uint64_t)params->n + (LISTED + 2) * block;
}

/* Room for two, so that the log and the result find some, too. A file system that tells no size is taken at that. */
static int check_room(const struct checkpoint_place *place, const struct parameters *params, struct err *err)
{
	struct statvfs disk;
	if (statvfs(place->directory, &disk))
		return err_set_errno(err, ERR_IO, "cannot examine the disk of '%s'", place->directory);
	uint64_t need = 2 * bytes_of(params, disk.f_frsize), room = (uint64_t)disk.f_bavail * disk.f_frsize;
	if (room >= need || !disk.f_blocks)
		return 0;
	return err_set(err, ERR_IO,
		       "the disk of '%s' has %llu bytes free, saving a checkpoint needs %llu (twice its size); "
		       "make room there and give the same command again",
		       place->directory, (unsigned long long)room, (unsigned long long)need);
}

/* ---- saving ------------------------------------------------------------------------ */

static int save_json(struct json_writer *w, const char *path, struct err *err)
{
	size_t n;
	const char *text = json_writer_text(w, &n, err);
	int rc = text ? file_save(path, text, n, 0600, err) : -1;
	json_writer_release(w);
	return rc;
}

static int save_state(const struct checkpoint_place *place, int64_t step, const char *path, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	json_put_key(&w, "step");
	json_put_int(&w, step);
	json_put_key(&w, "configuration");
	json_put_string(&w, place->configuration, strlen(place->configuration));
	json_end_object(&w);
	return save_json(&w, path, err);
}

/* Digest of DIRECTORY/NAME as text. */
static int digest_of(const char *directory, const char *name, char hex[HASH_HEX_ROOM], struct err *err)
{
	unsigned char digest[HASH_SIZE];
	char *path = tree_join(directory, name, err);
	int rc = path ? hash_file(digest, path, err) : -1;
	free(path);
	if (!rc)
		hash_hex(hex, digest);
	return rc;
}

static int save_manifest(const char *directory, const char *path, struct err *err)
{
	struct json_writer w;
	char hex[HASH_HEX_ROOM];
	json_writer_init(&w, 0);
	json_begin_object(&w);
	for (int i = 0; i < LISTED; i++) {
		if (digest_of(directory, listed[i], hex, err)) {
			json_writer_release(&w);
			return -1;
		}
		json_put_key(&w, listed[i]);
		json_put_string(&w, hex, strlen(hex));
	}
	json_end_object(&w);
	return save_json(&w, path, err);
}

/* All files of an unfinished checkpoint, each synced by its writer. */
static int save_files(const struct checkpoint_place *place, const struct parameters *params, int64_t step,
		      const char *directory, struct err *err)
{
	char *path[LISTED + 1] = {0};
	int rc = 0;
	for (int i = 0; !rc && i <= LISTED; i++) {
		path[i] = tree_join(directory, i < LISTED ? listed[i] : manifest_name, err);
		rc = path[i] ? 0 : -1;
	}
	if (!rc)
		rc = parameters_save(params, PARAMETER_VALUES, path[0], err) ||
				     parameters_save(params, PARAMETER_MOMENTS, path[1], err) ||
				     save_state(place, step, path[2], err) || save_manifest(directory, path[3], err) ||
				     file_sync_dir(directory, err)
			     ? -1 : 0;
	for (int i = 0; i <= LISTED; i++)
		free(path[i]);
	return rc;
}

/* Steps of the whole checkpoints, newest first; released with free(). */
static int64_t *list_steps(const char *directory, size_t *n, struct err *err)
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

static int remove_older(const char *directory, struct err *err)
{
	size_t n;
	int64_t *steps = list_steps(directory, &n, err);
	int rc = steps ? 0 : -1;
	for (size_t i = KEEP; !rc && i < n; i++) {
		char *path = path_of(directory, steps[i], "", NULL, err);
		rc = path ? tree_remove(path, err) : -1;
		free(path);
	}
	free(steps);
	return rc;
}

/* What failed leaves nothing behind: it may be the disk that is full. */
static int save_aside(const struct checkpoint_place *place, const struct parameters *params, int64_t step,
		      const char *aside, struct err *err)
{
	struct err second;
	if (mkdir(aside, 0700))
		return err_set_errno(err, ERR_CANTCREATE, "cannot create '%s'", aside);
	if (!save_files(place, params, step, aside, err))
		return 0;
	tree_remove(aside, &second);
	return -1;
}

int checkpoint_save(const struct checkpoint_place *place, const struct parameters *params, int64_t step,
		    struct err *err)
{
	char *aside = path_of(place->directory, step, ".tmp", NULL, err);
	char *final = path_of(place->directory, step, "", NULL, err);
	int rc = !aside || !final || tree_remove(aside, err) || tree_remove(final, err) ||
				 check_room(place, params, err) || save_aside(place, params, step, aside, err)
			 ? -1 : 0;
	if (!rc && renameat2(AT_FDCWD, aside, AT_FDCWD, final, RENAME_NOREPLACE))
		rc = err_set_errno(err, ERR_IO, "cannot rename '%s'", aside);
	free(aside);
	free(final);
	return rc || file_sync_dir(place->directory, err) || remove_older(place->directory, err) ? -1 : 0;
}

/* ---- loading -------------------------------------------------------------------------- */

static struct json *load_json(const char *directory, const char *name, struct err *err)
{
	size_t n;
	char *text = directory_read(directory, name, MAX_JSON, &n, err);
	struct json *doc = text ? json_parse(text, n, NULL, err) : NULL;
	free(text);
	return doc;
}

/* Does every file have the digest that the manifest tells? */
static int verify(const char *directory, struct err *err)
{
	struct json *doc = load_json(directory, manifest_name, err);
	int rc = doc ? 0 : -1;
	for (int i = 0; !rc && i < LISTED; i++) {
		const char *wanted;
		char hex[HASH_HEX_ROOM];
		rc = json_get_string(json_in(json_root(doc), listed[i]), &wanted, NULL, err) ||
		     digest_of(directory, listed[i], hex, err) ? -1 : 0;
		if (!rc && strcmp(wanted, hex))
			rc = err_set(err, ERR_DATA, "%s/%s differs from its manifest", directory, listed[i]);
	}
	json_free(doc);
	return rc;
}

static int check_state(const struct checkpoint_place *place, const char *directory, int64_t step, struct err *err)
{
	int64_t found = -1;
	const char *configuration;
	struct json *doc = load_json(directory, state_name, err);
	int rc = !doc || json_get_int64(json_in(json_root(doc), "step"), &found, err) ||
				 json_get_string(json_in(json_root(doc), "configuration"), &configuration, NULL, err)
			 ? -1 : 0;
	if (!rc && found != step)
		rc = err_set(err, ERR_DATA, "%s is of step %lld", directory, (long long)found);
	else if (!rc && strcmp(configuration, place->configuration))
		rc = err_set(err, ERR_CANTCREATE,
			     "%s is of another training (other options, rows, model or backend); remove it or choose another directory",
			     directory);
	json_free(doc);
	return rc;
}

static int load_values(const char *directory, struct parameters *params, struct err *err)
{
	char *values = tree_join(directory, values_name, err);
	char *moments = tree_join(directory, moments_name, err);
	int rc = !values || !moments || parameters_load(params, PARAMETER_VALUES, values, err) ||
				 parameters_load(params, PARAMETER_MOMENTS, moments, err)
			 ? -1 : 0;
	free(values);
	free(moments);
	return rc;
}

/* 1: loaded; 0: not whole, `passed` says why; -1: failure. */
static int try_one(const struct checkpoint_place *place, struct parameters *params, int64_t step, char *passed,
		   struct err *err)
{
	struct err why = {0};
	char *directory = path_of(place->directory, step, "", NULL, err);
	if (!directory)
		return -1;
	int rc = 1;
	if (verify(directory, &why)) {
		snprintf(passed, 256, "%.255s", why.message);
		rc = why.code == ERR_MEMORY ? err_set(err, ERR_MEMORY, "%s", why.message) : 0;
	} else if (check_state(place, directory, step, err) || load_values(directory, params, err)) {
		rc = -1;
	}
	free(directory);
	return rc;
}

int checkpoint_load(const struct checkpoint_place *place, struct parameters *params, int64_t *step, char *passed,
		    struct err *err)
{
	size_t n;
	int64_t *steps = list_steps(place->directory, &n, err);
	int rc = steps ? 0 : -1;
	*step = 0;
	passed[0] = '\0';
	for (size_t i = 0; !rc && i < n; i++) {
		rc = try_one(place, params, steps[i], passed, err);
		if (rc > 0)
			*step = steps[i];
	}
	free(steps);
	return rc < 0 ? -1 : 0;
}

bool checkpoint_any(const char *directory)
{
	size_t n = 0;
	int64_t *steps = list_steps(directory, &n, NULL);
	free(steps);
	return n > 0;
}

static int remove_those(const char *directory, bool unfinished_only, struct err *err)
{
	DIR *dir = opendir(directory);
	int rc = dir ? 0 : err_set_errno(err, ERR_IO, "cannot list '%s'", directory);
	for (struct dirent *entry; !rc && (entry = readdir(dir));) {
		bool whole;
		int64_t step = step_of(entry->d_name, &whole);
		if (step < 0 || (whole && unfinished_only))
			continue;
		char *path = path_of(directory, step, whole ? "" : ".tmp", NULL, err);
		rc = path ? tree_remove(path, err) : -1;
		free(path);
	}
	if (dir)
		closedir(dir);
	return rc ? -1 : file_sync_dir(directory, err);
}

int checkpoint_begin(const struct checkpoint_place *place, const struct parameters *params, struct err *err)
{
	return remove_those(place->directory, true, err) || check_room(place, params, err) ? -1 : 0;
}

int checkpoint_remove_all(const char *directory, struct err *err)
{
	return remove_those(directory, false, err);
}
