// SPDX-License-Identifier: Apache-2.0
#include "src/base/text.h"

#include <stdbool.h>
#include <string.h>

/* Well-formed sequences by first byte; bytes after the second are 80 to BF (Unicode, table 3-7). */
static const struct sequence {
	unsigned char first, last; /* range of the first byte */
	unsigned char length;
	unsigned char low, high; /* range of the second byte */
} sequences[] = {
	{ 0x00, 0x7F, 1, 0x00, 0x00 }, { 0xC2, 0xDF, 2, 0x80, 0xBF }, { 0xE0, 0xE0, 3, 0xA0, 0xBF },
	{ 0xE1, 0xEC, 3, 0x80, 0xBF }, { 0xED, 0xED, 3, 0x80, 0x9F }, { 0xEE, 0xEF, 3, 0x80, 0xBF },
	{ 0xF0, 0xF0, 4, 0x90, 0xBF }, { 0xF1, 0xF3, 4, 0x80, 0xBF }, { 0xF4, 0xF4, 4, 0x80, 0x8F },
};

/* Characters that must not reach a terminal as they are. */
static const struct range {
	unsigned first, last;
} unsafe[] = {
	{ 0x00, 0x08 }, { 0x0B, 0x1F }, { 0x7F, 0x9F }, { 0x202A, 0x202E }, { 0x2066, 0x2069 },
	{ 0xFFFE, 0xFFFF },
};

static const struct sequence *find_sequence(unsigned char byte)
{
	for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
		if (byte >= sequences[i].first && byte <= sequences[i].last)
			return &sequences[i];
	}
	return NULL;
}

size_t text_utf8_length(const char *s, size_t n)
{
	const unsigned char *bytes = (const unsigned char *)s;
	const struct sequence *sequence = n ? find_sequence(bytes[0]) : NULL;

	if (!sequence || sequence->length > n)
		return 0;
	if (sequence->length > 1 && (bytes[1] < sequence->low || bytes[1] > sequence->high))
		return 0;
	for (size_t i = 2; i < sequence->length; i++) {
		if ((bytes[i] & 0xC0) != 0x80)
			return 0;
	}
	return sequence->length;
}

size_t text_mark_length(const char *s, size_t n)
{
	return n >= 3 && !memcmp(s, "\xEF\xBB\xBF", 3) ? 3 : 0;
}

size_t text_utf8_valid(const char *s, size_t n)
{
	size_t at = 0;

	while (at < n) {
		size_t length = (unsigned char)s[at] < 0x80 ? 1 : text_utf8_length(s + at, n - at);
		if (!length)
			break;
		at += length;
	}
	return at;
}

static unsigned code_point(const unsigned char *bytes, size_t length)
{
	static const unsigned char lead_mask[] = { 0x00, 0x7F, 0x1F, 0x0F, 0x07 };
	unsigned code = bytes[0] & lead_mask[length];

	for (size_t i = 1; i < length; i++)
		code = code << 6 | (bytes[i] & 0x3F);
	return code;
}

static bool is_unsafe(unsigned code)
{
	for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++) {
		if (code >= unsafe[i].first && code <= unsafe[i].last)
			return true;
	}
	return false;
}

/* The character at s as it is shown, into shown; returns its length there, with the bytes it took in *taken. */
static size_t show(char shown[16], size_t *taken, const char *s, size_t n)
{
	static const char digits[] = "0123456789ABCDEF";
	const unsigned char *bytes = (const unsigned char *)s;
	size_t length = text_utf8_length(s, n);

	*taken = length ? length : 1;
	if (length && !is_unsafe(code_point(bytes, length))) {
		memcpy(shown, s, length);
		return length;
	}
	for (size_t i = 0; i < *taken; i++) {
		shown[4 * i] = '\\';
		shown[4 * i + 1] = 'x';
		shown[4 * i + 2] = digits[bytes[i] >> 4];
		shown[4 * i + 3] = digits[bytes[i] & 15];
	}
	return 4 * *taken;
}

char *text_escape(char *out, size_t room, const char *s, size_t n)
{
	size_t used = 0;
	size_t cut = 0; /* where "..." would still fit */
	char shown[16];

	for (size_t at = 0, taken; at < n; at += taken) {
		size_t length = show(shown, &taken, s + at, n - at);
		if (used + 3 < room)
			cut = used;
		if (length >= room - used) {
			strcpy(out + cut, "...");
			return out;
		}
		memcpy(out + used, shown, length);
		used += length;
	}
	out[used] = '\0';
	return out;
}

char *text_escape_line(char *out, size_t room, const char *s, size_t n)
{
	text_escape(out, room, s, n);
	for (char *at = out; (at = strpbrk(at, "\n\t")); at++)
		*at = ' ';
	return out;
}

char *text_list_next(char **rest)
{
	char *item = *rest, *at = item, *to = item;
	if (!item)
		return NULL;
	for (; *at && *at != ','; at++) {
		at += at[0] == '\\' && at[1] == ',';
		*to++ = *at;
	}
	*rest = *at ? at + 1 : NULL;
	*to = '\0';
	return item;
}
