// SPDX-License-Identifier: Apache-2.0
#include "src/student/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "src/base/jsonfile.h"
#include "src/base/tree.h"
#include "src/student/checkpoint_files.h"

/* ---- room on the disk ---------------------------------------------------------------- */

/* Bytes of a checkpoint: values and both averages in f32, their names and shapes, a part of a block for each file. */
static uint64_t bytes_of(const struct parameters *params, uint64_t block)
{
	return 12 * (uint64_t)params->total + (PARAMETER_NAME + 64) * (uint64_t)params->n +
	       (CHECKPOINT_LISTED + 2) * block;
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

static int save_state(const struct checkpoint_place *place, int64_t step, const char *path, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	json_member_int(&w, "step", step);
	json_member_text(&w, "configuration", place->configuration);
	json_end_object(&w);
	return json_save(&w, path, 0600, err);
}

static int save_manifest(const char *directory, const char *path, struct err *err)
{
	struct json_writer w;
	char hex[HASH_HEX_ROOM];
	json_writer_init(&w, 0);
	json_begin_object(&w);
	for (int i = 0; i < CHECKPOINT_LISTED; i++) {
		if (checkpoint_digest(directory, checkpoint_listed[i], hex, err)) {
			json_writer_release(&w);
			return -1;
		}
		json_put_key(&w, checkpoint_listed[i]);
		json_put_string(&w, hex, strlen(hex));
	}
	json_end_object(&w);
	return json_save(&w, path, 0600, err);
}

/* All files of an unfinished checkpoint, each synced by its writer. */
static int save_files(const struct checkpoint_place *place, const struct parameters *params, int64_t step,
		      const char *directory, struct err *err)
{
	char *path[CHECKPOINT_LISTED + 1] = {0};
	int rc = 0;
	for (int i = 0; !rc && i <= CHECKPOINT_LISTED; i++) {
		path[i] = tree_join(directory, i < CHECKPOINT_LISTED ? checkpoint_listed[i] : checkpoint_manifest, err);
		rc = path[i] ? 0 : -1;
	}
	if (!rc)
		rc = parameters_save(params, PARAMETER_VALUES, path[0], err) ||
				     parameters_save(params, PARAMETER_MOMENTS, path[1], err) ||
				     save_state(place, step, path[2], err) || save_manifest(directory, path[3], err) ||
				     file_sync_dir(directory, err)
			     ? -1 : 0;
	for (int i = 0; i <= CHECKPOINT_LISTED; i++)
		free(path[i]);
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
	char *aside = checkpoint_path(place->directory, step, true, err);
	char *final = checkpoint_path(place->directory, step, false, err);
	int rc = !aside || !final || checkpoint_remove_step(place->directory, step, true, err) ||
				 check_room(place, params, err) || save_aside(place, params, step, aside, err)
			 ? -1 : 0;
	if (!rc && rename(aside, final))
		rc = err_set_errno(err, ERR_IO, "cannot rename '%s'", aside);
	free(aside);
	free(final);
	return rc || file_sync_dir(place->directory, err) || checkpoint_remove_older(place->directory, err) ? -1 : 0;
}

int checkpoint_begin(const struct checkpoint_place *place, const struct parameters *params, struct err *err)
{
	return checkpoint_remove(place->directory, true, err) || check_room(place, params, err) ? -1 : 0;
}

int checkpoint_remove_all(const char *directory, struct err *err)
{
	return checkpoint_remove(directory, false, err);
}
