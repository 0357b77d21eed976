// SPDX-License-Identifier: Apache-2.0
#include "src/base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/grown.h"

char *tree_join(const char *a, const char *b, struct err *err)
{
	return grown_format(err, "%s/%s", a, b);
}

/* A new name is on disk only once its directory is; what is then put inside, paid answers say, may be synced before. */
static int sync_parent(const char *path, struct err *err)
{
	char *parent = tree_join(path, "..", err);
	int rc = !parent ? -1 : access(parent, R_OK) ? 0 : file_sync_dir(parent, err); /* what cannot be read cannot be synced */
	free(parent);
	return rc;
}

int tree_make(const char *path, unsigned mode, struct err *err)
{
	struct stat info;
	if (!mkdir(path, (mode_t)mode))
		return sync_parent(path, err);
	if (errno != EEXIST)
		return err_set_errno(err, ERR_CANTCREATE, "cannot create '%s'", path);
	if (stat(path, &info))
		return err_set_errno(err, ERR_IO, "cannot look at '%s'", path);
	return S_ISDIR(info.st_mode) ? 0 : err_set(err, ERR_CANTCREATE, "'%s' is no directory", path);
}

static int kind_of(enum tree_kind *kind, const char *path, int failed, const struct stat *info, struct err *err)
{
	*kind = failed ? TREE_NOTHING : S_ISDIR(info->st_mode) ? TREE_DIRECTORY : TREE_FILE;
	if (!failed || errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return 0;
	return err_set_errno(err, errno == EACCES ? ERR_NOPERM : ERR_IO, "cannot look at '%s'", path);
}

int tree_look(const char *path, enum tree_kind *kind, struct err *err)
{
	struct stat info;
	int failed = lstat(path, &info);
	return kind_of(kind, path, failed, &info, err);
}

int tree_find(const char *path, enum tree_kind *kind, struct err *err)
{
	struct stat info;
	int failed = stat(path, &info);
	return kind_of(kind, path, failed, &info, err);
}

/* ---- entries in byte order, so that whatever is done to them is done in one order ------------------------- */

static int not_dot(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

typedef int visit_entry(void *context, const char *path, const char *name, struct err *err);

/* Every entry of a directory, each as "PATH/NAME". */
static int each(const char *path, visit_entry *visit, void *context, struct err *err)
{
	struct dirent **entry;
	int n = scandir(path, &entry, not_dot, by_bytes), rc = 0;
	if (n < 0)
		return err_set_errno(err, ERR_IO, "cannot list '%s'", path);
	for (int i = 0; i < n; i++) {
		char *inside = rc ? NULL : tree_join(path, entry[i]->d_name, err);
		if (!rc)
			rc = inside ? visit(context, inside, entry[i]->d_name, err) : -1;
		free(inside);
		free(entry[i]);
	}
	free(entry);
	return rc;
}

static int is_directory(const char *path, bool *yes, struct err *err)
{
	struct stat info;
	if (lstat(path, &info))
		return err_set_errno(err, ERR_IO, "cannot look at '%s'", path);
	*yes = S_ISDIR(info.st_mode);
	return 0;
}

/* ---- listing ------------------------------------------------------------------------------------------------- */

struct listing {
	const char **name;
	size_t n, room;
	const char *prefix; /* "" or "adapter/" */
	struct arena *arena;
};

static int list_entry(void *context, const char *path, const char *name, struct err *err)
{
	struct listing *list = context, inner = *list;
	bool directory = false;
	if (is_directory(path, &directory, err))
		return -1;
	char *full = grown_format(err, "%s%s%s", list->prefix, name, directory ? "/" : "");
	char *kept = full ? arena_strdup(list->arena, full, err) : NULL;
	free(full);
	if (!kept)
		return -1;
	if (directory) {
		inner.prefix = kept;
		int rc = each(path, list_entry, &inner, err);
		inner.prefix = list->prefix;
		*list = inner;
		return rc;
	}
	if (mem_grow(&list->name, &list->room, list->n + 1, sizeof *list->name, err))
		return -1;
	list->name[list->n++] = kept;
	return 0;
}

int tree_list(const char ***names, size_t *n, const char *path, struct arena *arena, struct err *err)
{
	struct listing list = {.prefix = "", .arena = arena};
	int rc = each(path, list_entry, &list, err);
	const char **kept = rc ? NULL : arena_array(arena, list.n, sizeof *kept, err);
	if (kept && list.n)
		memcpy(kept, list.name, list.n * sizeof *kept);
	free(list.name);
	*names = kept;
	*n = list.n;
	return kept ? 0 : -1;
}

/* ---- syncing ------------------------------------------------------------------------------------------------- */

static int sync_one(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fsync(fd)) {
		err_set_errno(err, ERR_IO, "cannot sync '%s'", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static int sync_entry(void *context, const char *path, const char *name, struct err *err)
{
	(void)context;
	(void)name;
	return tree_sync(path, err);
}

int tree_sync(const char *path, struct err *err)
{
	bool directory;
	if (is_directory(path, &directory, err) || (directory && each(path, sync_entry, NULL, err)))
		return -1;
	return sync_one(path, err);
}

/* ---- copying ------------------------------------------------------------------------------------------------- */

enum { PIECE = 1 << 20 };

static int copy_pieces(struct file_writer *writer, int fd, const char *from, struct err *err)
{
	char *piece = mem_array(PIECE, 1, err);
	ssize_t n = piece ? 1 : -1;
	while (n > 0) {
		n = file_read_some(fd, piece, PIECE, from, err);
		if (n > 0 && file_writer_write(writer, piece, (size_t)n, err))
			n = -1;
	}
	free(piece);
	return n < 0 ? -1 : 0;
}

static int copy_file(const char *to, const char *from, struct err *err)
{
	struct file_writer writer;
	int fd = file_open(from, NULL, err);
	if (fd < 0)
		return -1;
	int rc = file_writer_open(&writer, to, 0666, err);
	if (!rc) {
		rc = copy_pieces(&writer, fd, from, err);
		if (rc)
			file_writer_abort(&writer);
		else
			rc = file_writer_commit(&writer, err);
	}
	close(fd);
	return rc;
}

static int copy_entry(void *context, const char *path, const char *name, struct err *err)
{
	char *to = tree_join(context, name, err);
	int rc = to ? tree_copy(to, path, err) : -1;
	free(to);
	return rc;
}

int tree_copy(const char *to, const char *from, struct err *err)
{
	bool directory;
	if (is_directory(from, &directory, err))
		return -1;
	if (!directory)
		return copy_file(to, from, err);
	return tree_make(to, 0777, err) || each(from, copy_entry, (void *)to, err) ? -1 : 0;
}

/* ---- removing ------------------------------------------------------------------------------------------------ */

static int remove_entry(void *context, const char *path, const char *name, struct err *err)
{
	(void)context;
	(void)name;
	return tree_remove(path, err);
}

int tree_remove(const char *path, struct err *err)
{
	struct stat info;
	if (lstat(path, &info))
		return errno == ENOENT ? 0 : err_set_errno(err, ERR_IO, "cannot look at '%s'", path);
	if (S_ISDIR(info.st_mode) && each(path, remove_entry, NULL, err))
		return -1;
	if (remove(path) && errno != ENOENT)
		return err_set_errno(err, ERR_IO, "cannot remove '%s'", path);
	return 0;
}

/* ---- files aside --------------------------------------------------------------------------------------------- */

/* The dot before the digits that end at `end`; NULL where no such thing ends there. */
static const char *dot_before(const char *name, const char *end)
{
	const char *at = end;
	while (at > name && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return at < end && at > name && at[-1] == '.' ? at - 1 : NULL;
}

/* The process that ".NAME.PID.COUNTER.tmp" was of; 0: a name of another kind. */
static pid_t aside_owner(const char *name)
{
	size_t n = strlen(name);
	if (*name != '.' || n < 4 || strcmp(name + n - 4, ".tmp"))
		return 0;
	const char *counter = dot_before(name, name + n - 4), *pid = counter ? dot_before(name, counter) : NULL;
	long owner = pid && pid > name ? strtol(pid + 1, NULL, 10) : 0;
	return owner <= INT_MAX ? (pid_t)owner : 0;
}

/* One with this process's own number is of an earlier one: in a container they all have it. */
static bool is_dead(pid_t process)
{
	return process == getpid() || (kill(process, 0) && errno == ESRCH);
}

/* What this user may not remove is another's, and stays. */
static int remove_dead(void *context, const char *path, const char *name, struct err *err)
{
	const pid_t owner = aside_owner(name);
	(void)context;
	(void)err;
	if (owner && is_dead(owner))
		unlink(path);
	return 0;
}

static int remove_any(void *context, const char *path, const char *name, struct err *err)
{
	bool directory;
	(void)context;
	if (is_directory(path, &directory, err))
		return -1;
	if (directory)
		return tree_remove_asides(path, true, err);
	return aside_owner(name) ? tree_remove(path, err) : 0;
}

int tree_remove_asides(const char *path, bool alone, struct err *err)
{
	return each(path, alone ? remove_any : remove_dead, NULL, err);
}
