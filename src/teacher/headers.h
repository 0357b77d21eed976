// SPDX-License-Identifier: Apache-2.0
/*
 * headers.h - what a reply's header lines say to us; everything else is left
 * unread. Any bytes are accepted: a line that cannot be understood is none.
 *
 * The wait is taken from the first of these that gives one: retry-after-ms,
 * Retry-After (of several the longest), x-ratelimit-reset-requests and
 * -tokens (the longest; where x-ratelimit-remaining-* tells which limit was
 * hit, that one).
 */
#ifndef BALDISTILL_TEACHER_HEADERS_H
#define BALDISTILL_TEACHER_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "src/teacher/key.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TEACHER_REQUEST_ID_ROOM = 128 };

struct teacher_headers {
	double wait;                              /* seconds, or TEACHER_NO_WAIT; not for replies of status 200 */
	bool never_retry;                         /* x-should-retry: false */
	char request_id[TEACHER_REQUEST_ID_ROOM]; /* x-request-id, escaped and redacted; "" if none */
};

/*
 * Read head[0..n): whole lines, each with its line end, as they came; lines
 * before the last status line (interim replies, a proxy's) do not count.
 * now: seconds since 1970, used where the server sent no Date.
 */
void teacher_headers_read(struct teacher_headers *headers, const char *head, size_t n, double now,
			  const struct teacher_key *key);

#ifdef __cplusplus
}
#endif
#endif
