// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/http.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/text.h"
#include "src/teacher/http_transfer.h"

static struct transfer *free_transfer(struct teacher_http *http)
{
	for (size_t i = 0; i < http->n; i++)
		if (!http->transfer[i].active)
			return &http->transfer[i];
	return NULL;
}

static void transfer_reset(struct transfer *t, uint64_t tag, const char *client_id, size_t n, struct teacher_slot *slot)
{
	slot->head_n = slot->body_n = 0;
	t->tag = tag;
	t->slot = slot;
	t->to_send = n;
	t->received = t->window_n = 0;
	t->oversize = t->garbled = t->body_begun = false;
	t->length[0] = t->words[0] = '\0';
	t->began = clock_seconds();
	t->client_line = (struct curl_slist){.data = t->client, .next = t->http->lines};
	if (client_id)
		snprintf(t->client, sizeof t->client, "X-Client-Request-Id: %s", client_id);
}

int teacher_http_send(struct teacher_http *http, uint64_t tag, const char *client_id, const char *body, size_t n,
		      struct teacher_slot *slot, struct err *err)
{
	struct transfer *t = free_transfer(http);
	if (!t)
		return err_set(err, ERR_INTERNAL, "more than %zu requests to the teacher at once", http->n);
	transfer_reset(t, tag, client_id, n, slot);
	struct curl_slist *lines = client_id ? &t->client_line : http->lines;
	CURLcode rc = curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, lines);
	rc = rc ? rc : curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
	rc = rc ? rc : curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, body);
	rc = rc ? rc : curl_easy_setopt(t->easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)slot->body_room);
	if (rc || curl_multi_add_handle(http->multi, t->easy))
		return err_set(err, ERR_MEMORY, "out of memory for a request to the teacher");
	t->active = true;
	http->in_flight++;
	return 0;
}

static const struct {
	CURLcode code;
	enum teacher_transport transport;
} transports[] = {
	{CURLE_OK, TEACHER_REPLIED},
	{CURLE_COULDNT_RESOLVE_HOST, TEACHER_UNRESOLVED},
	{CURLE_COULDNT_RESOLVE_PROXY, TEACHER_UNRESOLVED},
	{CURLE_COULDNT_CONNECT, TEACHER_UNCONNECTED},
	{CURLE_PROXY, TEACHER_UNCONNECTED},
	{CURLE_PEER_FAILED_VERIFICATION, TEACHER_UNTRUSTED},
	{CURLE_SSL_CACERT_BADFILE, TEACHER_UNTRUSTED},
	{CURLE_SSL_ISSUER_ERROR, TEACHER_UNTRUSTED},
	{CURLE_SSL_CONNECT_ERROR, TEACHER_UNSECURED},
	{CURLE_OPERATION_TIMEDOUT, TEACHER_TIMED_OUT},
	{CURLE_FILESIZE_EXCEEDED, TEACHER_OVERSIZE},
	{CURLE_UNSUPPORTED_PROTOCOL, TEACHER_GARBLED},
	{CURLE_WEIRD_SERVER_REPLY, TEACHER_GARBLED},
	{CURLE_OUT_OF_MEMORY, TEACHER_NO_RESOURCES},
};

/* CURLE_TOO_LARGE, which headers before 8.6 do not have. */
enum { TOO_LARGE = 100 };

static enum teacher_transport transport_of(const struct transfer *t, CURLcode code, uint64_t sent)
{
	long proxy = 0, errnum = 0;
	curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &proxy);
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &errnum);
	if (t->oversize)
		return TEACHER_OVERSIZE;
	if (t->garbled)
		return TEACHER_GARBLED;
	/* libcurl's words for a header line beyond its own limit; before 8.6 the first. */
	const bool beyond = code == CURLE_OUT_OF_MEMORY || (int)code == TOO_LARGE;
	if (beyond && t->to_send && sent >= t->to_send)
		return TEACHER_OVERSIZE;
	if (code && proxy >= 300 && !sent)
		return TEACHER_UNCONNECTED;
	/* A connection that broke within the handshake tells nothing about TLS. */
	if (code == CURLE_SSL_CONNECT_ERROR && errnum)
		return TEACHER_BROKEN;
	for (size_t i = 0; i < sizeof transports / sizeof *transports; i++)
		if (transports[i].code == code)
			return transports[i].transport;
	return TEACHER_BROKEN;
}

