// SPDX-License-Identifier: Apache-2.0
/*
 * url.h - where requests may go and which lines may go with them: the user's
 * words, judged before anything is sent.
 */
#ifndef BALDISTILL_TEACHER_URL_H
#define BALDISTILL_TEACHER_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TEACHER_LINE_ROOM = 8192 };

/* This machine, by text alone (localhost, 127.x.y.z, ::1 with or without brackets): no name is looked up. */
bool teacher_host_is_local(const char *host);

/*
 * Judge the parts of a parsed URL: https, or http to this machine or where
 * allow_http says so; no user or password in it, for it would be shown and
 * stored. ERR_CONFIG.
 */
int teacher_url_check(const char *scheme, const char *host, bool has_user, bool allow_http, struct err *err);

/* The environment's proxy for https or http, by libcurl's own rule (http by the small name alone); NULL: none. */
const char *teacher_proxy_find(bool https);
/* Does no_proxy name servers that are reached without it? */
bool teacher_proxy_has_exceptions(void);
/* A proxy to be shown: without user and password. */
void teacher_proxy_show(char *shown, size_t room, const char *proxy);

/* "NAME: VALUE" into line; ERR_CONFIG for what is no header, is too long, or is the transport's own. */
int teacher_header_line(char line[TEACHER_LINE_ROOM], const char *name, const char *value, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
