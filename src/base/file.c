// SPDX-License-Identifier: Apache-2.0
#include "src/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/mem.h"

enum {
	READ_STEP = 64 * 1024, /* first room of a file whose size the system does not tell */
};

/* What an errno means where an input, or an output, could not be opened; err_set_errno knows more of them. */
struct codes {
	int number, input, output;
};

static const struct codes *codes_of(int number)
{
	static const struct codes codes[] = {
		{ EACCES, ERR_NOPERM, ERR_CANTCREATE }, { EPERM, ERR_NOPERM, ERR_CANTCREATE },
		{ EIO, ERR_IO, ERR_IO },
		{ 0, ERR_NOINPUT, ERR_CANTCREATE }, /* any other */
	};
	const struct codes *at = codes;

	while (at->number && at->number != number)
		at++;
	return at;
}

int file_input_code(int number)
{
	return codes_of(number)->input;
}

int file_output_code(int number)
{
	return codes_of(number)->output;
}

const char *file_kind(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISLNK(mode))
		return "a symbolic link";
	return S_ISFIFO(mode) ? "a pipe" : "a device or socket";
}

int file_open(const char *path, size_t *size, struct err *err)
{
	/* O_NONBLOCK: opening a FIFO must not wait for somebody to write into it. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat status;

	if (fd < 0)
		return err_set_errno(err, file_input_code(errno), "cannot open '%s'", path);
	if (fstat(fd, &status))
		err_set_errno(err, ERR_IO, "cannot examine '%s'", path);
	else if (!S_ISREG(status.st_mode))
		err_set(err, ERR_NOINPUT, "'%s' is %s; name a regular file", path, file_kind(status.st_mode));
	else {
		if (size)
			*size = (size_t)status.st_size;
		return fd;
	}
	close(fd);
	return -1;
}

ssize_t file_read_some(int fd, void *bytes, size_t n, const char *path, struct err *err)
{
	ssize_t got;

	do
		got = read(fd, bytes, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_set_errno(err, ERR_IO, "cannot read '%s'", path);
	return got;
}

/* Read to the end into *bytes, which grows; the size known before is a hint only, the file may be changing. */
static int read_all(int fd, char **bytes, size_t *n, size_t max, size_t hint, const char *path, struct err *err)
{
	size_t room = 0;

	for (*n = 0;;) {
		ssize_t got;

		if (*n > max)
			return err_set(err, ERR_DATA, "'%s' is longer than the limit of %zu bytes", path, max);
		if (mem_grow(bytes, &room, *n ? *n + 2 : hint + 2, 1, err))
			return err_prefix(err, "'%s'", path);
		got = file_read_some(fd, *bytes + *n, room - *n - 1, path, err);
		if (got <= 0) {
			(*bytes)[*n] = '\0';
			return (int)got;
		}
		*n += (size_t)got;
	}
}

char *file_read(const char *path, size_t max, size_t *n, struct err *err)
{
	char *bytes = NULL;
	size_t size;
	int failed = -1;
	int fd = file_open(path, &size, err);

	if (fd < 0)
		return NULL;
	if (size > max)
		err_set(err, ERR_DATA, "'%s' holds %zu bytes; the limit is %zu", path, size, max);
	else
		failed = read_all(fd, &bytes, n, max, size ? size : READ_STEP, path, err);
	close(fd);
	if (failed) {
		free(bytes);
		return NULL;
	}
	return bytes;
}
