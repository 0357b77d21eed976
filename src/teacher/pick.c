// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/pick.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

enum { PATH_ROOM = 96, DEPTH = 32 };

/* Where the reader is. */
struct place {
	char path[PATH_ROOM];
	size_t depth;
	struct {
		bool list;
		size_t index;  /* of the next element */
		size_t path_n; /* of the container's own path */
	} frame[DEPTH];
	struct pick *picks;
	size_t count;
};

/* The path of a member of the innermost container. What cannot be written plainly becomes "?", which nobody wants. */
static void enter(struct place *p, const char *name, size_t n)
{
	size_t base = p->frame[p->depth - 1].path_n;
	if (memchr(name, '.', n) || memchr(name, '\0', n) || base + n + 2 > PATH_ROOM) {
		name = "?";
		n = 1;
	}
	if (base + n + 2 > PATH_ROOM)
		return;
	if (base)
		p->path[base++] = '.';
	memcpy(p->path + base, name, n);
	p->path[base + n] = '\0';
}

static void enter_element(struct place *p)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%zu", p->frame[p->depth - 1].index++);
	enter(p, digits, (size_t)n);
}

static struct pick *wanted(const struct place *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (!strcmp(p->picks[i].path, p->path))
			return &p->picks[i];
	return NULL;
}

static void on_value(struct place *p, const struct json_event *event)
{
	bool container = event->value == JSON_OBJECT || event->value == JSON_ARRAY;
	if (p->depth && p->frame[p->depth - 1].list)
		enter_element(p);
	struct pick *pick = wanted(p);
	if (pick) {
		pick->kind = event->value;
		pick->bytes = event->bytes;
		pick->n = event->n;
		pick->event = *event;
	}
	if (!container)
		return;
	p->frame[p->depth].list = event->value == JSON_ARRAY;
	p->frame[p->depth].index = 0;
	p->frame[p->depth++].path_n = strlen(p->path);
}

static void on_close(struct place *p, const struct json_event *event)
{
	p->depth--;
	p->path[p->frame[p->depth].path_n] = '\0';
	struct pick *pick = wanted(p);
	if (!pick)
		return;
	pick->n = event->at + 1 - pick->event.at;
	pick->count = p->frame[p->depth].index;
}

static int read_all(struct json_reader *reader, struct pick *picks, size_t count, struct err *err)
{
	struct place place = {.picks = picks, .count = count};
	struct json_event event;
	for (;;) {
		if (json_reader_next(reader, &event, err))
			return -1;
		if (event.kind == JSON_EVENT_END)
			return 0;
		if (event.kind == JSON_EVENT_KEY)
			enter(&place, event.bytes, event.n);
		else if (event.kind == JSON_EVENT_VALUE)
			on_value(&place, &event);
		else
			on_close(&place, &event);
	}
}

static int read_once(struct pick_text *text, const char *body, size_t n, struct pick *picks, size_t count,
		     struct err *err)
{
	static const struct json_limits limits = {16u << 20, DEPTH, 1u << 18};
	for (size_t i = 0; i < count; i++)
		picks[i] = (struct pick){.path = picks[i].path, .kind = JSON_ABSENT};
	json_reader_free(text->reader);
	text->reader = json_reader_new(body, n, &limits, err);
	return text->reader ? read_all(text->reader, picks, count, err) : -1;
}

/* Overwrite the integer that the reader refused; false where it refused something else. */
static bool blunt_integer(char *text, size_t n, const struct err *err)
{
	size_t at;
	int end = 0;
	if (sscanf(err->message, "byte %zu: integer out of range%n", &at, &end) != 1 || !end || at + 2 > n)
		return false;
	memcpy(text + at, "-1", 2);
	for (at += 2; at < n && text[at] >= '0' && text[at] <= '9'; at++)
		text[at] = ' ';
	return true;
}

int pick_read(struct pick_text *text, const char *body, size_t n, struct pick *picks, size_t count, struct err *err)
{
	enum { INTEGERS = 8 };
	struct err why = {0};
	*text = (struct pick_text){0};
	int rc = read_once(text, body, n, picks, count, &why);
	for (int i = 0; rc && why.code == ERR_DATA && i < INTEGERS; i++) {
		if (!text->copy && !(text->copy = mem_dup(body, n, &why)))
			break;
		if (!blunt_integer(text->copy, n, &why))
			break;
		rc = read_once(text, text->copy, n, picks, count, &why);
	}
	return rc ? err_set(err, why.code, "%s", why.message) : 0;
}

void pick_release(struct pick_text *text)
{
	json_reader_free(text->reader);
	free(text->copy);
	*text = (struct pick_text){0};
}

bool pick_given(const struct pick *pick)
{
	switch (pick->kind) {
	case JSON_ABSENT:
	case JSON_NULL:
		return false;
	case JSON_ARRAY:
		return pick->count;
	case JSON_STRING:
		return pick->n;
	default:
		return pick->n != 5 || memcmp(pick->bytes, "false", 5);
	}
}

bool pick_is(const struct pick *pick, const char *word)
{
	return pick->kind == JSON_STRING && pick->n == strlen(word) && !memcmp(pick->bytes, word, pick->n);
}

int pick_copy(char **out, size_t *n, const struct pick *pick, struct err *err)
{
	*out = NULL;
	if (n)
		*n = 0;
	if (pick->kind != JSON_STRING)
		return 0;
	*out = mem_array(pick->n + 1, 1, err);
	if (!*out)
		return -1;
	memcpy(*out, pick->bytes, pick->n);
	if (n)
		*n = pick->n;
	return 0;
}
