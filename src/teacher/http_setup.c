// SPDX-License-Identifier: Apache-2.0
/* The transport's settings, which no request changes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/mem.h"
#include "src/teacher/http_transfer.h"
#include "src/teacher/url.h"

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
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, http_on_header);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, http_on_body);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	rc = rc ? rc : curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->words);
	if (!rc && config->ca_file)
		rc = curl_easy_setopt(e, CURLOPT_CAINFO, config->ca_file);
	if (!rc && config->ca_file)
		rc = curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* instead of the system's, not beside them */
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
	if (n >= sizeof tail - 1 && !strncmp(path + n - (sizeof tail - 1), tail, sizeof tail - 1))
		n -= sizeof tail - 1; /* some write all of it */
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
