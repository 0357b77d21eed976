// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target 1: the strict JSON reader. What it refuses it explains with an
 * offset inside the text; what it accepts json-c parses too, every value can be
 * read, and writing it twice gives the same bytes.
 */
#define _GNU_SOURCE /* fuzz_check.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonio.h"
#include "tests/fuzz_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_number(struct json_writer *w, struct json_value v)
{
	struct err err = {0};
	uint64_t u;
	int64_t i;
	double d;

	require(!json_get_double(v, &d, &err), "a number reads as a double", &err);
	if (json_kind(v) == JSON_DOUBLE)
		json_put_double(w, d);
	else if (!json_get_int64(v, &i, &err))
		json_put_int(w, i);
	else if (!json_get_uint64(v, &u, &err))
		json_put_uint(w, u);
	else
		require(0, "an integer fits int64 or uint64", &err);
}

static void copy_scalar(struct json_writer *w, struct json_value v)
{
	struct err err = {0};
	const char *text;
	bool b;
	size_t n;

	switch (json_kind(v)) {
	case JSON_NULL:
		json_put_null(w);
		break;
	case JSON_BOOL:
		require(!json_get_bool(v, &b, &err), "a boolean reads", &err);
		json_put_bool(w, b);
		break;
	case JSON_STRING:
		require(!json_get_string(v, &text, &n, &err), "a string reads", &err);
		json_put_string(w, text, n);
		break;
	default:
		copy_number(w, v);
	}
}

/* Recursion is bounded by the reader's depth limit. */
static void copy(struct json_writer *w, struct json_value v)
{
	struct err err = {0};
	struct json_iter it;
	size_t n;

	if (json_kind(v) == JSON_ARRAY) {
		require(!json_get_length(v, &n, &err), "an array has a length", &err);
		json_begin_array(w);
		for (size_t i = 0; i < n; i++)
			copy(w, json_at(v, i));
		json_end_array(w);
	} else if (json_kind(v) == JSON_OBJECT) {
		require(!json_members(v, &it, &err), "an object has members", &err);
		json_begin_object(w);
		while (json_next(&it)) {
			json_put_key(w, it.key);
			copy(w, it.value);
		}
		json_end_object(w);
	} else {
		copy_scalar(w, v);
	}
}

static void write_copy(struct json_writer *w, const char *text, size_t n)
{
	struct err err = {0};
	struct json *doc = json_parse(text, n, NULL, &err);

	require(doc != NULL, "a checked text parses", &err);
	json_writer_init(w, 0);
	copy(w, json_root(doc));
	json_free(doc);
	require(json_writer_text(w, NULL, &err) != NULL, "a parsed text can be written", &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_writer once, twice;
	struct err err = {0};
	size_t offset;

	if (json_check((const char *)data, size, NULL, &err)) {
		require(err.code == ERR_DATA && sscanf(err.message, "byte %zu: ", &offset) == 1 && offset <= size,
			"a refusal names an offset", &err);
		return 0;
	}
	write_copy(&once, (const char *)data, size);
	write_copy(&twice, once.text, once.n);
	require(once.n == twice.n && !memcmp(once.text, twice.text, once.n), "writing again gives the same bytes",
		&err);
	json_writer_release(&once);
	json_writer_release(&twice);
	return 0;
}
