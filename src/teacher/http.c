// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/http.h"

#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/teacher/url.h"

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

static double clock_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Two lengths that differ could be read as two different replies. */
static bool length_conflicts(struct transfer *t, const char *line, size_t n)
{
	static const char name[] = "content-length:";
	size_t skip = sizeof name - 1;
	char value[LENGTH_ROOM];
	if (n < skip || strncasecmp(line, name, skip))
		return false;
	while (skip < n && (line[skip] == ' ' || line[skip] == '\t'))
		skip++;
	while (n > skip && strchr(" \t\r\n", line[n - 1]))
		n--;
	if (n - skip >= sizeof value)
		return true;
	memcpy(value, line + skip, n - skip);
	value[n - skip] = '\0';
	bool first = !*t->length;
	if (first)
		memcpy(t->length, value, sizeof value);
	return !first && strcmp(t->length, value) != 0;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	struct teacher_slot *slot = t->slot;
	size_t n = size * count;
	if (n >= 5 && !memcmp(line, "HTTP/", 5))
		t->length[0] = '\0';
	t->garbled = t->garbled || length_conflicts(t, line, n);
	t->oversize = n > slot->head_room - slot->head_n;
	if (t->oversize || t->garbled)
		return 0;
	memcpy(slot->head + slot->head_n, line, n);
	slot->head_n += n;
	return n;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	struct teacher_slot *slot = t->slot;
	size_t n = size * count;
	t->received += n;
	t->oversize = n > slot->body_room - slot->body_n;
	if (t->oversize)
		return 0;
	memcpy(slot->body + slot->body_n, bytes, n);
	slot->body_n += n;
	for (size_t i = 0; !t->body_begun && i < n; i++)
		t->body_begun = !memchr(" \t\r\n", bytes[i], 4);
	return n;
}

#ifdef TEACHER_TEST_REUSE
enum { FRESH = 0 };
#else
enum { FRESH = 1 };
#endif
#ifdef TEACHER_TEST_REDIRECT
enum { FOLLOW = 1 };
#else
enum { FOLLOW = 0 };
#endif

static const struct {
	CURLoption option;
	long value;
} fixed_options[] = {
	{CURLOPT_FRESH_CONNECT, FRESH},
	{CURLOPT_FORBID_REUSE, FRESH},
	{CURLOPT_FOLLOWLOCATION, FOLLOW},
	{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
	{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
	{CURLOPT_SSL_VERIFYPEER, 1},
	{CURLOPT_SSL_VERIFYHOST, 2},
	{CURLOPT_PROXY_SSL_VERIFYPEER, 1},
	{CURLOPT_PROXY_SSL_VERIFYHOST, 2},
	{CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
	{CURLOPT_NETRC, CURL_NETRC_IGNORED},
	{CURLOPT_HTTP09_ALLOWED, 0},
	{CURLOPT_HTTP_CONTENT_DECODING, 0},
	{CURLOPT_NOSIGNAL, 1},
	{CURLOPT_NOPROGRESS, 1},
	{CURLOPT_TCP_KEEPALIVE, 1},
	{CURLOPT_POST, 1},
};

/* Something that must not be silently off failed to be set: no transport then. */
static int set_options(struct transfer *t, const struct teacher_http_config *config, struct err *err)
{
	CURL *e = t->easy;
	bool https = !strncasecmp(t->http->url, "https:", 6);
	double connect = config->connect_timeout > 0 ? config->connect_timeout : 30;
	double whole = config->timeout > 0 ? config->timeout : 600;
	CURLcode rc = CURLE_OK;
	for (size_t i = 0; !rc && i < sizeof fixed_options / sizeof *fixed_options; i++)
		rc = curl_easy_setopt(e, fixed_options[i].option, fixed_options[i].value);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_URL, t->http->url);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, https ? "https" : "http");
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_PROXY, t->http->proxy);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_NOPROXY, t->http->local ? "*" : NULL);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)ceil(connect * 1000));
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)ceil(whole * 1000));
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->words);
	if (!rc && config->ca_file)
		rc = curl_easy_setopt(e, CURLOPT_CAINFO, config->ca_file);
	if (!rc && config->key && config->key->text)
		rc = curl_easy_setopt(e, CURLOPT_XOAUTH2_BEARER, config->key->text);
	if (!rc && config->key && config->key->text)
		rc = curl_easy_setopt(e, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
	return rc ? err_set(err, rc == CURLE_OUT_OF_MEMORY ? ERR_MEMORY : ERR_INTERNAL,
			    "libcurl refuses a setting of the teacher's transport: %s", curl_easy_strerror(rc))
		  : 0;
}

