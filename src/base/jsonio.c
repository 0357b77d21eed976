// SPDX-License-Identifier: Apache-2.0
/*
 * Documents and typed getters over json-c. Each container that is looked into
 * gets its own container as user data, so that an error can walk up and spell
 * the path without a copy of the tree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_object.h>
#include <json-c/json_object_iterator.h>

#include "src/base/json_tree.h"
#include "src/base/mem.h"
#include "src/base/text.h"

struct json {
	struct json_object *root; /* NULL for the text "null" */
};

enum state { FOUND, ABSENT, NO_OBJECT, NO_ARRAY };

static const char *const kind_words[] = {
	[JSON_ABSENT] = "nothing",
	[JSON_NULL] = "null",
	[JSON_BOOL] = "a boolean",
	[JSON_INTEGER] = "an integer",
	[JSON_DOUBLE] = "a number with fraction or exponent",
	[JSON_STRING] = "a string",
	[JSON_ARRAY] = "an array",
	[JSON_OBJECT] = "an object",
};

struct json *json_parse(const char *text, size_t n, const struct json_limits *limits, struct err *err)
{
	struct json *doc = mem_array(1, sizeof *doc, err);

	if (!doc || !json_tree_build(&doc->root, text, n, limits, err))
		return doc;
	free(doc);
	return NULL;
}

void json_free(struct json *doc)
{
	if (!doc)
		return;
	json_object_put(doc->root);
	free(doc);
}

struct json_value json_root(const struct json *doc)
{
	return (struct json_value){.node = doc->root};
}

enum json_kind json_kind(struct json_value value)
{
	static const enum json_kind kinds[] = {
		[json_type_null] = JSON_NULL,      [json_type_boolean] = JSON_BOOL, [json_type_double] = JSON_DOUBLE,
		[json_type_int] = JSON_INTEGER,    [json_type_object] = JSON_OBJECT, [json_type_array] = JSON_ARRAY,
		[json_type_string] = JSON_STRING,
	};

	return value.state == FOUND ? kinds[json_object_get_type(value.node)] : JSON_ABSENT;
}

bool json_is_there(struct json_value value)
{
	return json_kind(value) != JSON_ABSENT && json_kind(value) != JSON_NULL;
}

/* The value for a child that was found; remembers the way up from a container. */
static struct json_value child_value(struct json_object *parent, struct json_object *node, const char *key,
				     size_t index)
{
	if (json_object_is_type(node, json_type_object) || json_object_is_type(node, json_type_array))
		json_object_set_userdata(node, parent, NULL);
	return (struct json_value){.parent = parent, .node = node, .key = key, .index = index};
}

/* What looking into something that is not the right container gives. */
static struct json_value no_container(struct json_value value, enum state state)
{
	if (value.state == FOUND)
		value.state = value.node ? state : ABSENT;
	return value;
}

struct json_value json_in(struct json_value object, const char *key)
{
	struct json_object *node;

	if (json_kind(object) != JSON_OBJECT)
		return no_container(object, NO_OBJECT);
	if (!json_object_object_get_ex(object.node, key, &node))
		return (struct json_value){.parent = object.node, .key = key, .state = ABSENT};
	return child_value(object.node, node, key, 0);
}

struct json_value json_at(struct json_value array, size_t index)
{
	if (json_kind(array) != JSON_ARRAY)
		return no_container(array, NO_ARRAY);
	if (index >= json_object_array_length(array.node))
		return (struct json_value){.parent = array.node, .index = index, .state = ABSENT};
	return child_value(array.node, json_object_array_get_idx(array.node, index), NULL, index);
}

/* Where `node` stands in its container: key, or NULL and *index. */
static const char *find_place(struct json_object *parent, struct json_object *node, size_t *index)
{
	*index = 0;
	if (json_object_is_type(parent, json_type_array)) {
		while (json_object_array_get_idx(parent, *index) != node)
			++*index;
		return NULL;
	}
	struct json_object_iterator it = json_object_iter_begin(parent);
	while (json_object_iter_peek_value(&it) != node)
		json_object_iter_next(&it);
	return json_object_iter_peek_name(&it);
}

struct path {
	char bytes[256]; /* filled from its end */
	size_t start;
};

/* Put one segment in front; false where it does not fit. */
static bool put_segment(struct path *path, const char *key, size_t index, bool first)
{
	char segment[128], shown[100];
	int n;

	if (key)
		n = snprintf(segment, sizeof segment, "%s%s", first ? "" : ".",
			     text_escape(shown, sizeof shown, key, strlen(key)));
	else
		n = snprintf(segment, sizeof segment, "[%zu]", index);
	if ((size_t)n + 3 > path->start) {
		path->start -= 3;
		memcpy(path->bytes + path->start, "...", 3);
		return false;
	}
	path->start -= (size_t)n;
	memcpy(path->bytes + path->start, segment, (size_t)n);
	return true;
}

