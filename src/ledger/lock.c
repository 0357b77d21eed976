// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* F_OFD_SETLK */

#include "src/ledger/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "src/base/file.h"

/* File systems of other machines: their locks may not reach every process that can write. */
static bool is_remote(int fd)
{
	static const long remote[] = {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
				      CODA_SUPER_MAGIC, AFS_SUPER_MAGIC, V9FS_MAGIC};
	struct statfs status;
	if (fstatfs(fd, &status))
		return false;
	for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
		if ((long)status.f_type == remote[i])
			return true;
	return false;
}

int lock_directory(const char *path, struct err *err)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(err, file_input_code(errno), "run directory '%s'", path);
	if (fstat(fd, &status))
		err_set_errno(err, ERR_IO, "run directory '%s'", path);
	else if (status.st_mode & (S_IWGRP | S_IWOTH))
		err_set(err, ERR_NOPERM, "run directory '%s' can be written by others; chmod go-w it", path);
	else if (is_remote(fd))
		err_set(err, ERR_TEMPFAIL, "run directory '%s' is on a network file system, where locks cannot be relied "
			"on; choose one on this machine", path);
	else
		return fd;
	close(fd);
	return -1;
}

int lock_take(int directory, const char *path, struct err *err)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = openat(directory, "run.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return err_set_errno(err, ERR_CANTCREATE, "cannot open '%s/run.lock'", path);
	if (!fcntl(fd, F_OFD_SETLK, &whole))
		return fd;
	if (errno == EAGAIN || errno == EACCES)
		err_set(err, ERR_TEMPFAIL, "run '%s' is held by another process; wait for it or stop it", path);
	else
		err_set_errno(err, ERR_TEMPFAIL, "'%s/run.lock' cannot be locked", path);
	close(fd);
	return -1;
}

int lock_held(const char *path)
{
	struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = directory < 0 ? -1 : openat(directory, "run.lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	int held = fd < 0 && errno == ENOENT ? 0 : -1;
	if (fd >= 0 && !fcntl(fd, F_OFD_GETLK, &whole))
		held = whole.l_type != F_UNLCK;
	if (fd >= 0)
		close(fd);
	if (directory >= 0)
		close(directory);
	return held;
}

int lock_read(int lock, char uuid[SCHEMA_UUID + 1], struct err *err)
{
	ssize_t got = pread(lock, uuid, SCHEMA_UUID, 0);
	if (got < 0)
		return err_set_errno(err, ERR_IO, "cannot read run.lock");
	uuid[got] = '\0';
	if (!schema_is_uuid(uuid))
		*uuid = '\0';
	return 0;
}

int lock_write(int lock, const char *uuid, struct err *err)
{
	if (file_put(lock, uuid, SCHEMA_UUID, 0) || fsync(lock))
		return err_set_errno(err, ERR_IO, "cannot write run.lock");
	return 0;
}
