// SPDX-License-Identifier: Apache-2.0
/*
 * grown.h - a text that grows. The first failure sticks and is told at the end.
 *
 *     struct grown out = {0};
 *     grown_put(&out, "a");
 *     char *text = grown_take(&out, &err);     // NUL-terminated, released with free(); NULL with ERR_MEMORY
 */
#ifndef BALDISTILL_BASE_GROWN_H
#define BALDISTILL_BASE_GROWN_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct grown {
	char *text;
	size_t n, room;
	struct err err; /* code 0 while nothing has failed */
};

void grown_add(struct grown *b, const char *bytes, size_t n);
void grown_put(struct grown *b, const char *text);
void grown_putf(struct grown *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* With the five characters that XML and HTML give a meaning as entities. */
void grown_put_xml(struct grown *b, const char *text);
/* The text, the caller's from now on; NULL with the failure. The buffer is empty after it. */
char *grown_take(struct grown *b, struct err *err);
void grown_release(struct grown *b);

/* A formatted text of any length, released with free(); NULL with ERR_MEMORY. */
char *grown_format(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
