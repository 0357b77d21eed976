// SPDX-License-Identifier: Apache-2.0
/*
 * text.h - bytes from outside, checked and made safe to show.
 *
 * UTF-8 here is the strict kind of RFC 3629 (Unicode, table 3-7): no overlong
 * form, no surrogate, nothing above U+10FFFF. A NUL byte is a valid character;
 * all lengths are bytes.
 *
 *     size_t good = text_utf8_valid(line, n);
 *     if (good < n)
 *             return err_set(err, ERR_DATA, "byte %zu of '%s' is not UTF-8; convert the file", good, path);
 *
 * Whatever reaches a terminal, a log or a message goes through text_escape,
 * file names and answers of a server included: escape sequences in them could
 * otherwise drive the terminal, bidirectional controls could disguise text.
 *
 *     char shown[256];
 *     err_set(err, ERR_DATA, "unknown domain '%s'", text_escape(shown, sizeof shown, name, strlen(name)));
 *
 * No function here allocates or fails.
 */
#ifndef BALDISTILL_BASE_TEXT_H
#define BALDISTILL_BASE_TEXT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes (1 to 4) of the character that starts at s, of which n bytes may be read; 0 where none does or n is 0. */
size_t text_utf8_length(const char *s, size_t n);

/* Bytes of a byte order mark at the beginning: 3 or 0. */
size_t text_mark_length(const char *s, size_t n);

/* How many leading bytes of s[0..n) are whole valid characters: n, or the offset where the first bad one starts. */
size_t text_utf8_valid(const char *s, size_t n);

/*
 * Write s[0..n) to out, NUL-terminated, with every byte of the following as
 * "\xHH": control characters (C0 but newline and tab, DEL, C1), U+202A to
 * U+202E, U+2066 to U+2069, U+FFFE, U+FFFF, and bytes that are not UTF-8.
 * Printable text, backslashes included, stays as it is. What does not fit in
 * `room` bytes (at least 4) is cut between characters and ends in "...";
 * 4 * n + 1 always fits. Returns out.
 */
char *text_escape(char *out, size_t room, const char *s, size_t n);

/* The same on one line: newlines and tabs as spaces. */
char *text_escape_line(char *out, size_t room, const char *s, size_t n);

/*
 * The next item of a list with commas between, cut out in place; "\," is a comma of the item. *rest is the list at
 * first, and NULL after the last item, when NULL is returned.
 *
 *     for (char *item, *rest = list; (item = text_list_next(&rest));)
 */
char *text_list_next(char **rest);

#ifdef __cplusplus
}
#endif
#endif
