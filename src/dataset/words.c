// SPDX-License-Identifier: Apache-2.0
#include "src/dataset/words.h"

#include <string.h>

#include "src/base/text.h"

enum { INVALID = 0x110000 }; /* and above: a byte that is no UTF-8 */

struct range {
	uint32_t first, last;
};

/* Outside ASCII, what is no letter. */
static const struct range signs[] = {
	{0x80, 0xa9},     {0xab, 0xb4},     {0xb6, 0xb9},     {0xbb, 0xbf},     {0xd7, 0xd7},     {0xf7, 0xf7},
	{0x2000, 0x200f}, {0x2012, 0x206f}, {0x20a0, 0x20cf}, {0x2190, 0x2bff}, {0x3000, 0x3003}, {0x3008, 0x3020},
	{0xfe10, 0xfe1f}, {0xfe30, 0xfe6f}, {0xfeff, 0xfeff}, {0xff01, 0xff0f}, {0xff1a, 0xff20},
};

/* Outside ASCII. */
static const struct range blanks[] = {
	{0xa0, 0xa0},     {0x2000, 0x200b}, {0x2028, 0x2029}, {0x202f, 0x202f},
	{0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff},
};

/* Capitals outside ASCII, and how far their small letters are. */
static const struct {
	struct range capital;
	uint32_t away;
} capitals[] = {
	{{0xc0, 0xd6}, 0x20},   {{0xd8, 0xde}, 0x20},   {{0x391, 0x3a1}, 0x20},
	{{0x3a3, 0x3ab}, 0x20}, {{0x400, 0x40f}, 0x50}, {{0x410, 0x42f}, 0x20},
};

/* Capital and small letter in turn, from a capital on: Latin Extended-A. */
static const struct range pairs[] = {{0x100, 0x137}, {0x139, 0x148}, {0x14a, 0x177}, {0x179, 0x17e}};

static bool in_ranges(uint32_t c, const struct range *range, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= range[i].first && c <= range[i].last)
			return true;
	return false;
}

static uint32_t fold(uint32_t c)
{
	if (c == 0x2010 || c == 0x2011)
		return '-';
	for (size_t i = 0; i < sizeof capitals / sizeof *capitals; i++)
		if (c >= capitals[i].capital.first && c <= capitals[i].capital.last)
			return c + capitals[i].away;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (c >= pairs[i].first && c <= pairs[i].last)
			return c + !((c - pairs[i].first) & 1);
	return c;
}

uint32_t words_char(const char *s, size_t n, size_t *length)
{
	static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	if ((unsigned char)s[0] < 0x80) { /* nearly always */
		*length = 1;
		return s[0] >= 'A' && s[0] <= 'Z' ? (uint32_t)s[0] + 0x20 : (uint32_t)s[0];
	}
	size_t bytes = text_utf8_length(s, n);
	uint32_t c = (unsigned char)s[0] & lead[bytes];
	*length = bytes ? bytes : 1;
	if (!bytes)
		return INVALID + (unsigned char)s[0];
	for (size_t i = 1; i < bytes; i++)
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	return fold(c);
}

bool words_inside(uint32_t c)
{
	if (c < 0x80)
		return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		       c == '_';
	return c < INVALID && !in_ranges(c, signs, sizeof signs / sizeof *signs);
}

bool words_blank(uint32_t c)
{
	if (c < 0x80)
		return c == ' ' || (c >= '\t' && c <= '\r');
	return in_ranges(c, blanks, sizeof blanks / sizeof *blanks);
}

/* Where the character before byte `at` > 0 begins. */
static size_t step_back(const char *text, size_t at)
{
	size_t length;
	for (size_t back = 1; back <= 4 && back <= at; back++) {
		words_char(text + at - back, back, &length);
		if (length == back)
			return at - back;
	}
	return at - 1;
}

bool words_before(const char *text, size_t at)
{
	size_t length, start = at ? step_back(text, at) : 0;
	return at && words_inside(words_char(text + start, at - start, &length));
}

bool words_at(const char *text, size_t n, size_t at)
{
	size_t length;
	return at < n && words_inside(words_char(text + at, n - at, &length));
}

static size_t skip_blanks(const char *text, size_t n, size_t at)
{
	size_t length;
	while (at < n && words_blank(words_char(text + at, n - at, &length)))
		at += length;
	return at;
}

size_t words_match(const char *text, size_t n, size_t at, const char *name, size_t m)
{
	size_t i = at, j = 0, a, b;
	while (j < m) {
		if (i >= n)
			return 0;
		uint32_t c = words_char(text + i, n - i, &a), d = words_char(name + j, m - j, &b);
		if (words_blank(c) && words_blank(d)) {
			i = skip_blanks(text, n, i);
			j = skip_blanks(name, m, j);
		} else if (c == d) {
			i += a;
			j += b;
		} else {
			return 0;
		}
	}
	bool cut = words_at(text, n, i) && words_before(text, i);
	return cut ? 0 : i - at;
}

size_t words_next(const char *text, size_t n, size_t at)
{
	size_t length;
	bool word = words_at(text, n, at);
	do {
		words_char(text + at, n - at, &length);
		at += length;
	} while (word && words_at(text, n, at));
	return at;
}

typedef bool is_edge(uint32_t c, bool front);

static struct span cut_edges(struct span s, is_edge *edge)
{
	size_t length;
	while (s.n && edge(words_char(s.text, s.n, &length), true)) {
		s.text += length;
		s.n -= length;
	}
	while (s.n) {
		size_t last = step_back(s.text, s.n);
		if (!edge(words_char(s.text + last, s.n - last, &length), false))
			break;
		s.n = last;
	}
	return s;
}

static bool blank_edge(uint32_t c, bool front)
{
	(void)front;
	return words_blank(c);
}

static bool decoration(uint32_t c, bool front)
{
	if (words_blank(c) || (c >= 0x2018 && c <= 0x201f) || c == 0xab || c == 0xbb)
		return true;
	return c && c < 0x80 && strchr(front ? "\"'`*_:" : "\"'`*_", (int)c);
}

struct span span_trim(struct span s)
{
	return cut_edges(s, blank_edge);
}

struct span span_strip(struct span s)
{
	return cut_edges(s, decoration);
}
