// SPDX-License-Identifier: Apache-2.0
#include "src/model/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/tree.h"

static int open_directory(const char *directory)
{
	return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int directory_check(const char *directory, struct err *err)
{
	int fd = open_directory(directory);

	if (fd < 0)
		return err_set_errno(err, file_input_code(errno), "cannot open directory '%s'", directory);
	close(fd);
	return 0;
}

int directory_has(bool *has, const char *directory, const char *name, struct err *err)
{
	int fd = open_directory(directory);
	struct stat status;

	*has = fd >= 0 && !fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW);
	int failed = *has || errno == ENOENT ? 0 : err_set_errno(err, ERR_IO, "cannot look for '%s/%s'", directory, name);
	if (fd >= 0)
		close(fd);
	return failed;
}

int directory_blame(struct err *err)
{
	if (err && err->code == ERR_NOINPUT)
		err->code = ERR_DATA;
	return -1;
}

char *directory_read(const char *directory, const char *name, size_t max, size_t *n, struct err *err)
{
	char *path = tree_join(directory, name, err);
	char *text = path ? file_read(path, max, n, err) : NULL;

	free(path);
	if (!text)
		directory_blame(err);
	return text;
}
