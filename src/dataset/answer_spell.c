// SPDX-License-Identifier: Apache-2.0
/* Every way of writing the same mathematics as one way. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/dataset/answer_parts.h"

/* Where a word of letters ends, a letter must not go on; nothing here is longer than what it stands for but \pi. */
static const struct {
	const char *from, *to;
} spellings[] = {
	{"^{\\circ}", " "},
	{"^\\circ", " "},
	{"^ \\circ", " "},
	{"\\degree", " "},
	{"\xc2\xb0", " "},
	{"\\left", ""},
	{"\\right", ""},
	{"\\displaystyle", ""},
	{"\\big", ""},
	{"\\Big", ""},
	{"\\!", ""},
	{"\\,", " "},
	{"\\;", " "},
	{"\\:", " "},
	{"\\ ", " "},
	{"~", " "},
	{"\\quad", " "},
	{"\\qquad", " "},
	{"\\(", ""},
	{"\\)", ""},
	{"\\[", ""},
	{"\\]", ""},
	{"\\$", ""},
	{"$", ""},
	{"\\%", ""},
	{"%", ""},
	{"{,}", ","},
	{"\\dfrac", "\\frac"},
	{"\\tfrac", "\\frac"},
	{"\\cfrac", "\\frac"},
	{"\\le", "\\leq"},
	{"\\ge", "\\geq"},
	{"\\lbrace", "\\{"},
	{"\\rbrace", "\\}"},
	{"\\ne", "\\neq"},
	{"**", ""},
	{"*", ""},
	{"`", ""},
	{"\xe2\x88\x92", "-"},
	{"\xe2\x80\x93", "-"},
	{"\xcf\x80", "\\pi"},
	{"\xe2\x88\x9a", "\\sqrt"},
	{"\xe2\x88\x9e", "\\infty"},
	{"\xc2\xa0", " "},
	{"\xe2\x80\x89", " "},
	{"\xe2\x80\xaf", " "},
	{"\xe2\x82\xac", ""},
	{"\xc2\xa3", ""},
};

/* Commands whose braces hold ordinary text. */
static const char *const wrappers[] = {
	"\\text",   "\\textbf", "\\textit",       "\\textrm", "\\mbox", "\\mathrm",
	"\\mathbf", "\\mathit", "\\operatorname", "\\boxed",  "\\fbox",
};

enum { SPELLING_GROWTH = 8 }; /* bytes written for a byte read, at most: "*" becomes "\cdot ", in braces where an argument is due */

/* What the braces that are open now are there for. */
struct brace {
	unsigned char wrapper;   /* they go, with a blank in their place */
	unsigned char arguments; /* how many the last command inside still takes */
};

struct speller {
	const char *text;
	size_t n, at;
	char *out;
	size_t length;
	struct brace *open; /* open[depth] is the innermost */
	size_t depth;
	bool wrapper; /* the brace that opens next belongs to one */
};

static void put(struct speller *s, const char *bytes, size_t n)
{
	memcpy(s->out + s->length, bytes, n);
	s->length += n;
}

static bool starts(const struct speller *s, const char *word)
{
	size_t n = strlen(word);
	if (s->n - s->at < n || memcmp(s->text + s->at, word, n))
		return false;
	bool goes_on = s->at + n < s->n && isalpha((unsigned char)s->text[s->at + n]);
	return !(isalpha((unsigned char)word[n - 1]) && goes_on);
}

/* One character or command as an argument: braces are written around it where it came without. */
static void put_token(struct speller *s, const char *bytes, size_t n)
{
	bool argument = s->open[s->depth].arguments && !strchr("^_", bytes[0]);
	if (argument)
		put(s, "{", 1);
	put(s, bytes, n);
	if (argument) {
		put(s, "}", 1);
		s->open[s->depth].arguments--;
	}
}

static void open_brace(struct speller *s)
{
	if (s->wrapper)
		put(s, " ", 1);
	else
		put(s, "{", 1);
	if (s->open[s->depth].arguments)
		s->open[s->depth].arguments--;
	s->open[++s->depth] = (struct brace){s->wrapper, 0};
	s->wrapper = false;
	s->at++;
}