/* "a.b[3].c", its front cut where it is too long. */
static const char *spell_path(struct path *path, struct json_value value)
{
	struct json_object *parent = value.parent;

	path->start = sizeof path->bytes - 1;
	path->bytes[path->start] = '\0';
	while (parent) {
		struct json_object *above = json_object_get_userdata(parent);
		if (!put_segment(path, value.key, value.index, !above))
			break;
		if (above)
			value.key = find_place(above, parent, &value.index);
		parent = above;
	}
	return value.parent ? path->bytes + path->start : "top level";
}

/* Report that a value is not what was `wanted`. */
static int refuse(struct json_value value, const char *wanted, struct err *err)
{
	struct path path;
	const char *where = spell_path(&path, value);

	if (value.state == ABSENT)
		return err_set(err, ERR_DATA, "'%s' is missing, expected %s", where, wanted);
	if (value.state != FOUND) {
		wanted = kind_words[value.state == NO_OBJECT ? JSON_OBJECT : JSON_ARRAY];
		value.state = FOUND;
	}
	return err_set(err, ERR_DATA, "'%s' must be %s, found %s", where, wanted, kind_words[json_kind(value)]);
}

int json_expect(struct json_value value, enum json_kind kind, struct err *err)
{
	return json_kind(value) == kind ? 0 : refuse(value, kind_words[kind], err);
}

int json_get_string(struct json_value value, const char **out, size_t *n, struct err *err)
{
	if (json_kind(value) != JSON_STRING)
		return refuse(value, "a string", err);
	const char *text = json_object_get_string(value.node);
	size_t length = (size_t)json_object_get_string_len(value.node);
	if (!n && strlen(text) != length)
		return refuse(value, "a string without a NUL character", err);
	*out = text;
	if (n)
		*n = length;
	return 0;
}

int json_get_int64(struct json_value value, int64_t *out, struct err *err)
{
	if (json_kind(value) != JSON_INTEGER || json_object_get_uint64(value.node) > INT64_MAX)
		return refuse(value, "an integer from -2^63 to 2^63 - 1", err);
	*out = json_object_get_int64(value.node);
	return 0;
}

int json_get_uint64(struct json_value value, uint64_t *out, struct err *err)
{
	if (json_kind(value) != JSON_INTEGER || json_object_get_int64(value.node) < 0)
		return refuse(value, "an integer from 0 to 2^64 - 1", err);
	*out = json_object_get_uint64(value.node);
	return 0;
}

int json_get_double(struct json_value value, double *out, struct err *err)
{
	if (json_kind(value) != JSON_INTEGER && json_kind(value) != JSON_DOUBLE)
		return refuse(value, "a number", err);
	*out = json_object_get_double(value.node);
	return 0;
}

int json_get_bool(struct json_value value, bool *out, struct err *err)
{
	if (json_kind(value) != JSON_BOOL)
		return refuse(value, "true or false", err);
	*out = json_object_get_boolean(value.node);
	return 0;
}

int json_get_length(struct json_value array, size_t *out, struct err *err)
{
	if (json_kind(array) != JSON_ARRAY)
		return refuse(array, "an array", err);
	*out = json_object_array_length(array.node);
	return 0;
}

static bool left_out(struct json_value value)
{
	return value.state == ABSENT || (value.state == FOUND && !value.node);
}

int json_opt_string(struct json_value value, const char *fallback, const char **out, size_t *n, struct err *err)
{
	if (!left_out(value))
		return json_get_string(value, out, n, err);
	*out = fallback;
	if (n)
		*n = fallback ? strlen(fallback) : 0;
	return 0;
}

int json_opt_int64(struct json_value value, int64_t fallback, int64_t *out, struct err *err)
{
	if (!left_out(value))
		return json_get_int64(value, out, err);
	*out = fallback;
	return 0;
}

int json_opt_double(struct json_value value, double fallback, double *out, struct err *err)
{
	if (!left_out(value))
		return json_get_double(value, out, err);
	*out = fallback;
	return 0;
}

int json_opt_bool(struct json_value value, bool fallback, bool *out, struct err *err)
{
	if (!left_out(value))
		return json_get_bool(value, out, err);
	*out = fallback;
	return 0;
}

int json_members(struct json_value object, struct json_iter *it, struct err *err)
{
	if (json_expect(object, JSON_OBJECT, err))
		return -1;
	*it = (struct json_iter){.object = object.node, .next = json_object_iter_begin(object.node).opaque_};
	return 0;
}

bool json_next(struct json_iter *it)
{
	struct json_object_iterator at = {it->next}, end = json_object_iter_end(it->object);

	if (json_object_iter_equal(&at, &end))
		return false;
	it->key = json_object_iter_peek_name(&at);
	it->value = child_value(it->object, json_object_iter_peek_value(&at), it->key, 0);
	json_object_iter_next(&at);
	it->next = at.opaque_;
	return true;
}
