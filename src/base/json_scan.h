// SPDX-License-Identifier: Apache-2.0
/*
 * json_scan.h - strings and numbers for json_lex.c and json_tree.c.
 *
 * A scan is a place in a text. Each function starts at `pos`, where its caller
 * has seen the first byte, and leaves `pos` behind what it read; on failure it
 * returns -1 with "byte OFFSET: RULE" of code ERR_DATA.
 */
#ifndef BALDISTILL_BASE_JSON_SCAN_H
#define BALDISTILL_BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"

struct json_scan {
	const char *text; /* n bytes, no NUL needed */
	size_t n, pos;
	struct err *err;
};

int json_scan_fail(struct json_scan *in, size_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
int json_scan_truncated(struct json_scan *in);

/* A string with its quotes; *escaped tells whether a backslash is inside. */
int json_scan_string(struct json_scan *in, bool *escaped);
/* One escape of a string: its character in *code. */
int json_scan_escape(struct json_scan *in, unsigned *code);
/* A number, which must fit the type it will be read into: int64 or uint64, or a finite double. */
int json_scan_number(struct json_scan *in);
/* The value of a number that was found good, whatever the locale. */
double json_scan_double(const char *number);

/* Write the UTF-8 of a character, at most 4 bytes; returns how many. */
size_t json_scan_put_utf8(char *out, unsigned code);

#endif
