// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target: the files of a run directory as `report` reads them, between
 * NULs: plan.yaml, status.json, metrics.json, and of stage 0 allocation.json,
 * collected.json, metrics.json and train.jsonl; an empty piece is no file. What
 * is refused is refused in printable words; a page is UTF-8, holds no markup
 * from outside and no number that is none.
 */
#define _GNU_SOURCE /* fuzz_check.h */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/pipeline/report.h"
#include "tests/fuzz_check.h"

static const char *const files[] = {"plan.yaml",
				    "status.json",
				    "metrics.json",
				    "stage-0/allocation.json",
				    "stage-0/collected.json",
				    "stage-0/metrics.json",
				    "stage-0/train.jsonl"};
enum { FILES = sizeof files / sizeof *files };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void begin(void)
{
	char path[128];

	fuzz_folder_make();
	snprintf(path, sizeof path, "%s/stage-0", fuzz_folder);
	require(!mkdir(path, 0700), "folders are made", &(struct err){0});
}

static void put(const char *name, const uint8_t *bytes, size_t n)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", fuzz_folder, name);
	if (!n) {
		unlink(path);
		return;
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && !close(fd), "the input is written", &(struct err){0});
}

static void check_refused(const struct err *err)
{
	require((err->code == ERR_DATA || err->code == ERR_NOINPUT) && *err->message, "a refusal is of the files", err);
	require_printable(err);
}

static void check_page(const char *path)
{
	static const char *const never[] = {"<fuzz", "=\"nan", "=\"-nan", "=\"inf", "=\"-inf", "=\"\"x"};
	struct err err = {0};
	size_t n = 0;
	char *page = file_read(path, 64 << 20, &n, &err);

	require(page && n > 0, "a page is there", &err);
	require(text_utf8_valid(page, n) == n, "a page is UTF-8", &err);
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		require(!memmem(page, n, never[i], strlen(never[i])), never[i], &err);
	free(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	char page[128];
	size_t at = 0;

	if (!*fuzz_folder)
		begin();
	for (size_t i = 0; i < FILES; i++) {
		const uint8_t *end = at < size ? memchr(data + at, 0, size - at) : NULL;
		size_t n = at >= size ? 0 : end ? (size_t)(end - data) - at : size - at;
		put(files[i], data + at, n);
		at += n + 1;
	}
	snprintf(page, sizeof page, "%s/page.html", fuzz_folder);
	if (report_write(fuzz_folder, page, "fuzz", &err))
		check_refused(&err);
	else
		check_page(page);
	return 0;
}
