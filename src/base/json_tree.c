// SPDX-License-Identifier: Apache-2.0
/*
 * A document as json-c's tree, made from the events of the strict reading.
 * json-c's own parser is not used: where memory runs out it leaves members out
 * without a word, or falls.
 */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_object.h>

#include "src/base/json_scan.h"
#include "src/base/json_tree.h"
#include "src/base/mem.h"

struct builder {
	struct json_object *root, **open; /* containers, the innermost last */
	size_t depth, room;
	char *key; /* of the next member */
	size_t key_room;
};

static struct json_object *new_number(const struct json_event *event)
{
	char number[JSON_NUMBER_BYTES + 1];

	memcpy(number, event->bytes, event->n);
	number[event->n] = '\0';
	if (event->value == JSON_DOUBLE)
		return json_object_new_double_s(json_scan_double(number), number);
	if (*number == '-')
		return json_object_new_int64(strtoll(number, NULL, 10));
	uint64_t value = strtoull(number, NULL, 10);
	return value > INT64_MAX ? json_object_new_uint64(value) : json_object_new_int64((int64_t)value);
}

static struct json_object *new_value(const struct json_event *event)
{
	switch (event->value) {
	case JSON_OBJECT:
		return json_object_new_object();
	case JSON_ARRAY:
		return json_object_new_array();
	case JSON_STRING:
		return json_object_new_string_len(event->bytes, (int)event->n);
	case JSON_BOOL:
		return json_object_new_boolean(*event->bytes == 't');
	default:
		return new_number(event);
	}
}

/* Into the innermost open container. A repeated key ends the reading when its object does. */
static int put(struct builder *b, struct json_object *node)
{
	struct json_object *into = b->depth ? b->open[b->depth - 1] : NULL;

	if (!into)
		b->root = node;
	else if (json_object_is_type(into, json_type_array))
		return json_object_array_add(into, node);
	else
		return json_object_object_add_ex(into, b->key, node, JSON_C_OBJECT_ADD_KEY_IS_NEW);
	return 0;
}

static int add_value(struct builder *b, const struct json_event *event, struct err *err)
{
	struct json_object *node = event->value == JSON_NULL ? NULL : new_value(event);

	if ((!node && event->value != JSON_NULL) || put(b, node)) {
		json_object_put(node);
		return err_set(err, ERR_MEMORY, "out of memory for a JSON value");
	}
	if (event->value != JSON_OBJECT && event->value != JSON_ARRAY)
		return 0;
	if (mem_grow(&b->open, &b->room, b->depth + 1, sizeof *b->open, err))
		return -1;
	b->open[b->depth++] = node;
	return 0;
}

static int keep_key(struct builder *b, const struct json_event *event, struct err *err)
{
	if (mem_grow(&b->key, &b->key_room, event->n + 1, 1, err))
		return -1;
	memcpy(b->key, event->bytes, event->n);
	b->key[event->n] = '\0';
	return 0;
}

static int build(struct builder *b, struct json_reader *reader, struct err *err)
{
	struct json_event event;

	for (;;) {
		if (json_reader_next(reader, &event, err))
			return -1;
		if (event.kind == JSON_EVENT_END)
			return 0;
		if (event.kind == JSON_EVENT_CLOSE)
			b->depth--;
		else if (event.kind == JSON_EVENT_KEY ? keep_key(b, &event, err) : add_value(b, &event, err))
			return -1;
	}
}

int json_tree_build(struct json_object **root, const char *text, size_t n, const struct json_limits *limits,
		    struct err *err)
{
	struct builder b = {0};

	if (n > INT_MAX || (limits && limits->max_depth > INT_MAX)) /* json-c counts in an int */
		return err_set(err, ERR_INTERNAL, "JSON limits above 2^31 - 1 bytes or levels");
	struct json_reader *reader = json_reader_new(text, n, limits, err);
	int failed = reader ? build(&b, reader, err) : -1;
	json_reader_free(reader);
	free(b.open);
	free(b.key);
	if (failed)
		json_object_put(b.root);
	else
		*root = b.root;
	return failed;
}
