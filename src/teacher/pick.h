// SPDX-License-Identifier: Apache-2.0
/*
 * pick.h - a few values out of a JSON text from outside, without a tree.
 *
 * Answers are paid for; they are read by the strict reader of jsonio.h alone,
 * which survives a failing malloc everywhere (json-c does not). The whole text
 * is judged, then the values wanted are there.
 *
 *     struct pick picks[] = {{.path = "model"}, {.path = "choices.0.message.content"}};
 *     struct pick_text text;
 *     if (!pick_read(&text, body, n, picks, 2, &err))
 *             ...
 *     pick_release(&text);                              // in every case
 *
 * A path joins keys and list indices by dots; "" is the value itself. Keys
 * with a dot in them are never picked.
 */
#ifndef BALDISTILL_TEACHER_PICK_H
#define BALDISTILL_TEACHER_PICK_H

#include "src/base/jsonio.h"

struct pick {
	const char *path;
	enum json_kind kind; /* JSON_ABSENT: not there */
	const char *bytes;   /* a string decoded, anything else as written; valid until pick_release */
	size_t n;            /* of bytes */
	size_t count;        /* elements of a list */
	struct json_event event;
};

struct pick_text {
	struct json_reader *reader;
	char *copy; /* of the text, where it had to be changed; NULL otherwise */
};

/*
 * Fill `picks`. An integer beyond 64 bits stands in no field anybody needs,
 * and a paid answer is not thrown away for it: it is read as -1. ERR_DATA for
 * what is not strict JSON, ERR_MEMORY.
 */
int pick_read(struct pick_text *text, const char *body, size_t n, struct pick *picks, size_t count, struct err *err);
void pick_release(struct pick_text *text);

/* There, and neither null, false, an empty text nor an empty list. */
bool pick_given(const struct pick *pick);

/* A string, and this one. */
bool pick_is(const struct pick *pick, const char *word);

/* An owned, NUL-terminated copy of a string in *out, its length in *n (may be NULL); NULL where it is none. ERR_MEMORY.
 */
int pick_copy(char **out, size_t *n, const struct pick *pick, struct err *err);

#endif
