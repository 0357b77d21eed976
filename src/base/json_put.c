// SPDX-License-Identifier: Apache-2.0
/*
 * A value of a document through the writer. json-c's own text is not used:
 * where memory runs out it leaves pieces out without a word. The depth of the
 * calls is the document's, which its reader has bounded (json_limits).
 */
#include <json-c/json_object.h>

#include "src/base/jsonio.h"

static void put_object(struct json_writer *w, struct json_value object)
{
	struct json_iter it;

	json_begin_object(w);
	for (json_members(object, &it, NULL); json_next(&it);) {
		json_put_key(w, it.key);
		json_put_value(w, it.value);
	}
	json_end_object(w);
}

static void put_array(struct json_writer *w, struct json_value array)
{
	size_t n = json_object_array_length(array.node);

	json_begin_array(w);
	for (size_t i = 0; i < n; i++)
		json_put_value(w, json_at(array, i));
	json_end_array(w);
}

static void put_integer(struct json_writer *w, struct json_object *node)
{
	if (json_object_get_int64(node) < 0)
		json_put_int(w, json_object_get_int64(node));
	else
		json_put_uint(w, json_object_get_uint64(node));
}

void json_put_value(struct json_writer *w, struct json_value value)
{
	switch (json_kind(value)) {
	case JSON_OBJECT:
		put_object(w, value);
		break;
	case JSON_ARRAY:
		put_array(w, value);
		break;
	case JSON_STRING:
		json_put_string(w, json_object_get_string(value.node), (size_t)json_object_get_string_len(value.node));
		break;
	case JSON_INTEGER:
		put_integer(w, value.node);
		break;
	case JSON_DOUBLE: /* json_tree.c keeps its text */
		json_put_raw(w, json_object_get_userdata(value.node));
		break;
	case JSON_BOOL:
		json_put_bool(w, json_object_get_boolean(value.node));
		break;
	default:
		json_put_null(w);
	}
}
