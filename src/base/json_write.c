// SPDX-License-Identifier: Apache-2.0
/*
 * The JSON writer: `place` says what came last, so separators are written in
 * one function and a value in the wrong place is noticed, never written.
 */
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonio.h"
#include "src/base/mem.h"
#include "src/base/text.h"

enum place { START, OPENED, AFTER_KEY, AFTER_VALUE, FINISHED };

void json_writer_init(struct json_writer *w, int indent)
{
	*w = (struct json_writer){.indent = indent, .place = START};
}

void json_writer_release(struct json_writer *w)
{
	free(w->text);
	free(w->open);
	json_writer_init(w, w->indent);
}

static int append(struct json_writer *w, const char *bytes, size_t n)
{
	size_t need;

	if (!size_add(&need, w->n, n) || !size_add(&need, need, 1))
		return err_set(&w->err, ERR_MEMORY, "out of memory for JSON text");
	if (mem_grow(&w->text, &w->room, need, 1, &w->err))
		return -1;
	memcpy(w->text + w->n, bytes, n);
	w->n += n;
	w->text[w->n] = '\0';
	return 0;
}

static int misuse(struct json_writer *w, const char *what)
{
	return err_set(&w->err, ERR_INTERNAL, "JSON writer: %s", what);
}

static char innermost(const struct json_writer *w)
{
	return w->depth ? w->open[w->depth - 1] : '\0';
}

static int new_line(struct json_writer *w)
{
	if (!w->indent)
		return 0;
	if (append(w, "\n", 1))
		return -1;
	for (size_t i = 0; i < w->depth * (size_t)w->indent; i++)
		if (append(w, " ", 1))
			return -1;
	return 0;
}

/* The separator in front of a member or element. */
static int separate(struct json_writer *w)
{
	if (w->place == AFTER_VALUE && append(w, ",", 1))
		return -1;
	return w->depth ? new_line(w) : 0;
}

static int before_value(struct json_writer *w)
{
	if (w->err.code)
		return -1;
	if (w->place == FINISHED)
		return misuse(w, "a second top-level value");
	if (innermost(w) == '{')
		return w->place == AFTER_KEY ? 0 : misuse(w, "a value without a key");
	return separate(w);
}

static void after_value(struct json_writer *w)
{
	w->place = w->depth ? AFTER_VALUE : FINISHED;
}

/* A scalar whose text is ready. */
static void put_scalar(struct json_writer *w, const char *text)
{
	if (before_value(w) || append(w, text, strlen(text)))
		return;
	after_value(w);
}

/* The escape of the character of `length` bytes at s, written to out; 0 where it needs none. */
static int escape(char out[8], const char *s, size_t length)
{
	static const char special[] = "\"\\\b\f\n\r\t";
	static const char names[] = "\"\\bfnrt";
	unsigned char c = (unsigned char)*s;
	const char *at = c ? strchr(special, c) : NULL;

	if (at)
		return snprintf(out, 8, "\\%c", names[at - special]);
	if (c < 0x20 || c == '<')
		return snprintf(out, 8, "\\u%04x", c);
	if (length == 3 && !memcmp(s, "\xE2\x80", 2) && (s[2] == '\xA8' || s[2] == '\xA9'))
		return snprintf(out, 8, "\\u20%02x", (unsigned char)s[2] - 0x80);
	return 0;
}

static int put_quoted(struct json_writer *w, const char *text, size_t n)
{
	char escaped[8];
	size_t done = 0; /* bytes already written */

	if (text_utf8_valid(text, n) < n)
		return err_set(&w->err, ERR_DATA, "cannot write a string with bad UTF-8 at its byte %zu",
			       text_utf8_valid(text, n));
	if (append(w, "\"", 1))
		return -1;
	for (size_t at = 0, length; at < n; at += length) {
		length = text_utf8_length(text + at, n - at);
		int size = escape(escaped, text + at, length);
		if (!size)
			continue;
		if (append(w, text + done, at - done) || append(w, escaped, (size_t)size))
			return -1;
		done = at + length;
	}
	return append(w, text + done, n - done) || append(w, "\"", 1) ? -1 : 0;
}

