// SPDX-License-Identifier: Apache-2.0
/* Where the answer of a mathematical text stands. */
#include <ctype.h>
#include <string.h>

#include "src/dataset/answer_parts.h"

static bool digit_at(struct span s, size_t at)
{
	return at < s.n && s.text[at] >= '0' && s.text[at] <= '9';
}

/* ---- \boxed{...} ---------------------------------------------------------------- */

/* The next "\boxed" or "\fbox" from `at`; its end in *end. */
static bool next_box(struct span s, size_t *at, size_t *end)
{
	static const char *const names[] = {"\\boxed", "\\fbox"};
	for (; *at < s.n; (*at)++) {
		if (s.text[*at] != '\\')
			continue;
		for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
			size_t n = strlen(names[i]);
			if (s.n - *at >= n && !memcmp(s.text + *at, names[i], n)) {
				*end = *at + n;
				return true;
			}
		}
	}
	return false;
}

/* What the braces at `at` hold, or the rest of the text up to a blank where there are none. */
static struct span box_content(struct span s, size_t at)
{
	size_t start, depth = 0;
	while (at < s.n && s.text[at] == ' ')
		at++;
	start = at;
	if (at >= s.n || s.text[at] != '{') {
		while (at < s.n && !isspace((unsigned char)s.text[at]) && s.text[at] != '$')
			at++;
		return (struct span){s.text + start, at - start};
	}
	for (; at < s.n; at++) {
		depth += s.text[at] == '{';
		depth -= s.text[at] == '}';
		if (!depth)
			break;
	}
	return (struct span){s.text + start + 1, at - start - 1};
}

/* The last box; how many there are. */
static size_t last_box(struct span *content, struct span s)
{
	size_t count = 0, last = 0, end;
	for (size_t at = 0; next_box(s, &at, &end); at = end, count++)
		last = end;
	if (count)
		*content = span_trim(box_content(s, last));
	return count;
}

struct span answer_boxed_inside(struct span s)
{
	struct span content;
	return last_box(&content, s) == 1 ? content : s;
}

/* ---- numbers -------------------------------------------------------------------- */

/* Digits from `at`, thousands commas and a fraction after a point among them. */
static size_t decimal_end(struct span s, size_t at)
{
	while (digit_at(s, at) || (at < s.n && s.text[at] == ',' && digit_at(s, at + 1) && digit_at(s, at + 2) &&
				   digit_at(s, at + 3) && !digit_at(s, at + 4)))
		at++;
	if (at < s.n && s.text[at] == '.' && digit_at(s, at + 1))
		for (at++; digit_at(s, at);)
			at++;
	return at;
}

/* The end of "\frac{12}{34}" at `at`; `at` where it is none. */
static size_t fraction_end(struct span s, size_t at)
{
	static const char *const names[] = {"\\frac{", "\\dfrac{", "\\tfrac{"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t n = strlen(names[i]);
		if (s.n - at < n || memcmp(s.text + at, names[i], n))
			continue;
		size_t middle = decimal_end(s, at + n), end;
		if (middle == at + n || s.n - middle < 2 || memcmp(s.text + middle, "}{", 2))
			return at;
		end = decimal_end(s, middle + 2);
		return end > middle + 2 && end < s.n && s.text[end] == '}' ? end + 1 : at;
	}
	return at;
}

/* The end of a number without its sign, "3/4" being one; `at` where none begins. */
static size_t number_end(struct span s, size_t at)
{
	if (s.text[at] == '\\')
		return fraction_end(s, at);
	size_t end = digit_at(s, at) || (s.text[at] == '.' && digit_at(s, at + 1)) ? decimal_end(s, at) : at;
	if (end > at && end < s.n && s.text[end] == '/' && digit_at(s, end + 1))
		end = decimal_end(s, end + 1);
	return end;
}

/* A minus before the number is its sign unless something stands before it that it could be taken from. */
static size_t signed_start(struct span s, size_t at)
{
	if (!at || s.text[at - 1] != '-')
		return at;
	return at == 1 || !(words_before(s.text, at - 1) || strchr(")}]", s.text[at - 2])) ? at - 1 : at;
}

static struct span last_number(struct span s)
{
	struct span last = {s.text, 0};
	for (size_t at = 0, end; at < s.n; at = end) {
		bool inside = at && (isalpha((unsigned char)s.text[at - 1]) || s.text[at - 1] == '_');
		end = number_end(s, at);
		if (end > at && !inside) {
			size_t start = signed_start(s, at);
			last = (struct span){s.text + start, end - start};
		}
		end += end == at;
	}
	return last;
}

struct span answer_without_closing(const char *text, size_t n)
{
	struct span content, s = {text, n};
	return last_box(&content, s) ? content : last_number(s);
}
