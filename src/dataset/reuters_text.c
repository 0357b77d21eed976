// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* memmem */
#include "src/dataset/reuters_parts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "src/base/grown.h"

/* ---- markup ------------------------------------------------------------------------------- */

struct span sgml_find(struct span s, const char *what)
{
	const char *at = s.n ? memmem(s.text, s.n, what, strlen(what)) : NULL;
	return at ? (struct span){at, (size_t)(s.text + s.n - at)} : (struct span){NULL, 0};
}

struct span sgml_element(struct span s, const char *name)
{
	char open[32], close[32];
	snprintf(open, sizeof open, "<%s", name);
	snprintf(close, sizeof close, "</%s>", name);
	struct span tag = sgml_find(s, open), start = sgml_find(tag, ">"), end = sgml_find(start, close);
	if (!end.text)
		return end;
	return (struct span){start.text + 1, (size_t)(end.text - start.text - 1)};
}

struct span sgml_attribute(struct span tag, const char *name)
{
	char key[32];
	snprintf(key, sizeof key, " %s=\"", name);
	struct span at = sgml_find(tag, key);
	if (!at.text)
		return at;
	at = (struct span){at.text + strlen(key), at.n - strlen(key)};
	struct span end = sgml_find(at, "\"");
	return end.text ? (struct span){at.text, (size_t)(end.text - at.text)} : end;
}

bool sgml_is(struct span s, const char *text)
{
	return s.n == strlen(text) && !memcmp(s.text, text, s.n);
}

/* ---- text ------------------------------------------------------------------------------------ */

/* Bytes of "&#31;" at s: of every such mark, or only of the end mark "&#3;". */
static size_t mark(struct span s, bool every)
{
	size_t at = 2;
	if (s.n < 4 || memcmp(s.text, "&#", 2))
		return 0;
	while (at < s.n && isdigit((unsigned char)s.text[at]))
		at++;
	if (at == 2 || at >= s.n || s.text[at] != ';')
		return 0;
	return every || sgml_is((struct span){s.text, at + 1}, "&#3;") ? at + 1 : 0;
}

/* Append Latin-1 bytes as UTF-8, runs of white space and marks as one blank, none at the ends. */
static void put_text(struct grown *out, struct span s, bool every_mark)
{
	bool pending = false;
	size_t start = out->n;
	for (size_t at = 0; at < s.n; at++) {
		unsigned char c = (unsigned char)s.text[at];
		size_t skipped = c == '&' ? mark((struct span){s.text + at, s.n - at}, every_mark) : 0;
		if (skipped || isspace(c) || !c) {
			at += skipped ? skipped - 1 : 0;
			pending = out->n > start;
			continue;
		}
		if (pending)
			grown_put(out, " ");
		pending = false;
		const char two[] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
		grown_add(out, c < 0x80 ? s.text + at : two, c < 0x80 ? 1 : 2);
	}
}

/* Take the agency's name from the end of what was appended since `start`. */
static void cut_agency(struct grown *out, size_t start)
{
	static const char name[] = "reuter";
	size_t n = sizeof name - 1;
	if (out->err.code || out->n < start + n || strncasecmp(out->text + out->n - n, name, n))
		return;
	out->n -= n;
	while (out->n > start && out->text[out->n - 1] == ' ')
		out->n--;
	out->text[out->n] = '\0';
}

/* Behind the title, if there is one. */
static void put_body(struct grown *out, struct span body)
{
	size_t before = out->n, start;
	grown_put(out, before ? ". " : "");
	start = out->n;
	put_text(out, body, false);
	cut_agency(out, start);
	if (!out->err.code && out->n == start) {
		out->n = before;
		out->text[before] = '\0';
	}
}

char *sgml_text(struct span content, struct err *err)
{
	struct span title = sgml_element(content, "TITLE"), body = sgml_element(content, "BODY");
	struct grown out = {0};
	if (!title.text && !body.text)
		put_text(&out, content, true);
	if (title.text)
		put_text(&out, title, false);
	if (body.text)
		put_body(&out, body);
	return grown_take(&out, err);
}
