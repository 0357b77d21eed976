// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/spare.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/grown.h"
#include "src/base/mem.h"

/* Does a path lead into the directory? */
static bool is_below(const char *directory, const char *path)
{
	char *real = realpath(path, NULL);
	size_t n = strlen(directory);
	bool below = real && !strncmp(real, directory, n) && (!real[n] || real[n] == '/');
	free(real);
	return below;
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
	char *run = realpath(directory, NULL);
	char *place = slash ? grown_format(err, "%.*s/", (int)(slash - path), path) : mem_strdup(".", err);
	char *there = place ? realpath(place, NULL) : NULL;
	bool free_name = run && there && !strcmp(run, there) && ends_in(path, ending);
	bool inside = run && place && !free_name && (is_below(run, place) || is_below(run, path));
	free(run);
	free(there);
	if (!place)
		return -1;
	free(place);
	return inside ? err_set(err, ERR_CANTCREATE, "'%s' is a part of the run; choose another --output", path) : 0;
}
