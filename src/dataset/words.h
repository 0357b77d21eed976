// SPDX-License-Identifier: Apache-2.0
/*
 * words.h - text as words, for comparing without regard to case: what answers,
 * copies and duplicates are found by.
 *
 * Word characters are letters, digits, hyphen and underscore. Outside ASCII
 * every character is a letter but spaces, punctuation and symbols of the
 * blocks that ordinary prose uses; the typographic hyphens stand for '-'.
 * Case is folded in the Latin, Greek and Cyrillic blocks of two bytes. A byte
 * that is no UTF-8 is a character of its own and no letter.
 *
 * No function here allocates or fails; times are linear in what is read.
 */
#ifndef BALDISTILL_DATASET_WORDS_H
#define BALDISTILL_DATASET_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A piece of a text, not owned, without a NUL behind it. */
struct span {
	const char *text;
	size_t n;
};

/* The character at s[0..n), n > 0, in lower case; *length its bytes. */
uint32_t words_char(const char *s, size_t n, size_t *length);
/* Letter, digit, hyphen or underscore? */
bool words_inside(uint32_t c);
/* ASCII white space and the spaces of Unicode. */
bool words_blank(uint32_t c);

/* Does a word character stand before, or at, byte `at` of text[0..n)? */
bool words_before(const char *text, size_t at);
bool words_at(const char *text, size_t n, size_t at);

/*
 * Bytes of text[at..n) that read like name[0..m) in any case, a run of blanks
 * like any other, ending at the end of a word; 0 where they do not. The caller
 * looks at what stands before.
 */
size_t words_match(const char *text, size_t n, size_t at, const char *name, size_t m);

/* The next place after `at` where a word or another character begins: the end of a word, or one character on. */
size_t words_next(const char *text, size_t n, size_t at);

/* Without the blanks at both ends. */
struct span span_trim(struct span s);
/* Without blanks and decoration (quotes, asterisks, back quotes, underscores; colons in front) at both ends. */
struct span span_strip(struct span s);

#ifdef __cplusplus
}
#endif
#endif
