// SPDX-License-Identifier: Apache-2.0
/*
 * broken_files.c - calls for files that fail with EIO (preload.h says when). A
 * file whose close() fails is closed all the same, as on Linux.
 */
#undef _FILE_OFFSET_BITS /* names with and without 64 are two here */
#undef _TIME_BITS
#include "tests/preload.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t __read_chk(int fd, void *to, size_t n, size_t room); /* what read is in a fortified program */

static bool breaks(void)
{
	bool no = fault();
	if (no)
		errno = EIO;
	return no;
}

/* `type name parameters`, which gives `bad` where it fails. */
#define BREAKS(type, name, parameters, arguments, bad)                                                                 \
	type name parameters                                                                                           \
	{                                                                                                              \
		static __typeof__(&name) real;                                                                         \
		if (!real)                                                                                             \
			real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                             \
		return breaks() ? bad : real arguments;                                                                \
	}

/* The mode is there or not; who does not need it passes whatever stands in its place on. */
#define BREAKS_OPEN(name, parameters, ...)                                                                             \
	int name parameters                                                                                            \
	{                                                                                                              \
		static __typeof__(&name) real;                                                                         \
		va_list list;                                                                                          \
		va_start(list, flags);                                                                                 \
		unsigned mode = va_arg(list, unsigned);                                                                \
		va_end(list);                                                                                          \
		if (!real)                                                                                             \
			real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                             \
		return breaks() ? -1 : real(__VA_ARGS__, mode);                                                        \
	}

BREAKS_OPEN(open, (const char *path, int flags, ...), path, flags)
BREAKS_OPEN(open64, (const char *path, int flags, ...), path, flags)
BREAKS_OPEN(openat, (int directory, const char *path, int flags, ...), directory, path, flags)
BREAKS_OPEN(openat64, (int directory, const char *path, int flags, ...), directory, path, flags)
BREAKS(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n), -1)
BREAKS(ssize_t, pread, (int fd, void *to, size_t n, off_t place), (fd, to, n, place), -1)
BREAKS(ssize_t, pread64, (int fd, void *to, size_t n, off64_t place), (fd, to, n, place), -1)
BREAKS(ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n), -1)
BREAKS(ssize_t, pwrite, (int fd, const void *from, size_t n, off_t place), (fd, from, n, place), -1)
BREAKS(ssize_t, pwrite64, (int fd, const void *from, size_t n, off64_t place), (fd, from, n, place), -1)
BREAKS(int, fsync, (int fd), (fd), -1)
BREAKS(int, fdatasync, (int fd), (fd), -1)
BREAKS(int, ftruncate, (int fd, off_t n), (fd, n), -1)
BREAKS(int, ftruncate64, (int fd, off64_t n), (fd, n), -1)
BREAKS(int, posix_fallocate, (int fd, off_t place, off_t n), (fd, place, n), EIO)
BREAKS(ssize_t, __read_chk, (int fd, void *to, size_t n, size_t room), (fd, to, n, room), -1)
BREAKS(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), -1)
BREAKS(int, rename, (const char *from, const char *to), (from, to), -1)
BREAKS(int, unlink, (const char *path), (path), -1)
BREAKS(int, unlinkat, (int directory, const char *path, int flags), (directory, path, flags), -1)
BREAKS(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
BREAKS(int, rmdir, (const char *path), (path), -1)
BREAKS(int, stat, (const char *path, struct stat *status), (path, status), -1)
BREAKS(int, stat64, (const char *path, struct stat64 *status), (path, status), -1)
BREAKS(int, lstat, (const char *path, struct stat *status), (path, status), -1)
BREAKS(int, fstat, (int fd, struct stat *status), (fd, status), -1)
BREAKS(int, fstat64, (int fd, struct stat64 *status), (fd, status), -1)
BREAKS(int, lstat64, (const char *path, struct stat64 *status), (path, status), -1)
BREAKS(int, fstatat, (int directory, const char *path, struct stat *status, int flags),
       (directory, path, status, flags), -1)
BREAKS(int, scandir, (const char *path, struct dirent ***list, int (*wanted)(const struct dirent *),
		      int (*order)(const struct dirent **, const struct dirent **)), (path, list, wanted, order), -1)
BREAKS(int, access, (const char *path, int mode), (path, mode), -1)
BREAKS(DIR *, opendir, (const char *path), (path), NULL)
BREAKS(void *, mmap, (void *where, size_t n, int access, int flags, int fd, off_t place),
       (where, n, access, flags, fd, place), MAP_FAILED)

int close(int fd)
{
	static __typeof__(&close) real;
	if (!real)
		real = (__typeof__(&close))dlsym(RTLD_NEXT, "close");
	bool broken = breaks();
	int rc = real(fd);
	if (broken)
		errno = EIO;
	return broken ? -1 : rc;
}
