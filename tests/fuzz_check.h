// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_check.h - what fuzz targets share: promises that must hold, and places for an input that is read as a file.
 *
 *     require(!examples_load(…, &err), "what is written is read", &err);   // ends the program by abort()
 *     require_printable(&err);
 *     name = fuzz_file(data, size);             // a file in memory, until the next call
 *     if (!*fuzz_folder) fuzz_folder_make();    // removed when the program ends
 */
#ifndef BALDISTILL_TESTS_FUZZ_CHECK_H
#define BALDISTILL_TESTS_FUZZ_CHECK_H

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/base/err.h"
#include "src/base/text.h"

static inline void require(int condition, const char *what, const struct err *err)
{
	if (condition)
		return;
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, err->message);
	abort();
}

static inline void require_printable(const struct err *err)
{
	char shown[4 * sizeof err->message + 1];

	require(!strcmp(text_escape(shown, sizeof shown, err->message, strlen(err->message)), err->message),
		"a refusal is printable", err);
}

static inline const char *fuzz_file(const void *data, size_t size)
{
	static int fd = -1;
	static char path[64];

	if (fd < 0)
		fd = memfd_create("fuzz", 0);
	require(fd >= 0 && !ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size, "the input is written",
		&(struct err){0});
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return path;
}

static char fuzz_folder[64] __attribute__((unused));

static inline int fuzz_remove_entry(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status, (void)type, (void)at;
	return remove(path);
}

static inline void fuzz_folder_clean(void)
{
	nftw(fuzz_folder, fuzz_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* In memory where that is possible: syncs prove nothing here. */
static inline void fuzz_folder_make(void)
{
	const char *place = getenv("TMPDIR");

	place = !access("/dev/shm", W_OK) ? "/dev/shm" : place && strlen(place) < 32 ? place : "/tmp";
	snprintf(fuzz_folder, sizeof fuzz_folder, "%s/baldistill-XXXXXX", place);
	require(mkdtemp(fuzz_folder) && !atexit(fuzz_folder_clean), "a folder is made", &(struct err){0});
}

#endif
