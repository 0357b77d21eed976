// SPDX-License-Identifier: Apache-2.0
/* Outputs: written aside, synced, then named. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"

enum {
	ASIDE_TRIES = 1000, /* names left behind by killed processes that may be in the way */
	ASIDE_NAME = 200,   /* bytes of the final name kept in the one aside */
	ASIDE_ROOM = ASIDE_NAME + 48,
};

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int open_directory(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Open the directory that holds `path`. */
static int open_parent(const char *path, struct err *err)
{
	size_t length = (size_t)(last_name(path) - path);
	char *parent = mem_array(length + 2, 1, err);
	int fd;

	if (!parent)
		return -1;
	memcpy(parent, length ? path : ".", length ? length : 1);
	fd = open_directory(parent);
	if (fd < 0)
		err_set_errno(err, file_output_code(errno), "cannot create '%s' in '%s'", path, parent);
	free(parent);
	return fd;
}

/*
 * A device replaced by a file would be a broken system, a link replaced by a file a surprise. *mode: what of the
 * permissions asked for an older file had, too.
 */
static int check_replaceable(const struct file_writer *writer, mode_t *mode, struct err *err)
{
	struct stat status;

	if (fstatat(writer->directory, last_name(writer->path), &status, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : err_set_errno(err, file_output_code(errno), "cannot create '%s'", writer->path);
	*mode &= status.st_mode;
	if (S_ISREG(status.st_mode))
		return 0;
	return err_set(err, ERR_CANTCREATE, "cannot create '%s': it is %s; name a regular file", writer->path,
	               file_kind(status.st_mode));
}

static int create_aside(struct file_writer *writer, mode_t mode, struct err *err)
{
	static atomic_uint counter;

	writer->aside = mem_array(ASIDE_ROOM, 1, err);
	if (!writer->aside)
		return -1;
	for (int i = 0; i < ASIDE_TRIES; i++) {
		snprintf(writer->aside, ASIDE_ROOM, ".%.*s.%ld.%u.tmp", ASIDE_NAME, last_name(writer->path),
		         (long)getpid(), atomic_fetch_add(&counter, 1));
		writer->fd = openat(writer->directory, writer->aside,
		                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
		if (writer->fd >= 0 || errno != EEXIST)
			break;
	}
	if (writer->fd < 0)
		return err_set_errno(err, file_output_code(errno), "cannot create '%s'", writer->path);
	return 0;
}

/* Close and forget everything; what stands aside stays. A close has nothing to report: whole files were synced. */
static void release(struct file_writer *writer)
{
	if (writer->fd >= 0)
		close(writer->fd);
	if (writer->directory >= 0)
		close(writer->directory);
	free(writer->path);
	free(writer->aside);
	*writer = (struct file_writer){ .directory = -1, .fd = -1 };
}

int file_writer_open(struct file_writer *writer, const char *path, mode_t mode, struct err *err)
{
	*writer = (struct file_writer){ .directory = -1, .fd = -1 };
	if (!*last_name(path))
		return err_set(err, ERR_CANTCREATE, "cannot create '%s': it names no file", path);
	writer->path = mem_strdup(path, err);
	if (!writer->path)
		return -1;
	writer->directory = open_parent(path, err);
	if (writer->directory < 0 || check_replaceable(writer, &mode, err) || create_aside(writer, mode, err)) {
		release(writer);
		return -1;
	}
	return 0;
}

void file_writer_abort(struct file_writer *writer)
{
	if (writer->fd >= 0)
		unlinkat(writer->directory, writer->aside, 0);
	release(writer);
}

/* Report errno as a failure of `doing` the file, and abort. */
static int give_up(struct file_writer *writer, int code, const char *doing, struct err *err)
{
	err_set_errno(err, code, "cannot %s '%s'", doing, writer->path);
	file_writer_abort(writer);
	return -1;
}

static int refuse_released(struct err *err)
{
	return err_set(err, ERR_INTERNAL, "a file was written after it was committed or given up");
}

int file_put(int fd, const void *bytes, size_t n, off_t at)
{
	const char *next = bytes;

	while (n) {
		ssize_t put = at < 0 ? write(fd, next, n) : pwrite(fd, next, n, at);

		if (put < 0 && errno == EINTR)
			continue;
		if (!put)
			errno = ENOSPC;
		if (put <= 0)
			return -1;
		next += put;
		n -= (size_t)put;
		at += at < 0 ? 0 : put;
	}
	return 0;
}

int file_writer_write(struct file_writer *writer, const void *bytes, size_t n, struct err *err)
{
	if (writer->fd < 0)
		return refuse_released(err);
	return file_put(writer->fd, bytes, n, -1) ? give_up(writer, ERR_IO, "write", err) : 0;
}

static int sync_directory(int fd)
{
	/* EINVAL: this file system has no sync of directories, so nothing can be asked of it. */
	return fsync(fd) && errno != EINVAL ? -1 : 0;
}

int file_writer_commit(struct file_writer *writer, struct err *err)
{
	int failed = 0;

	if (writer->fd < 0)
		return refuse_released(err);
	if (fsync(writer->fd))
		return give_up(writer, ERR_IO, "sync", err);
	if (renameat(writer->directory, writer->aside, writer->directory, last_name(writer->path)))
		return give_up(writer, file_output_code(errno), "name", err);
	if (sync_directory(writer->directory))
		failed = err_set_errno(err, ERR_IO, "cannot sync the directory of '%s'", writer->path);
	release(writer);
	return failed;
}

int file_check_output(const char *path, struct err *err)
{
	struct file_writer writer;

	if (file_writer_open(&writer, path, 0600, err))
		return -1;
	file_writer_abort(&writer);
	return 0;
}

int file_expect_apart(const char *output, const char *input, struct err *err)
{
	struct stat a, b;

	if (stat(output, &a) || stat(input, &b) || a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return 0;
	return err_set(err, ERR_CANTCREATE, "'%s' is an input; name another --output", output);
}

int file_save(const char *path, const void *bytes, size_t n, mode_t mode, struct err *err)
{
	struct file_writer writer;

	if (file_writer_open(&writer, path, mode, err) || file_writer_write(&writer, bytes, n, err))
		return -1;
	return file_writer_commit(&writer, err);
}

int file_sync_dir(const char *path, struct err *err)
{
	int fd = open_directory(path);
	int failed = 0;

	if (fd < 0)
		return err_set_errno(err, ERR_IO, "cannot open directory '%s'", path);
	if (sync_directory(fd))
		failed = err_set_errno(err, ERR_IO, "cannot sync directory '%s'", path);
	close(fd);
	return failed;
}
