// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/spare.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/grown.h"
#include "src/base/mem.h"

/* Does a path lead into the directory? */
static bool is_below(const char *directory, const char *path)
{
	char real[PATH_MAX];
	size_t n = strlen(directory);
	return realpath(path, real) && !strncmp(real, directory, n) && (!real[n] || real[n] == '/');
}

static bool ends_in(const char *path, const char *ending)
{
	size_t n = strlen(path), m = strlen(ending);
	return n >= m && !strcmp(path + n - m, ending);
}

/* A link there leads to what it leads to. */
int run_spare(const char *directory, const char *path, const char *ending, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char run[PATH_MAX], there[PATH_MAX];
	char *place = slash ? grown_format(err, "%.*s/", (int)(slash - path), path) : mem_strdup(".", err);
	if (!place)
		return -1;
	bool is_run = realpath(directory, run);
	bool free_name = is_run && realpath(place, there) && !strcmp(run, there) && ends_in(path, ending);
	bool inside = is_run && !free_name && (is_below(run, place) || is_below(run, path));
	free(place);
	return inside ? err_set(err, ERR_CANTCREATE, "'%s' is a part of the run; choose another --output", path) : 0;
}