static void close_brace(struct speller *s)
{
	if (s->depth && s->open[s->depth--].wrapper)
		put(s, " ", 1);
	else
		put(s, "}", 1);
	s->at++;
}

/* An asterisk without which two numbers were one; all others are marks of stress, or of what stands side by side. */
static bool is_times(const struct speller *s)
{
	size_t before = s->at, behind = s->at + 1;
	if (s->text[s->at] != '*')
		return false;
	while (before && s->text[before - 1] == ' ')
		before--;
	while (behind < s->n && s->text[behind] == ' ')
		behind++;
	bool number = before && (isdigit((unsigned char)s->text[before - 1]) || s->text[before - 1] == '}');
	return number && behind < s->n && isdigit((unsigned char)s->text[behind]);
}

static bool spell(struct speller *s)
{
	if (isalnum((unsigned char)s->text[s->at]))
		return false; /* as nothing in the tables begins */
	if (is_times(s)) {
		put_token(s, "\\cdot", 5);
		put(s, " ", 1);
		s->at++;
		return true;
	}
	for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
		if (!starts(s, spellings[i].from))
			continue;
		const char *to = spellings[i].to;
		s->at += strlen(spellings[i].from);
		if (!strcmp(to, "\\frac") || !strcmp(to, "\\sqrt")) {
			put(s, to, strlen(to));
			s->open[s->depth].arguments = to[1] == 'f' ? 2 : 1;
		} else if (to[0] && to[0] != ' ') {
			put_token(s, to, strlen(to));
		} else {
			put(s, to, strlen(to));
		}
		return true;
	}
	for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
		if (starts(s, wrappers[i])) {
			s->at += strlen(wrappers[i]);
			s->wrapper = true;
			return true;
		}
	return false;
}

/* A command that stays: its backslash and letters, or its backslash and one sign. */
static void put_command(struct speller *s)
{
	size_t n = 1;
	while (s->at + n < s->n && isalpha((unsigned char)s->text[s->at + n]))
		n++;
	n += n == 1 && s->at + 1 < s->n;
	bool fraction = n == 5 && !memcmp(s->text + s->at, "\\frac", 5);
	bool root = n == 5 && !memcmp(s->text + s->at, "\\sqrt", 5);
	if (fraction || root) {
		put(s, s->text + s->at, n);
		s->open[s->depth].arguments = fraction ? 2 : 1;
	} else {
		put_token(s, s->text + s->at, n);
	}
	s->at += n;
}

/* The index of a root, "[3]", is no argument. */
static bool put_index(struct speller *s)
{
	enum { LONGEST = 16 };
	size_t left = s->n - s->at;
	const char *end = memchr(s->text + s->at, ']', left < LONGEST ? left : LONGEST);
	bool root = s->length >= 5 && !memcmp(s->out + s->length - 5, "\\sqrt", 5);
	if (!root || !end)
		return false;
	size_t n = (size_t)(end - (s->text + s->at)) + 1;
	put(s, s->text + s->at, n);
	s->at += n;
	return true;
}

static void put_other(struct speller *s)
{
	char c = s->text[s->at];
	if (isspace((unsigned char)c) || !c)
		put(s, " ", 1);
	else
		put_token(s, &c, 1);
	s->at++;
}

static void spell_all(struct speller *s)
{
	while (s->at < s->n) {
		char c = s->text[s->at];
		if (spell(s) || (c == '[' && put_index(s)))
			continue;
		if (c == '{')
			open_brace(s);
		else if (c == '}')
			close_brace(s);
		else if (c == '\\')
			put_command(s);
		else
			put_other(s);
	}
}

char *answer_spell(size_t *length, const char *text, size_t n, struct err *err)
{
	size_t room;
	if (!size_mul(&room, n, SPELLING_GROWTH) || !size_add(&room, room, 1)) {
		err_set(err, ERR_MEMORY, "an answer of %zu bytes is too long", n);
		return NULL;
	}
	struct speller s = {.text = text, .n = n, .out = mem_array(room, 1, err)};
	s.open = s.out ? mem_array(n + 1, sizeof *s.open, err) : NULL;
	if (s.open)
		spell_all(&s);
	else
		free(s.out);
	*length = s.length;
	char *out = s.open ? s.out : NULL;
	free(s.open);
	return out;
}
