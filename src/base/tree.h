// SPDX-License-Identifier: Apache-2.0
/*
 * tree.h - whole directories: listed, synced, copied, removed.
 *
 * Only regular files and directories are expected inside; symbolic links are
 * removed, never followed. Failures: ERR_IO, ERR_NOPERM, ERR_CANTCREATE,
 * ERR_MEMORY.
 */
#ifndef BALDISTILL_BASE_TREE_H
#define BALDISTILL_BASE_TREE_H

#include <stdbool.h>

#include "src/base/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "A/B", released with free(). */
char *tree_join(const char *a, const char *b, struct err *err);

/*
 * A directory, made with the permission bits less the umask, its name synced, or there already; what is no directory is
 * refused.
 */
int tree_make(const char *path, unsigned mode, struct err *err);

/* What stands under a name, if anything; a link counts as itself. */
enum tree_kind { TREE_NOTHING, TREE_FILE, TREE_DIRECTORY };
int tree_look(const char *path, enum tree_kind *kind, struct err *err);
/* What a name leads to; a link that leads nowhere is nothing. Either fails where that cannot be told. */
int tree_find(const char *path, enum tree_kind *kind, struct err *err);

/* Names of all regular files below a directory, sorted, relative to it ("adapter/x.json"); owned by the arena. */
int tree_list(const char ***names, size_t *n, const char *path, struct arena *arena, struct err *err);

/* Make a file, or a directory with all below it, survive a power cut. */
int tree_sync(const char *path, struct err *err);

/* A copy of a file or a directory, synced; `to` may exist where it is a directory. */
int tree_copy(const char *to, const char *from, struct err *err);

/* Remove a file or a directory with all below it; what is not there is no failure. */
int tree_remove(const char *path, struct err *err);

/*
 * Remove the files aside (file.h) that dead processes of this machine left in a directory. alone: nobody else writes
 * there; then those below it go, too, and whichever process they are of.
 */
int tree_remove_asides(const char *path, bool alone, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
