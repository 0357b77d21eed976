// SPDX-License-Identifier: Apache-2.0
/*
 * http.h - many paid POSTs in flight, each sent at most once.
 *
 * libcurl does the transport; http_transfer.h is its only includer. What costs money
 * must not be sent twice, so nothing here retries, no connection is used
 * twice (libcurl would repeat a request on a reused connection that dies),
 * only HTTP/1.1 is spoken (HTTP/2 has silent repeats too), and no redirect is
 * followed. Nothing is decompressed, no cookie, .netrc, HSTS or Alt-Svc file
 * exists, certificates are always verified and TLS is 1.2 or later.
 *
 *     struct teacher_http *http = teacher_http_new(&config, &err);
 *     while (there is work) {
 *             while (slot free and pace allows)
 *                     teacher_http_send(http, tag, client_id, body, n, &slot, &err);
 *             teacher_http_poll(http, 1.0, done, context, &err);
 *     }
 *     teacher_http_free(http);
 *
 * One thread; `done` is called from teacher_http_poll and may send, but not poll
 * or free.
 *
 * A proxy of the environment (https_proxy, no_proxy) is used, but never for a
 * server on this machine; teacher_http_proxy names it, as it may repeat what it
 * is sent, which nobody here would know.
 */
#ifndef BALDISTILL_TEACHER_HTTP_H
#define BALDISTILL_TEACHER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/teacher/key.h"
#include "src/teacher/outcome.h"
#include "src/teacher/slot.h"

#ifdef __cplusplus
extern "C" {
#endif

struct teacher_http_header {
	const char *name, *value;
};

struct teacher_http_config {
	const char *base_url;                      /* "https://host/v1"; "/chat/completions" is added to its path */
	const struct teacher_key *key;             /* sent as a bearer token; NULL: none. Must outlive the transport */
	const struct teacher_http_header *headers; /* sent with every request */
	size_t headers_n;
	size_t max_concurrent;  /* in flight at once, at least 1 */
	bool allow_http;        /* plain http to another machine too */
	const char *ca_file;    /* PEM certificates to trust; NULL: the system's */
	double connect_timeout; /* seconds; 0: 30 */
	double timeout;         /* of a whole request; 0: 600 */
	double stall_time;      /* 0: 60. A body that has begun must bring, in every such span, */
	size_t stall_bytes;     /* so many bytes; 0: 60. White space before the JSON does not begin it */
};

struct teacher_http;

struct teacher_http_done {
	uint64_t tag;
	struct teacher_slot *slot; /* filled and redacted */
	struct teacher_exchange exchange;
};

typedef void teacher_http_callback(void *context, const struct teacher_http_done *done);

/*
 * ERR_CONFIG for a URL that is none, holds a user or password, is neither https
 * nor http, or is http to another machine without allow_http, and for headers
 * that are no headers or belong to the transport; ERR_MEMORY; ERR_INTERNAL.
 */
struct teacher_http *teacher_http_new(const struct teacher_http_config *config, struct err *err);
/* Ends what is in flight without telling. NULL is allowed. */
void teacher_http_free(struct teacher_http *http);

/*
 * Begin to send. body and slot must stay until the callback has had `tag`.
 * client_id goes out as X-Client-Request-Id (NULL: none). ERR_INTERNAL where
 * max_concurrent are in flight, ERR_MEMORY; nothing has been sent then.
 */
int teacher_http_send(struct teacher_http *http, uint64_t tag, const char *client_id, const char *body, size_t n,
		      struct teacher_slot *slot, struct err *err);

/*
 * Work until a request has ended or `seconds` have passed, not at all when none
 * is in flight; how many ended, or -1.
 */
int teacher_http_poll(struct teacher_http *http, double seconds, teacher_http_callback *done, void *context,
		      struct err *err);

/*
 * The proxy that requests go through, to be shown: without user and password, as
 * long as the handle; NULL: none. Where *exceptions, no_proxy may name the server.
 */
const char *teacher_http_proxy(const struct teacher_http *http, bool *exceptions);

#ifdef __cplusplus
}
#endif
#endif
