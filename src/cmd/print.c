// SPDX-License-Identifier: Apache-2.0
#include "src/cmd/print.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/text.h"
#include "src/cmd/cmd.h"

int print_document(struct json_writer *w, struct err *err)
{
	const char *text = json_writer_text(w, NULL, err);
	if (text)
		puts(text);
	json_writer_release(w);
	return text ? 0 : -1;
}

/* printf counts bytes, a terminal characters. */
void print_name(const char *name, size_t n)
{
	enum { WIDTH = 24 };
	char shown[256];
	int width = 0;
	text_escape_line(shown, sizeof shown, name, n);
	for (const char *c = shown; *c; c++)
		width += ((unsigned char)*c & 0xc0) != 0x80;
	printf("%s%*s", shown, width < WIDTH ? WIDTH - width : 0, "");
}

void print_score(double score)
{
	if (isnan(score))
		printf(" %8s", "-");
	else
		printf(" %8.2f", 100 * score);
}

void print_line(const char *text)
{
	char shown[4 * sizeof((struct err *)NULL)->message + 1];
	text_escape_line(shown, sizeof shown, text, strlen(text));
	fprintf(stderr, "baldistill: %s\n", shown);
}

void print_note(void *context, const char *message)
{
	const struct arguments *args = context;
	if (!args->quiet)
		print_line(message);
}
