// SPDX-License-Identifier: Apache-2.0
/*
 * key.h - the teacher's API key: where it may come from, how it is held, and
 * how it is kept out of everything else.
 *
 * It comes from an environment variable or a file, never from an argument or a
 * plan. The variable is unset once read, so that no child shows it, and its
 * bytes are overwritten where the environment is this program's own, so that
 * /proc does not; the file must be a regular file of the effective user that
 * nobody else can read, and no symbolic link. One line end at its end is cut.
 * The key is 1 to 4096 bytes of 0x21 to 0x7E, so it cannot break a header.
 *
 *     struct teacher_key key;
 *     if (teacher_key_from_env(&key, "OPENAI_API_KEY", true, &err))
 *             return -1;
 *     n = teacher_key_redact(&key, text, n);            // of anything received
 *     teacher_key_release(&key);
 *
 * The bytes lie in pages of their own, locked and left out of core files where
 * the system allows that, and are wiped on release. (libcurl holds copies of
 * its own while requests run.) No message here shows any part of a key.
 *
 * Failures: ERR_NOPERM for a key that is missing or must not be used,
 * ERR_MEMORY, ERR_IO.
 */
#ifndef BALDISTILL_TEACHER_KEY_H
#define BALDISTILL_TEACHER_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	TEACHER_KEY_MAX = 4096, /* bytes of the longest key */
	TEACHER_KEY_RUN = 8,    /* so many bytes of the key in a row are redacted */
};

struct teacher_key {
	char *text;    /* NUL-terminated, owned; NULL: no key */
	size_t n;      /* without the NUL */
	size_t mapped; /* bytes of the pages */
	bool whole;    /* redacted only as a whole, where it has 16 bytes */
	const struct teacher_key *next; /* another secret that is sent, and redacted with this one; NULL: none; borrowed */
};

/* erase: overwrite the variable's bytes, which in a caller's process may be a literal's, or still in use. */
int teacher_key_from_env(struct teacher_key *key, const char *name, bool erase, struct err *err);
int teacher_key_from_file(struct teacher_key *key, const char *path, struct err *err);
/* A value of at most TEACHER_KEY_MAX bytes that is no key by its form, such as a header's; the rest is cut. */
int teacher_key_from_value(struct teacher_key *key, const char *value, struct err *err);
/* Another holder of the same, or of none. */
int teacher_key_copy(struct teacher_key *key, const struct teacher_key *from, struct err *err);
void teacher_key_release(struct teacher_key *key);

/*
 * Replace, in place, every stretch of text[0..n) made of runs of
 * TEACHER_KEY_RUN or more bytes of the key by "[key]"; the new length, never
 * more than n. A run of letters of one case is a word, and one of digits a number, that
 * any answer may hold ("sk-no-key-required"): there the whole key alone counts, of 16 bytes at the
 * least. A key shorter than a run is a placeholder of a local server and is
 * left alone, as is everything where key or its text is NULL.
 */
size_t teacher_key_redact(const struct teacher_key *key, char *text, size_t n);

/* The same for a NUL-terminated text. */
void teacher_key_redact_text(const struct teacher_key *key, char *text);

#ifdef __cplusplus
}
#endif
#endif
