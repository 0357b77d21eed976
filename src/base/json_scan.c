// SPDX-License-Identifier: Apache-2.0
/* The tokens of JSON that have an inside: strings and numbers, each checked byte by byte. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/json_scan.h"
#include "src/base/jsonio.h"
#include "src/base/text.h"

int json_scan_fail(struct json_scan *in, size_t at, const char *format, ...)
{
	char rule[256];
	va_list args;

	va_start(args, format);
	vsnprintf(rule, sizeof rule, format, args);
	va_end(args);
	return err_set(in->err, ERR_DATA, "byte %zu: %s", at, rule);
}

int json_scan_truncated(struct json_scan *in)
{
	return json_scan_fail(in, in->n, "the text ends too early");
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Read \uXXXX at pos and step over it; `start` is the escape to blame. */
static int read_u(struct json_scan *in, size_t start, unsigned *code)
{
	*code = 0;
	for (size_t i = 2; i < 6; i++) {
		if (in->n - in->pos <= i)
			return json_scan_truncated(in);
		int digit = hex_digit(in->text[in->pos + i]);
		if (digit < 0)
			return json_scan_fail(in, start, "\\u needs four hexadecimal digits");
		*code = *code * 16 + (unsigned)digit;
	}
	in->pos += 6;
	return 0;
}

/* \uXXXX, or the two of a surrogate pair. */
static int read_unicode(struct json_scan *in, unsigned *code)
{
	size_t start = in->pos;
	unsigned low;

	if (read_u(in, start, code))
		return -1;
	if (*code < 0xD800 || *code > 0xDFFF)
		return 0;
	if (*code < 0xDC00 && in->n - in->pos < 2 && !memcmp(in->text + in->pos, "\\u", in->n - in->pos))
		return json_scan_truncated(in);
	if (*code > 0xDBFF || in->n - in->pos < 2 || memcmp(in->text + in->pos, "\\u", 2))
		return json_scan_fail(in, start, "lone surrogate \\u%04x", *code);
	if (read_u(in, start, &low))
		return -1;
	if (low < 0xDC00 || low > 0xDFFF)
		return json_scan_fail(in, start, "lone surrogate \\u%04x", *code);
	*code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
	return 0;
}

/* Read the escape at pos, step over it, give its character. */
int json_scan_escape(struct json_scan *in, unsigned *code)
{
	static const char names[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	char name;

	if (in->n - in->pos < 2)
		return json_scan_truncated(in);
	name = in->text[in->pos + 1];
	if (name == 'u')
		return read_unicode(in, code);
	const char *at = name ? strchr(names, name) : NULL;
	if (!at)
		return json_scan_fail(in, in->pos, "unknown escape in a string");
	*code = (unsigned char)meanings[at - names];
	in->pos += 2;
	return 0;
}

/* Step over the string whose opening quote is at pos. */
int json_scan_string(struct json_scan *in, bool *escaped)
{
	unsigned code;

	*escaped = false;
	for (in->pos++; in->pos < in->n;) {
		unsigned char c = (unsigned char)in->text[in->pos];
		size_t length = text_utf8_length(in->text + in->pos, in->n - in->pos);

		if (c < 0x20)
			return json_scan_fail(in, in->pos, "raw control character 0x%02x in a string", c);
		if (!length)
			return json_scan_fail(in, in->pos, "bad UTF-8");
		if (c == '\\') {
			*escaped = true;
			if (json_scan_escape(in, &code))
				return -1;
			continue;
		}
		in->pos += length;
		if (c == '"')
			return 0;
	}
	return json_scan_truncated(in);
}

size_t json_scan_put_utf8(char *out, unsigned code)
{
	static const struct {
		unsigned below, lead;
	} form[] = {{0x80, 0}, {0x800, 0xC0}, {0x10000, 0xE0}, {0x110000, 0xF0}};
	size_t more = 0;

	while (code >= form[more].below)
		more++;
	out[0] = (char)(form[more].lead | code >> 6 * more);
	for (size_t i = 1; i <= more; i++)
		out[i] = (char)(0x80 | (code >> 6 * (more - i) & 0x3F));
	return more + 1;
}

static int read_digits(struct json_scan *in, const char *after)
{
	size_t start = in->pos;

	while (in->pos < in->n && in->text[in->pos] >= '0' && in->text[in->pos] <= '9')
		in->pos++;
	if (in->pos > start)
		return 0;
	return in->pos == in->n ? json_scan_truncated(in) : json_scan_fail(in, start, "a digit must follow %s", after);
}

double json_scan_double(const char *number)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", NULL), before = uselocale(plain);
	double value = strtod(number, NULL);

	uselocale(before);
	freelocale(plain);
	return value;
}

/* Whether the number text[start..pos) fits the type it will be read into. */
static int check_range(struct json_scan *in, size_t start, bool integer)
{
	char number[JSON_NUMBER_BYTES + 1];
	size_t n = in->pos - start;

	if (n > JSON_NUMBER_BYTES)
		return json_scan_fail(in, start, "a number longer than %d bytes", JSON_NUMBER_BYTES);
	memcpy(number, in->text + start, n);
	number[n] = '\0';
	errno = 0;
	if (integer) {
		if (number[0] == '-')
			(void)strtoll(number, NULL, 10);
		else
			(void)strtoull(number, NULL, 10);
		return errno == ERANGE ? json_scan_fail(in, start, "integer out of range") : 0;
	}
	return isinf(json_scan_double(number)) ? json_scan_fail(in, start, "number out of range") : 0;
}

int json_scan_number(struct json_scan *in)
{
	size_t start = in->pos, first = start + (in->text[start] == '-');
	bool integer = true;

	in->pos = first;
	if (read_digits(in, "'-'"))
		return -1;
	if (in->text[first] == '0' && in->pos - first > 1)
		return json_scan_fail(in, first, "leading zero in a number");
	if (in->pos < in->n && in->text[in->pos] == '.') {
		integer = false;
		in->pos++;
		if (read_digits(in, "'.'"))
			return -1;
	}
	if (in->pos < in->n && (in->text[in->pos] | 0x20) == 'e') {
		integer = false;
		in->pos++;
		in->pos += in->pos < in->n && (in->text[in->pos] == '+' || in->text[in->pos] == '-');
		if (read_digits(in, "the exponent sign"))
			return -1;
	}
	return check_range(in, start, integer);
}