static int add_line(struct teacher_http *http, const char *line, struct err *err)
{
	struct curl_slist *longer = curl_slist_append(http->lines, line);
	if (!longer)
		return err_set(err, ERR_MEMORY, "out of memory for the teacher's headers");
	http->lines = longer;
	return 0;
}

static int add_headers(struct teacher_http *http, const struct teacher_http_config *config, struct err *err)
{
	static const char *const own[] = {"Content-Type: application/json", "Accept: application/json",
					  "Expect:", "User-Agent: baldistill"};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (add_line(http, own[i], err))
			return -1;
	for (size_t i = 0; i < config->headers_n; i++) {
		char line[TEACHER_LINE_ROOM];
		if (teacher_header_line(line, config->headers[i].name, config->headers[i].value, err) ||
		    add_line(http, line, err))
			return -1;
	}
	return 0;
}

static int add_transfers(struct teacher_http *http, const struct teacher_http_config *config, struct err *err)
{
	size_t n = config->max_concurrent ? config->max_concurrent : 1;
	http->transfer = mem_array(n, sizeof *http->transfer, err);
	if (!http->transfer)
		return -1;
	for (; http->n < n; http->n++) {
		struct transfer *t = &http->transfer[http->n];
		t->http = http;
		t->easy = curl_easy_init();
		if (!t->easy)
			return err_set(err, ERR_MEMORY, "out of memory for %zu requests to the teacher at once", n);
		if (set_options(t, config, err)) {
			curl_easy_cleanup(t->easy);
			return -1;
		}
	}
	return 0;
}

/* The URL of the chat completions below base_url, its query kept, by the parser that will use it. */
static CURLUcode endpoint(CURLU *u, const char *path, char **url)
{
	static const char tail[] = "/chat/completions";
	char whole[TEACHER_LINE_ROOM];
	size_t n = strlen(path);
	while (n && path[n - 1] == '/')
		n--;
	if (snprintf(whole, sizeof whole, "%.*s%s", (int)n, path, tail) >= (int)sizeof whole)
		return CURLUE_MALFORMED_INPUT;
	CURLUcode rc = curl_url_set(u, CURLUPART_PATH, whole, 0);
	rc = rc ? rc : curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	return rc ? rc : curl_url_get(u, CURLUPART_URL, url, 0);
}

/* CURLUE_OK for a part that is there, *out owned; a missing user or password is no error of the URL. */
static CURLUcode optional_part(CURLU *u, CURLUPart part, char **out)
{
	CURLUcode rc = curl_url_get(u, part, out, 0);
	return rc == CURLUE_NO_USER || rc == CURLUE_NO_PASSWORD ? CURLUE_OK : rc;
}

static int set_url(struct teacher_http *http, const struct teacher_http_config *config, struct err *err)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *user = NULL, *password = NULL, *path = NULL;
	CURLUcode rc = u ? curl_url_set(u, CURLUPART_URL, config->base_url, 0) : CURLUE_OUT_OF_MEMORY;
	int refused = 0;
	rc = rc ? rc : curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	rc = rc ? rc : curl_url_get(u, CURLUPART_HOST, &host, 0);
	rc = rc ? rc : curl_url_get(u, CURLUPART_PATH, &path, 0);
	rc = rc ? rc : optional_part(u, CURLUPART_USER, &user);
	rc = rc ? rc : optional_part(u, CURLUPART_PASSWORD, &password);
	if (!rc) {
		refused = teacher_url_check(scheme, host, user || password, config->allow_http, err);
		http->local = teacher_host_is_local(host);
	}
	if (!rc && !refused)
		rc = endpoint(u, path, &http->url);
	if (rc == CURLUE_OUT_OF_MEMORY)
		refused = err_set(err, ERR_MEMORY, "out of memory for teacher.base_url");
	else if (rc)
		refused = err_set(err, ERR_CONFIG, "teacher.base_url is not a URL; write https://HOST/v1");
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_free(password);
	curl_free(path);
	curl_url_cleanup(u);
	return refused;
}

