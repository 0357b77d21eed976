// SPDX-License-Identifier: Apache-2.0
#include "src/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { ROOM = sizeof((struct err *)0)->message };

/* End a text that did not fit in "...", without leaving half of a UTF-8 character before it. */
static void mark_cut(char text[ROOM])
{
	size_t end = ROOM - 4;

	while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
		end--;
	strcpy(text + end, "...");
}

static void format_text(char text[ROOM], const char *format, va_list args)
{
	int length = vsnprintf(text, ROOM, format, args);

	if (length < 0)
		strcpy(text, "...");
	else if (length >= ROOM)
		mark_cut(text);
}

/* Store "FIRST: SECOND", or the one of them that is not empty. Both may lie inside err. */
static void join(struct err *err, const char *first, const char *second)
{
	char text[ROOM];
	int length = snprintf(text, ROOM, "%s%s%s", first, *first && *second ? ": " : "", second);

	if (length >= ROOM)
		mark_cut(text);
	strcpy(err->message, text);
}

int err_set(struct err *err, int code, const char *format, ...)
{
	char text[ROOM]; /* the arguments may point into err */
	va_list args;

	if (!err)
		return -1;
	va_start(args, format);
	format_text(text, format, args);
	va_end(args);
	err->code = code;
	strcpy(err->message, text);
	return -1;
}

static bool disk_is_full(int number)
{
	return number == ENOSPC || number == EDQUOT;
}

static int code_with(int code, int number)
{
	if (number == ENOMEM || number == EMFILE || number == ENFILE)
		return ERR_MEMORY;
	return code == ERR_CANTCREATE && disk_is_full(number) ? ERR_IO : code;
}

int err_set_errno(struct err *err, int code, const char *format, ...)
{
	char text[ROOM], reason[256];
	int number = errno;
	va_list args;

	if (!err)
		return -1;
	snprintf(reason, sizeof reason, "%s%s", strerror(number),
		 disk_is_full(number) ? "; make room there and give the same command again" : "");
	va_start(args, format);
	format_text(text, format, args);
	va_end(args);
	err->code = code_with(code, number);
	join(err, text, reason);
	return -1;
}

int err_prefix(struct err *err, const char *format, ...)
{
	char text[ROOM];
	va_list args;

	if (!err)
		return -1;
	va_start(args, format);
	format_text(text, format, args);
	va_end(args);
	join(err, text, err->message);
	return -1;
}

void err_clear(struct err *err)
{
	if (!err)
		return;
	err->code = ERR_NONE;
	err->message[0] = '\0';
}
