// SPDX-License-Identifier: Apache-2.0
/*
 * checkpoint_files.h - names in a folder of checkpoints, and what lies there.
 * Private to checkpoint.c, checkpoint_load.c and checkpoint_files.c.
 */
#ifndef BALDISTILL_STUDENT_CHECKPOINT_FILES_H
#define BALDISTILL_STUDENT_CHECKPOINT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/base/hash.h"

/* A checkpoint's files in the order they are written; the manifest, written last, holds the digests of those listed. */
enum { CHECKPOINT_VALUES, CHECKPOINT_MOMENTS, CHECKPOINT_STATE, CHECKPOINT_LISTED };
extern const char *const checkpoint_listed[CHECKPOINT_LISTED];
extern const char checkpoint_manifest[];

/* "DIRECTORY/checkpoint-STEP", with ".tmp" behind it where it is unfinished; released with free(). */
char *checkpoint_path(const char *directory, int64_t step, bool unfinished, struct err *err);

/* Steps of this program's whole checkpoints, newest first; released with free(). */
int64_t *checkpoint_steps(const char *directory, size_t *n, struct err *err);

/* Digest of DIRECTORY/NAME as text. */
int checkpoint_digest(const char *directory, const char *name, char hex[HASH_HEX_ROOM], struct err *err);

/*
 * Remove the unfinished checkpoint of a step, and the whole one too; neither need be there. Killed within, it leaves an
 * unfinished one, not one that looks like another program's.
 */
int checkpoint_remove_step(const char *directory, int64_t step, bool whole, struct err *err);

/* Remove the whole checkpoints but the two newest. */
int checkpoint_remove_older(const char *directory, struct err *err);

/* Remove every unfinished checkpoint, and the whole ones too where they are not to stay; another program's is refused. */
int checkpoint_remove(const char *directory, bool unfinished_only, struct err *err);

#endif
