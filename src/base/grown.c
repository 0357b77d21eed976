// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* vasprintf */
#include "src/base/grown.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

void grown_add(struct grown *b, const char *bytes, size_t n)
{
	size_t need;
	if (b->err.code)
		return;
	if (!size_add(&need, b->n, n) || !size_add(&need, need, 1)) {
		err_set(&b->err, ERR_MEMORY, "a text of %zu bytes cannot grow by %zu", b->n, n);
		return;
	}
	if (mem_grow(&b->text, &b->room, need, 1, &b->err))
		return;
	memcpy(b->text + b->n, bytes, n);
	b->n += n;
	b->text[b->n] = '\0';
}

void grown_put(struct grown *b, const char *text)
{
	grown_add(b, text, strlen(text));
}

static char *format_text(struct err *err, const char *format, va_list args)
{
	char *text;
	if (vasprintf(&text, format, args) >= 0)
		return text;
	err_set(err, ERR_MEMORY, "out of memory while formatting a text");
	return NULL;
}

void grown_putf(struct grown *b, const char *format, ...)
{
	va_list args;
	if (b->err.code)
		return;
	va_start(args, format);
	char *text = format_text(&b->err, format, args);
	va_end(args);
	if (text)
		grown_put(b, text);
	free(text);
}

static const char *entity(char c)
{
	static const struct {
		char c;
		const char *name;
	} table[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (c == table[i].c)
			return table[i].name;
	return NULL;
}

void grown_put_xml(struct grown *b, const char *text)
{
	for (const char *c = text; *c; c++)
		if (entity(*c))
			grown_put(b, entity(*c));
		else
			grown_add(b, c, 1);
}

char *grown_take(struct grown *b, struct err *err)
{
	char *text = NULL;
	grown_add(b, "", 0); /* an empty text is one too */
	if (b->err.code)
		err_set(err, b->err.code, "%s", b->err.message);
	else
		text = b->text;
	if (text)
		b->text = NULL;
	grown_release(b);
	return text;
}

void grown_release(struct grown *b)
{
	free(b->text);
	*b = (struct grown){0};
}

char *grown_format(struct err *err, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = format_text(err, format, args);
	va_end(args);
	return text;
}
