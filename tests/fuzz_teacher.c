// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target: everything a teacher can send. The first byte chooses what the
 * rest is: a body, an error, header lines, a program's line, a request to be
 * changed. Nothing of the key comes out, an answer called usable has a text,
 * waits stay in their range, and a changed request is JSON still.
 */
#define _GNU_SOURCE /* memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonio.h"
#include "src/teacher/headers.h"
#include "src/teacher/request.h"
#include "src/teacher/response.h"
#include "src/teacher/retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char key_text[] = "sk-fuzzing-key";
static const struct teacher_key key = {.text = key_text, .n = sizeof key_text - 1};

static void require(int condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_teacher: %s\n", what);
	abort();
}

static void require_hidden(const char *text, size_t n)
{
	for (size_t i = 0; i + TEACHER_KEY_RUN <= n; i++)
		for (size_t k = 0; k + TEACHER_KEY_RUN <= key.n; k++)
			require(memcmp(text + i, key_text + k, TEACHER_KEY_RUN) != 0, "a part of the key came out");
}

static void check_answer(struct teacher_answer *a)
{
	require(a->cause != TEACHER_USABLE || (a->content && a->n && strlen(a->content) == a->n),
		"usable without text");
	require(!(a->usage.known && a->usage.flagged), "a usage both known and flagged");
	teacher_answer_release(a);
}

static void fuzz_body(const char *text, size_t n)
{
	struct teacher_answer a;
	if (teacher_answer_read(&a, text, n, "m", &key, NULL))
		return;
	if (a.content)
		require_hidden(a.content, a.n);
	require_hidden(a.model, strlen(a.model));
	require_hidden(a.finish_reason, strlen(a.finish_reason));
	check_answer(&a);
}

static void fuzz_line(const char *text, size_t n)
{
	struct teacher_answer a;
	if (!teacher_line_read(&a, text, n, true, NULL))
		check_answer(&a);
}

static void fuzz_error(const char *text, size_t n)
{
	struct teacher_error e;
	teacher_error_read(&e, text, n, &key);
	const char *const parts[] = {e.message, e.type, e.code, e.param};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		require_hidden(parts[i], strlen(parts[i]));
}

static void fuzz_headers(const char *text, size_t n)
{
	struct teacher_headers h;
	teacher_headers_read(&h, text, n, 1e9, &key);
	require(h.wait == TEACHER_NO_WAIT || (h.wait >= 0 && h.wait <= TEACHER_LONGEST_WAIT), "a wait out of range");
	require_hidden(h.request_id, strlen(h.request_id));
}

static void fuzz_change(const char *text, size_t n)
{
	for (unsigned changes = 0; changes < 4; changes++) {
		size_t m = 0;
		char *changed = teacher_request_change(text, n, changes, &m, NULL);
		/* An object may hold both names of the limit already; only then does renaming repeat a key. */
		if (changed && !memmem(text, n, "max_completion_tokens", 21) && !memmem(text, n, "\\u", 2))
			require(!json_check(changed, m, NULL, NULL), "a changed request is no JSON");
		free(changed);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[])(const char *, size_t) = {fuzz_body, fuzz_error, fuzz_headers, fuzz_line,
								fuzz_change};
	if (!size)
		return 0;
	char *copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	targets[data[0] % (sizeof targets / sizeof *targets)](copy, size - 1);
	free(copy);
	return 0;
}
