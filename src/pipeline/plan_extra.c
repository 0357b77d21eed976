// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* strcasestr */
/* Maps whose content is the teacher's business: headers as texts, the body as JSON. */
#include "src/pipeline/plan_keys.h"

#include <string.h>
#include <strings.h>

#include "src/teacher/request.h"
#include "src/teacher/url.h"

enum { NAME_BYTES = 256 };

/* A name that plan_text can write again as a key. */
static int check_name(const struct yaml_node *node, struct err *err)
{
	return strlen(node->name) <= NAME_BYTES
		       ? 0
		       : plan_refuse_key(node, err, "a key of more than %d bytes", NAME_BYTES);
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);
	return n >= m && !strcasecmp(name + n - m, end);
}

/* Where servers look for a key that is not sent as ours is: "Ocp-Apim-Subscription-Key", "X-Auth-Token", "X-AccessKey". */
static bool carries_key(const char *header)
{
	static const char *const parts[] = {"auth", "secret", "password", "cookie", "credential", "apikey", "api-key"};
	static const char *const harmless[] = {"cache-key", "idempotency-key", "author"};
	for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
		if (ends_with(header, harmless[i]))
			return false;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (strcasestr(header, parts[i]))
			return true;
	return ends_with(header, "key") || ends_with(header, "token");
}

static int read_header(struct plan_pair *pair, const struct yaml_node *node, struct err *err)
{
	char line[TEACHER_LINE_ROOM];
	if (check_name(node, err) || yaml_get_string(node, &pair->value, err))
		return -1;
	pair->name = node->name;
	if (teacher_header_line(line, pair->name, pair->value, err))
		return plan_refuse(node, err);
	pair->secret = strstr(node->verbatim, "${") != NULL;
	pair->key = carries_key(pair->name);
	if (pair->key && !pair->secret)
		return yaml_refuse(node, err,
				   "'%s' holds a key, which never stands in a plan; write ${VARIABLE} for it",
				   pair->name);
	return 0;
}

int plan_headers_read(struct plan *plan, struct plan_map *map, const struct yaml_node *node, struct err *err)
{
	static const char *const none[] = {NULL};
	if (node->kind != YAML_MAP)
		return yaml_check_keys(node, none, err);
	map->pair = arena_array(&plan->arena, node->count, sizeof *map->pair, err);
	if (!map->pair)
		return -1;
	for (const struct yaml_node *child = node->first; child; child = child->next)
		if (read_header(&map->pair[map->n++], child, err))
			return -1;
	return 0;
}

/* Text in quotes stays text; of the rest, what JSON knows as number, true, false or null is that. */
static void put_scalar(struct json_writer *w, const struct yaml_node *node)
{
	size_t n = strlen(node->text);
	bool bare = !node->quoted && !strchr("\"[{", node->text[0]) && !json_check(node->text, n, NULL, NULL);
	if (bare)
		json_put_raw(w, node->text);
	else
		json_put_string(w, node->text, n);
}

static int put_json(struct json_writer *w, const struct yaml_node *node, struct err *err)
{
	bool map = node->kind == YAML_MAP;
	if (node->kind == YAML_NULL)
		json_put_null(w);
	if (node->kind == YAML_SCALAR)
		put_scalar(w, node);
	if (!map && node->kind != YAML_LIST)
		return 0;
	(map ? json_begin_object : json_begin_array)(w);
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		if (map && check_name(child, err))
			return -1;
		if (map)
			json_put_key(w, child->name);
		if (put_json(w, child, err))
			return -1;
	}
	(map ? json_end_object : json_end_array)(w);
	return 0;
}

static int parse_body(struct json **json, struct json_writer *w, const struct yaml_node *node, struct err *err)
{
	size_t n;
	if (put_json(w, node, err))
		return -1;
	const char *text = json_writer_text(w, &n, err);
	struct json *doc = text ? json_parse(text, n, NULL, err) : NULL;
	if (!doc || teacher_request_check_extra(json_root(doc), err)) {
		json_free(doc);
		return err && err->code == ERR_MEMORY ? -1 : plan_refuse(node, err);
	}
	*json = doc;
	return 0;
}

int plan_json_read(struct json **json, const struct yaml_node *node, struct err *err)
{
	static const char *const none[] = {NULL};
	struct json_writer w;
	if (node->kind != YAML_MAP)
		return yaml_check_keys(node, none, err);
	for (const struct yaml_node *child = node->first; child; child = child->next)
		if (plan_is_secret(child->name))
			return plan_refuse_key(child, err,
					       "'%s': a key never stands in a plan; use teacher.api_key_env "
					       "or teacher.api_key_file",
					       child->name);
	if (!node->count)
		return 0;
	json_writer_init(&w, 0);
	int rc = parse_body(json, &w, node, err);
	json_writer_release(&w);
	return rc;
}
