// SPDX-License-Identifier: Apache-2.0
/* The normal form of a mathematical answer: spelled one way (answer_spell.c), then cut to its value, then closed up. */
#define _GNU_SOURCE /* memmem */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/dataset/answer_parts.h"

/* ---- cutting: what stands around the value ---------------------------------------------- */

static struct span without_stops(struct span s)
{
	for (s = span_strip(s); s.n && strchr(".,;:!", s.text[s.n - 1]);)
		s = span_strip((struct span){s.text, s.n - 1});
	return s;
}

/* Is it a name that a value may be given to: "x", "f(x)", "x_1", "\theta", "area"? */
static bool is_variable(const char *text, size_t n)
{
	size_t at = n && text[0] == '\\';
	if (at >= n || !isalpha((unsigned char)text[at]))
		return false;
	for (; at < n; at++)
		if (!isalpha((unsigned char)text[at]) && !isdigit((unsigned char)text[at]) && !strchr("_() ", text[at]))
			return false;
	return true;
}

/* "x = 5" and "x \in [2, 3]"; two equations stay as they are. */
static struct span without_variable(struct span s)
{
	const char *equals = memchr(s.text, '=', s.n), *in = memmem(s.text, s.n, "\\in ", 4);
	const char *sign = equals ? equals : in;
	if (!sign || (equals && memchr(equals + 1, '=', s.n - (size_t)(equals + 1 - s.text))))
		return s;
	size_t before = (size_t)(sign - s.text), after = before + (equals ? 1 : 3);
	if (!is_variable(s.text, span_trim((struct span){s.text, before}).n))
		return s;
	return span_trim((struct span){s.text + after, s.n - after});
}

/* Words behind a number that are part of its value, so no unit. */
static const char *const value_words[] = {
	"and",  "or",   "to",      "of",       "mod",     "pi",       "sqrt",      "sin",     "cos",   "tan", "log",
	"ln",   "exp",  "hundred", "thousand", "million", "billion",  "trillion",  "dozen",   "half",  "am",  "pm",
	"base", "over", "plus",    "minus",    "times",   "infinity", "factorial", "squared", "cubed",
};

static bool is_unit(const char *word, size_t n, char before)
{
	if (n == 1)
		return (before == ' ' || before == '/') && strchr("mgshlLNJWVACFK", *word);
	for (size_t i = 0; i < sizeof value_words / sizeof *value_words; i++)
		if (words_match(word, n, 0, value_words[i], strlen(value_words[i])) == n)
			return false;
	return before != '\\';
}

/* Cut "^2" or "^{3}" that a unit may have behind it. */
static size_t without_power(const char *text, size_t n)
{
	size_t end = n;
	bool braced = end > 3 && text[end - 1] == '}';
	end -= braced;
	if (end < 2 || (text[end - 1] != '2' && text[end - 1] != '3'))
		return n;
	end--;
	if (braced && text[end - 1] != '{')
		return n;
	end -= braced;
	while (end && text[end - 1] == ' ')
		end--;
	if (!end || text[end - 1] != '^')
		return n;
	for (end--; end && text[end - 1] == ' ';)
		end--;
	return end && isalpha((unsigned char)text[end - 1]) ? end : n;
}

static bool has_word(const char *text, size_t n)
{
	for (size_t at = 0; at + 1 < n; at++)
		if (isalpha((unsigned char)text[at]) && isalpha((unsigned char)text[at + 1])) {
			size_t start = at;
			while (start && isalpha((unsigned char)text[start - 1]))
				start--;
			if (!start || text[start - 1] != '\\')
				return true;
			while (at + 1 < n && isalpha((unsigned char)text[at + 1]))
				at++;
		}
	return false;
}

/* The number before its units: all the words behind it, or nothing is cut. */
static struct span without_units(struct span s)
{
	size_t end = s.n;
	for (;;) {
		size_t last = without_power(s.text, end), start = last;
		while (start && isalpha((unsigned char)s.text[start - 1]))
			start--;
		if (start == last || !start || !is_unit(s.text + start, last - start, s.text[start - 1]))
			break;
		for (end = start; end && strchr(" /.-", s.text[end - 1]);)
			end--;
	}
	bool value = end && strchr("0123456789})]", s.text[end - 1]) && !has_word(s.text, end);
	return value ? (struct span){s.text, end} : s;
}

/* ---- closing up ---------------------------------------------------------------------------- */

static bool digits_at(const char *text, size_t n, size_t at, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (at + i >= n || !isdigit((unsigned char)text[at + i]))
			return false;
	return true;
}

/* A comma between the thousands of one number: outside brackets, one to three digits before and three behind it. */
static bool thousands(const char *text, size_t n, size_t at, size_t run, size_t depth)
{
	return !depth && run >= 1 && run <= 3 && digits_at(text, n, at + 1, 3) && !digits_at(text, n, at + 4, 1);
}

/* A blank that keeps two numbers apart. */
static bool parts_digits(const char *text, size_t n, size_t at)
{
	size_t next = at;
	if (!at || !isdigit((unsigned char)text[at - 1]))
		return false; /* asked first: of a run of blanks only the first looks for its end */
	while (next < n && text[next] == ' ')
		next++;
	return digits_at(text, n, next, 1);
}

/* "^{2}" and "_{2}" as "^2" and "_2": is the brace at `at` one of these? */
static bool lone_in_braces(const char *text, size_t n, size_t at)
{
	return at && strchr("^_", text[at - 1]) && n - at >= 3 && text[at + 2] == '}' &&
	       isalnum((unsigned char)text[at + 1]);
}

static void close_up(char *out, struct span s)
{
	size_t length = 0, depth = 0, run = 0; /* run: digits just before */
	for (size_t at = s.n && s.text[0] == '+'; at < s.n; at++) {
		char c = s.text[at];
		if ((c == ' ' && !parts_digits(s.text, s.n, at)) ||
		    (c == ',' && thousands(s.text, s.n, at, run, depth))) {
			run = 0;
			continue;
		}
		if (c == '{' && lone_in_braces(s.text, s.n, at)) {
			out[length++] = s.text[at + 1];
			at += 2;
			continue;
		}
		depth += c == '(' || c == '[' || c == '{';
		depth -= depth && (c == ')' || c == ']' || c == '}');
		run = isdigit((unsigned char)c) ? run + 1 : 0;
		out[length++] = c;
	}
	out[length] = '\0';
	if (length == 3 && out[0] == '(' && isalpha((unsigned char)out[1]) && out[2] == ')')
		memcpy(out, (char[]){out[1], '\0'}, 2); /* "(C)" */
}

char *answer_math_normal(const char *text, size_t n, struct err *err)
{
	size_t length;
	char *spelled = answer_spell(&length, text, n, err);
	char *out = spelled ? mem_array(length + 1, 1, err) : NULL;
	if (out) {
		struct span cut = without_stops((struct span){spelled, length});
		cut = without_stops(without_units(without_variable(cut)));
		close_up(out, cut);
	}
	free(spelled);
	return out;
}
