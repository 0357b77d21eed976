// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool teacher_host_is_local(const char *host)
{
	char bare[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;
	size_t n = strlen(host);
	if (!strcasecmp(host, "localhost"))
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	bool brackets = n > 2 && host[0] == '[' && host[n - 1] == ']';
	n -= brackets ? 2 : 0;
	if (n >= sizeof bare)
		return false;
	memcpy(bare, host + brackets, n);
	bare[n] = '\0';
	return inet_pton(AF_INET6, bare, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

int teacher_url_check(const char *scheme, const char *host, bool has_user, bool allow_http, struct err *err)
{
	bool plain = !strcasecmp(scheme, "http");
	if (has_user)
		return err_set(
			err, ERR_CONFIG,
			"teacher.base_url holds a user or password; give the key by api_key_env or api_key_file");
	if (!plain && strcasecmp(scheme, "https"))
		return err_set(err, ERR_CONFIG, "teacher.base_url has scheme '%.32s'; use https", scheme);
	if (plain && !allow_http && !teacher_host_is_local(host))
		return err_set(
			err, ERR_CONFIG,
			"teacher.base_url is plain http to another machine, '%.256s'; use https, or --allow-http",
			host);
	return 0;
}

static bool is_token(const char *name)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";
	for (const char *c = name; *c; c++)
		if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') &&
		    !strchr(marks, *c))
			return false;
	return *name != '\0';
}

static bool is_field_value(const char *value)
{
	for (const char *c = value; *c; c++)
		if (*c < 0x20 || *c > 0x7E)
			return false;
	return *value != '\0';
}

int teacher_header_line(char line[TEACHER_LINE_ROOM], const char *name, const char *value, struct err *err)
{
	static const char *const own[] = {
		"host", "content-length", "content-type",    "transfer-encoding",  "connection", "expect",
		"te",   "upgrade",        "accept-encoding", "x-client-request-id"};
	if (!is_token(name))
		return err_set(err, ERR_CONFIG,
			       "teacher.extra_headers: a name is empty or holds other than letters, "
			       "digits and marks");
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (!strcasecmp(name, own[i]))
			return err_set(err, ERR_CONFIG, "teacher.extra_headers must not hold '%s'", own[i]);
	if (!is_field_value(value))
		return err_set(err, ERR_CONFIG,
			       "teacher.extra_headers: the value of '%.64s' is empty or holds control "
			       "or non-ASCII characters",
			       name);
	if (snprintf(line, TEACHER_LINE_ROOM, "%s: %s", name, value) >= TEACHER_LINE_ROOM)
		return err_set(err, ERR_CONFIG, "teacher.extra_headers: '%.64s' is longer than %d bytes", name,
			       TEACHER_LINE_ROOM - 1);
	return 0;
}

/* The first variable that is set and not empty. */
static const char *first_of(const char *const *names)
{
	for (; *names; names++) {
		const char *value = getenv(*names);
		if (value && *value)
			return value;
	}
	return NULL;
}

const char *teacher_proxy_find(bool https)
{
	static const char *const secured[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
	static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
	return first_of(https ? secured : plain);
}

bool teacher_proxy_has_exceptions(void)
{
	static const char *const names[] = {"no_proxy", "NO_PROXY", NULL};
	return first_of(names) != NULL;
}

void teacher_proxy_show(char *shown, size_t room, const char *proxy)
{
	const char *scheme = strstr(proxy, "://"), *at = strrchr(proxy, '@');
	size_t kept = scheme && at && scheme < at ? (size_t)(scheme + 3 - proxy) : 0;
	snprintf(shown, room, "%.*s%s", (int)kept, proxy, at ? at + 1 : proxy);
}
