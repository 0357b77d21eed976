// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "src/dataset/answer_parts.h"

static bool letter(size_t *index, size_t choices, char c)
{
	size_t i = (size_t)((c | 0x20) - 'a');
	bool ascii = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
	if (!ascii || i >= choices)
		return false;
	*index = i;
	return true;
}

/* "(b)", "[B]", "{B}" and "b)" */
static size_t in_brackets(size_t *index, size_t choices, const char *text, size_t n, size_t at)
{
	static const char open[] = "([{", close[] = ")]}";
	const char *bracket = text[at] ? strchr(open, text[at]) : NULL;
	if (!bracket)
		return n - at >= 2 && text[at + 1] == ')' && letter(index, choices, text[at]) ? 2 : 0;
	if (n - at < 3 || text[at + 2] != close[bracket - open])
		return 0;
	return letter(index, choices, text[at + 1]) ? 3 : 0;
}

/* "A dog", "I think": a word of the language, unless what follows speaks about a choice. */
static bool in_prose(const char *text, size_t n, size_t at)
{
	static const char *const on[] = {"is", "as",  "because", "since", "and",   "or",        "with", "in",
					 "by", "for", "from",    "on",    "due",   "which",     "that", "but",
					 "so", "if",  "when",    "while", "based", "according", "not",  "rather than"};
	if (text[at] != 'A' && text[at] != 'I')
		return false;
	if (n - at < 3 || text[at + 1] != ' ' || !words_at(text, n, at + 2))
		return n - at > 1 && text[at + 1] == '\''; /* I'm */
	for (size_t i = 0; i < sizeof on / sizeof *on; i++)
		if (words_match(text, n, at + 2, on[i], strlen(on[i])))
			return false;
	return true;
}

size_t answer_letter_at(size_t *index, size_t choices, const char *text, size_t n, size_t at)
{
	size_t length = in_brackets(index, choices, text, n, at);
	if (length)
		return length;
	bool alone = text[at] >= 'A' && text[at] <= 'Z' && !words_at(text, n, at + 1) && !in_prose(text, n, at);
	return alone && letter(index, choices, text[at]) ? 1 : 0;
}

bool answer_small_letter(size_t *index, size_t choices, struct span s)
{
	static const char *const before[] = {"option", "choice", "letter", "answer"};
	for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
		size_t length = words_match(s.text, s.n, 0, before[i], strlen(before[i]));
		if (length) {
			s = span_strip((struct span){s.text + length, s.n - length});
			break;
		}
	}
	return s.n == 1 && letter(index, choices, s.text[0]);
}

bool answer_only_letter(size_t *index, size_t choices, struct span s)
{
	if (s.n && in_brackets(index, choices, s.text, s.n, 0) == s.n)
		return true;
	return s.n == 1 && letter(index, choices, s.text[0]);
}