static void describe(struct transfer *t, CURLcode code, struct teacher_exchange *x)
{
	const char *words = *t->words ? t->words : curl_easy_strerror(code), *proxy = t->http->proxy;
	if (proxy && strstr(words, proxy)) /* with its password */
		words = curl_easy_strerror(code);
	char copy[CURL_ERROR_SIZE];
	snprintf(copy, sizeof copy, "%s", code ? words : "");
	teacher_key_redact_text(t->http->key, copy);
	text_escape(x->detail, sizeof x->detail, copy, strlen(copy));
}

static void finish(struct transfer *t, CURLcode code, const enum teacher_transport *ended, teacher_http_callback *done,
		   void *context)
{
	struct teacher_http *http = t->http;
	struct teacher_slot *slot = t->slot;
	curl_off_t sent = 0;
	long status = 0;
	curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	struct teacher_http_done result = {
		.tag = t->tag,
		.slot = slot,
		.exchange = {.transport = ended ? *ended : transport_of(t, code, (uint64_t)sent),
			     .curl = (int)code,
			     .status = (int)status,
			     .to_send = t->to_send,
			     .sent = (uint64_t)sent,
			     .received = t->received,
			     .seconds = clock_seconds() - t->began},
	};
	describe(t, code, &result.exchange);
	curl_multi_remove_handle(http->multi, t->easy);
	t->active = false;
	http->in_flight--;
	slot->head_n = teacher_key_redact(http->key, slot->head, slot->head_n);
	slot->body_n = teacher_key_redact(http->key, slot->body, slot->body_n);
	done(context, &result);
}

static int finish_ended(struct teacher_http *http, teacher_http_callback *done, void *context)
{
	int count = 0, left;
	CURLMsg *message;
	while ((message = curl_multi_info_read(http->multi, &left))) {
		struct transfer *t = NULL;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		finish(t, code, NULL, done, context);
		count++;
	}
	return count;
}

/* A silent server may be thinking; one whose body has begun and then creeps is cut off. */
static bool has_stalled(struct transfer *t, double now)
{
	const struct teacher_http *http = t->http;
	if (!t->active || !t->body_begun)
		return false;
	if (!t->window_n) {
		t->window = now;
		t->window_n = t->received;
	}
	if (now - t->window < http->stall_time)
		return false;
	bool stalled = t->received - t->window_n < http->stall_bytes;
	t->window = now;
	t->window_n = t->received;
	return stalled;
}

static int finish_stalled(struct teacher_http *http, teacher_http_callback *done, void *context)
{
	static const enum teacher_transport ended = TEACHER_STALLED;
	int count = 0;
	for (size_t i = 0; i < http->n; i++)
		if (has_stalled(&http->transfer[i], clock_seconds())) {
			finish(&http->transfer[i], CURLE_OPERATION_TIMEDOUT, &ended, done, context);
			count++;
		}
	return count;
}

int teacher_http_poll(struct teacher_http *http, double seconds, teacher_http_callback *done, void *context,
		      struct err *err)
{
	double end = clock_seconds() + seconds;
	for (;;) {
		int running, count;
		CURLMcode rc = curl_multi_perform(http->multi, &running);
		if (rc)
			return err_set(err, rc == CURLM_OUT_OF_MEMORY ? ERR_MEMORY : ERR_INTERNAL, "libcurl: %s",
				       curl_multi_strerror(rc));
		count = finish_ended(http, done, context);
		count += finish_stalled(http, done, context);
		double left = end - clock_seconds();
		if (count || !http->in_flight || left <= 0)
			return count;
		left = fmin(left, http->stall_time / 4);
		curl_multi_poll(http->multi, NULL, 0, (int)ceil(left * 1000), NULL);
	}
}
