// SPDX-License-Identifier: Apache-2.0
#include <string.h>
#include <strings.h>

#include "src/teacher/http_transfer.h"

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

size_t http_on_header(char *line, size_t size, size_t count, void *context)
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

size_t http_on_body(char *bytes, size_t size, size_t count, void *context)
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
