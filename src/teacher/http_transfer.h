// SPDX-License-Identifier: Apache-2.0
/*
 * http_transfer.h - one request of the transport and what they share. Private to
 * http.c, http_setup.c and http_receive.c.
 */
#ifndef BALDISTILL_TEACHER_HTTP_TRANSFER_H
#define BALDISTILL_TEACHER_HTTP_TRANSFER_H

#include <curl/curl.h>

#include "src/teacher/http.h"

enum { CLIENT_ROOM = 160, LENGTH_ROOM = 32, PROXY_ROOM = 256 };

struct transfer {
	struct teacher_http *http;
	CURL *easy;
	bool active;
	uint64_t tag, to_send, received;
	struct teacher_slot *slot;
	double began, window; /* window: since when window_n counts */
	uint64_t window_n;
	bool oversize, garbled, body_begun;
	char length[LENGTH_ROOM]; /* Content-Length of this reply, "" if none yet */
	char client[CLIENT_ROOM];
	struct curl_slist client_line; /* in front of the shared lines */
	char words[CURL_ERROR_SIZE];
};

struct teacher_http {
	CURLM *multi;
	struct curl_slist *lines;
	char *url, *proxy; /* proxy: with its password; NULL: none */
	char shown[PROXY_ROOM];
	bool exceptions;   /* to the proxy, which libcurl judges */
	bool local, global;
	const struct teacher_key *key;
	double stall_time;
	size_t stall_bytes;
	size_t n, in_flight;
	struct transfer *transfer; /* [n] */
};

/* http_receive.c: libcurl's callbacks, a header line and a piece of the body into the slot; context: the transfer. */
size_t http_on_header(char *line, size_t size, size_t count, void *context);
size_t http_on_body(char *bytes, size_t size, size_t count, void *context);

#endif