/* The environment is read once: what is told is what is used. */
static int set_proxy(struct teacher_http *http, struct err *err)
{
	const char *found = http->local ? NULL : teacher_proxy_find(!strncasecmp(http->url, "https:", 6));
	if (!found)
		return 0;
	http->proxy = mem_strdup(found, err);
	http->exceptions = teacher_proxy_has_exceptions();
	teacher_proxy_show(http->shown, sizeof http->shown, found);
	return http->proxy ? 0 : -1;
}

const char *teacher_http_proxy(const struct teacher_http *http, bool *exceptions)
{
	*exceptions = http->exceptions;
	return http->proxy ? http->shown : NULL;
}

static int http_init(struct teacher_http *http, const struct teacher_http_config *config, struct err *err)
{
	http->global = !curl_global_init(CURL_GLOBAL_DEFAULT);
	http->multi = http->global ? curl_multi_init() : NULL;
	if (!http->multi)
		return err_set(err, ERR_MEMORY, "libcurl cannot be initialised");
	if (set_url(http, config, err) || set_proxy(http, err) || add_headers(http, config, err))
		return -1;
	return add_transfers(http, config, err);
}

struct teacher_http *teacher_http_new(const struct teacher_http_config *config, struct err *err)
{
	struct teacher_http *http = mem_array(1, sizeof *http, err);
	if (!http)
		return NULL;
	http->key = config->key;
	http->stall_time = config->stall_time > 0 ? config->stall_time : 60;
	http->stall_bytes = config->stall_bytes ? config->stall_bytes : 60;
	if (!http_init(http, config, err))
		return http;
	teacher_http_free(http);
	return NULL;
}

void teacher_http_free(struct teacher_http *http)
{
	if (!http)
		return;
	for (size_t i = 0; i < http->n; i++) {
		if (http->transfer[i].active)
			curl_multi_remove_handle(http->multi, http->transfer[i].easy);
		curl_easy_cleanup(http->transfer[i].easy);
	}
	curl_multi_cleanup(http->multi);
	curl_slist_free_all(http->lines);
	if (http->global)
		curl_global_cleanup();
	free(http->transfer);
	curl_free(http->url);
	free(http->proxy);
	free(http);
}

size_t teacher_http_in_flight(const struct teacher_http *http)
{
	return http->in_flight;
}

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
	t->began = clock_now();
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

static enum teacher_transport transport_of(const struct transfer *t, CURLcode code, uint64_t sent)
{
	long proxy = 0, errnum = 0;
	curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &proxy);
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &errnum);
	if (t->oversize)
		return TEACHER_OVERSIZE;
	if (t->garbled)
		return TEACHER_GARBLED;
	/* libcurl's word for a header line beyond its own limit. */
	if (code == CURLE_OUT_OF_MEMORY && t->to_send && sent >= t->to_send)
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
			     .seconds = clock_now() - t->began},
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
		if (has_stalled(&http->transfer[i], clock_now())) {
			finish(&http->transfer[i], CURLE_OPERATION_TIMEDOUT, &ended, done, context);
			count++;
		}
	return count;
}

void teacher_http_cancel(struct teacher_http *http, teacher_http_callback *done, void *context)
{
	static const enum teacher_transport ended = TEACHER_CANCELLED;
	for (size_t i = 0; i < http->n; i++)
		if (http->transfer[i].active)
			finish(&http->transfer[i], CURLE_ABORTED_BY_CALLBACK, &ended, done, context);
}

int teacher_http_poll(struct teacher_http *http, double seconds, teacher_http_callback *done, void *context,
		      struct err *err)
{
	double end = clock_now() + seconds;
	for (;;) {
		int running, count;
		CURLMcode rc = curl_multi_perform(http->multi, &running);
		if (rc)
			return err_set(err, rc == CURLM_OUT_OF_MEMORY ? ERR_MEMORY : ERR_INTERNAL, "libcurl: %s",
				       curl_multi_strerror(rc));
		count = finish_ended(http, done, context);
		count += finish_stalled(http, done, context);
		double left = end - clock_now();
		if (count || !http->in_flight || left <= 0)
			return count;
		left = fmin(left, http->stall_time / 4);
		curl_multi_poll(http->multi, NULL, 0, (int)ceil(left * 1000), NULL);
	}
}
