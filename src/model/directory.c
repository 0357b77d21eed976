// SPDX-License-Identifier: Apache-2.0
#include "src/model/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/tree.h"

int directory_check(const char *directory, struct err *err)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(err, file_input_code(errno), "cannot open directory '%s'", directory);
	close(fd);
	return 0;
}

int directory_has(bool *has, const char *directory, const char *name, struct err *err)
{
	enum tree_kind kind = TREE_NOTHING;
	char *path = tree_join(directory, name, err);
	int rc = path ? tree_look(path, &kind, err) : -1;

	free(path);
	*has = kind != TREE_NOTHING;
	return rc;
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