static void begin(struct json_writer *w, char bracket)
{
	if (before_value(w) || mem_grow(&w->open, &w->open_room, w->depth + 1, 1, &w->err) || append(w, &bracket, 1))
		return;
	w->open[w->depth++] = bracket;
	w->place = OPENED;
}

static void end(struct json_writer *w, char bracket, const char *closing)
{
	if (w->err.code)
		return;
	if (innermost(w) != bracket || w->place == AFTER_KEY) {
		misuse(w, "an end that does not match");
		return;
	}
	w->depth--;
	if ((w->place == AFTER_VALUE && new_line(w)) || append(w, closing, 1))
		return;
	after_value(w);
}

void json_begin_object(struct json_writer *w)
{
	begin(w, '{');
}

void json_end_object(struct json_writer *w)
{
	end(w, '{', "}");
}

void json_begin_array(struct json_writer *w)
{
	begin(w, '[');
}

void json_end_array(struct json_writer *w)
{
	end(w, '[', "]");
}

void json_put_key(struct json_writer *w, const char *key)
{
	if (w->err.code)
		return;
	if (innermost(w) != '{' || w->place == AFTER_KEY) {
		misuse(w, "a key outside an object");
		return;
	}
	if (separate(w) || put_quoted(w, key, strlen(key)) || append(w, ": ", w->indent ? 2 : 1))
		return;
	w->place = AFTER_KEY;
}

void json_put_string(struct json_writer *w, const char *text, size_t n)
{
	if (before_value(w) || put_quoted(w, text, n))
		return;
	after_value(w);
}

void json_put_int(struct json_writer *w, int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, value);
	put_scalar(w, text);
}

void json_put_uint(struct json_writer *w, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, value);
	put_scalar(w, text);
}

/* The decimal point is '.' whatever the user's locale. */
static void format_double(char *out, size_t room, double value)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", NULL);
	locale_t before = uselocale(plain);

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, room, "%.*g", digits, value);
		if (strtod(out, NULL) == value)
			break;
	}
	uselocale(before);
	freelocale(plain);
}

void json_put_double(struct json_writer *w, double value)
{
	char text[32];

	if (!isfinite(value)) {
		if (!w->err.code)
			err_set(&w->err, ERR_NOTFINITE, "cannot write a number that is not finite");
		return;
	}
	format_double(text, sizeof text, value);
	/* "-0" would read back as the integer 0 and lose its sign */
	put_scalar(w, value == 0 && signbit(value) ? "-0.0" : text);
}

void json_put_raw(struct json_writer *w, const char *json)
{
	put_scalar(w, json);
}

void json_put_bool(struct json_writer *w, bool value)
{
	put_scalar(w, value ? "true" : "false");
}

void json_put_null(struct json_writer *w)
{
	put_scalar(w, "null");
}

void json_put_known(struct json_writer *w, double value, bool known)
{
	if (known)
		json_put_double(w, value);
	else
		json_put_null(w);
}

const char *json_writer_text(struct json_writer *w, size_t *n, struct err *err)
{
	if (!w->err.code && w->place != FINISHED)
		misuse(w, "the document is not finished");
	if (w->err.code) {
		err_set(err, w->err.code, "%s", w->err.message);
		return NULL;
	}
	if (n)
		*n = w->n;
	return w->text;
}

void json_member_text(struct json_writer *w, const char *key, const char *text)
{
	json_put_key(w, key);
	json_put_string(w, text, strlen(text));
}

void json_member_int(struct json_writer *w, const char *key, int64_t value)
{
	json_put_key(w, key);
	json_put_int(w, value);
}

void json_member_uint(struct json_writer *w, const char *key, uint64_t value)
{
	json_put_key(w, key);
	json_put_uint(w, value);
}

void json_member_double(struct json_writer *w, const char *key, double value)
{
	json_put_key(w, key);
	json_put_double(w, value);
}

void json_member_known(struct json_writer *w, const char *key, double value, bool known)
{
	json_put_key(w, key);
	json_put_known(w, value, known);
}

void json_member_bool(struct json_writer *w, const char *key, bool value)
{
	json_put_key(w, key);
	json_put_bool(w, value);
}
