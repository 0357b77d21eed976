// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/pipeline/report_parts.h"

void report_put(struct grown *out, const char *format, ...)
{
	char line[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	grown_put(out, line);
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

static void put_escaped(struct grown *out, const char *shown)
{
	for (const char *c = shown; *c; c++)
		if (entity(*c))
			grown_put(out, entity(*c));
		else
			grown_add(out, c, 1);
}

void report_put_text(struct grown *out, const char *text, size_t most)
{
	size_t n = strlen(text), room;
	if (!size_mul(&room, n, 4) || !size_add(&room, room, 5)) {
		err_set(&out->err, ERR_MEMORY, "a text of %zu bytes is too long", n);
		return;
	}
	if (most && room > most)
		room = most;
	char *shown = mem_array(room, 1, &out->err);
	if (shown)
		put_escaped(out, text_escape(shown, room, text, n));
	free(shown);
}

void report_put_score(struct grown *out, double score)
{
	if (isnan(score))
		grown_put(out, "&ndash;");
	else
		report_put(out, "%.1f", 100 * score);
}
