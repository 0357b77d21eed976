// SPDX-License-Identifier: Apache-2.0
/* One key: its node into the plan's field, and its meaning as JSON. */
#include "src/pipeline/plan_keys.h"

#include <stdlib.h>
#include <string.h>

typedef int reader(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err);
typedef void putter(struct json_writer *w, const struct plan *plan, const struct plan_key *key,
		    const struct yaml_node *node);

static void *field(struct plan *plan, const struct plan_key *key)
{
	return (char *)plan + key->at;
}

static const void *value(const struct plan *plan, const struct plan_key *key)
{
	return (const char *)plan + key->at;
}

/* ---- reading ---- */

static int read_text(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	const char **to = field(plan, key);
	if (node->kind == YAML_NULL) {
		*to = "";
		return 0;
	}
	if (yaml_get_string(node, to, err))
		return -1;
	return **to || key->flags & KEY_EMPTY ? 0 : yaml_refuse(node, err, "'%s' is empty", node->name);
}

static int read_name(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	const char **to = field(plan, key);
	size_t index;
	if (node->kind == YAML_SCALAR && !strcmp(node->text, key->value))
		*to = key->value;
	else if (yaml_get_word(node, key->words, &index, err))
		return -1;
	else
		*to = key->words[index];
	return 0;
}

/* `name` as the program opens it. */
static const char *beside(struct plan *plan, const char *name, struct err *err)
{
	const char *slash = strrchr(plan->path, '/');
	size_t n = slash ? (size_t)(slash - plan->path) + 1 : 0, length = strlen(name) + 1;
	if (!n || *name == '/')
		return name;
	char *path = arena_array(&plan->arena, n + length, 1, err);
	if (!path)
		return NULL;
	memcpy(path, plan->path, n);
	memcpy(path + n, name, length);
	return path;
}

static int read_path(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	const char **to = field(plan, key);
	if (read_text(plan, key, node, err))
		return -1;
	*to = beside(plan, *to, err);
	return *to ? 0 : -1;
}

static int read_word(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	size_t index;
	if (yaml_get_word(node, key->words, &index, err))
		return -1;
	*(int64_t *)field(plan, key) = (int64_t)index;
	return 0;
}

static int read_whole(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	return yaml_get_int64(node, (int64_t)key->min, (int64_t)key->max, field(plan, key), err);
}

static int read_count(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	if (node->kind == YAML_SCALAR && !strcmp(node->text, "all")) {
		*(int64_t *)field(plan, key) = 0;
		return 0;
	}
	return read_whole(plan, key, node, err);
}

static int read_real(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	return yaml_get_double(node, key->min, key->max, field(plan, key), err);
}

static int read_flag(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	size_t index;
	if (!key->words)
		return yaml_get_bool(node, field(plan, key), err);
	if (yaml_get_word(node, key->words, &index, err))
		return -1;
	*(bool *)field(plan, key) = index;
	return 0;
}

static int read_size(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	size_t bytes;
	if (yaml_get_size(node, &bytes, err))
		return -1;
	*(uint64_t *)field(plan, key) = bytes;
	return 0;
}

static int read_seed(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	int64_t seed;
	if (yaml_get_int64(node, 0, INT64_MAX, &seed, err))
		return -1;
	*(uint64_t *)field(plan, key) = (uint64_t)seed;
	return 0;
}

static int read_dtype(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	static const enum dtype types[] = {DTYPE_BF16, DTYPE_F32};
	size_t index;
	if (yaml_get_word(node, key->words, &index, err))
		return -1;
	*(enum dtype *)field(plan, key) = types[index];
	return 0;
}

static int read_method(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	const struct method **to = field(plan, key);
	const char *name;
	if (yaml_get_string(node, &name, err))
		return -1;
	*to = method_find(name, err);
	return *to ? 0 : plan_refuse(node, err);
}

/* A list of texts that are not empty and differ. */
static int check_texts(const struct yaml_node *node, struct err *err)
{
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		if (!*item->text)
			return yaml_refuse(item, err, "a text in '%s' is empty", node->name);
		for (const struct yaml_node *one = node->first; one != item; one = one->next)
			if (!strcmp(one->text, item->text))
				return yaml_refuse(item, err, "'%s' stands twice in '%s'", item->verbatim, node->name);
	}
	return 0;
}

/* Texts of a list, ended by NULL. */
static int get_list(struct plan *plan, struct plan_list *list, const struct yaml_node *node, struct err *err)
{
	const char **texts;
	size_t n;
	if (yaml_get_strings(node, &texts, &n, err))
		return -1;
	list->list = arena_array(&plan->arena, n + 1, sizeof *texts, err);
	if (list->list)
		memcpy(list->list, texts, n * sizeof *texts);
	list->n = n;
	free(texts);
	return list->list ? 0 : -1;
}

static int read_texts(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	if (get_list(plan, field(plan, key), node, err))
		return -1;
	return node->count ? check_texts(node, err) : yaml_refuse(node, err, "'%s' is empty", node->name);
}

static int read_command(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	struct plan_list *list = field(plan, key);
	if (get_list(plan, list, node, err))
		return -1;
	if (!list->n || !*list->list[0])
		return yaml_refuse(node, err, "'%s' names no program", node->name);
	if (strchr(list->list[0], '/'))
		list->list[0] = beside(plan, list->list[0], err);
	return list->list[0] ? 0 : -1;
}

static int read_head(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	static const char *const keys[] = {"above", NULL};
	const struct yaml_node *above;
	if (node->kind == YAML_LIST)
		return get_list(plan, field(plan, key), node, err) ? -1 : check_texts(node, err);
	if (node->kind == YAML_SCALAR)
		return yaml_refuse(node, err, "'%s' must be a list of names or {above: N}", node->name);
	if (yaml_check_keys(node, keys, err) || !(above = yaml_need(node, keys[0], err)))
		return -1;
	return yaml_get_int64(above, (int64_t)key->min, (int64_t)key->max, &plan->task.head_above, err);
}

static int read_headers(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	return plan_headers_read(plan, field(plan, key), node, err);
}

static int read_json(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	return plan_json_read(field(plan, key), node, err);
}

/* Alone in a map, so that train_config.h reads it. */
static int read_training(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	struct yaml_node alone = *node;
	const struct yaml_node map = {.kind = YAML_MAP, .file = node->file, .line = node->line, .first = &alone,
				      .count = 1};
	alone.name = plan_key_name(key);
	alone.next = NULL;
	return train_config_read(&plan->training, &map, err);
}

/* ---- meaning ---- */

/* Texts, paths and maps mean what is written, variables replaced. */
static void put_node(struct json_writer *w, const struct yaml_node *node)
{
	bool map = node->kind == YAML_MAP;
	if (node->kind == YAML_SCALAR || node->kind == YAML_NULL)
		json_put_string(w, node->text, node->kind == YAML_NULL ? 0 : strlen(node->text));
	if (!map && node->kind != YAML_LIST)
		return;
	(map ? json_begin_object : json_begin_array)(w);
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		if (map)
			json_put_key(w, child->name);
		put_node(w, child);
	}
	(map ? json_end_object : json_end_array)(w);
}

static void put_as_written(struct json_writer *w, const struct plan *plan, const struct plan_key *key,
			   const struct yaml_node *node)
{
	(void)plan, (void)key;
	put_node(w, node);
}

static void put_int(struct json_writer *w, const struct plan *plan, const struct plan_key *key,
		    const struct yaml_node *node)
{
	(void)node;
	json_put_int(w, *(const int64_t *)value(plan, key));
}

static void put_uint(struct json_writer *w, const struct plan *plan, const struct plan_key *key,
		     const struct yaml_node *node)
{
	(void)node;
	json_put_uint(w, *(const uint64_t *)value(plan, key));
}

static void put_real(struct json_writer *w, const struct plan *plan, const struct plan_key *key,
		     const struct yaml_node *node)
{
	(void)node;
	json_put_double(w, *(const double *)value(plan, key));
}

static void put_head(struct json_writer *w, const struct plan *plan, const struct plan_key *key,
		     const struct yaml_node *node)
{
	(void)key;
	if (node->kind == YAML_LIST)
		put_node(w, node);
	else
		json_put_int(w, plan->task.head_above);
}

static void put_json(struct json_writer *w, const struct plan *plan, const struct plan_key *key,
		     const struct yaml_node *node)
{
	struct json *const *json = value(plan, key);
	(void)node;
	if (*json)
		json_put_value(w, json_root(*json));
	else
		json_put_null(w);
}

/* 2e-4 and 0.0002 are the same rate; so are two orders of the same targets. */
static void put_training(struct json_writer *w, const struct plan *plan, const struct plan_key *key,
			 const struct yaml_node *node)
{
	char *end;
	if (!strcmp(plan_key_name(key), "lora_target_modules")) {
		json_put_uint(w, plan->training.kind.lora.targets);
		return;
	}
	double number = strtod(node->text, &end);
	if (end > node->text && !*end)
		json_put_double(w, number);
	else
		json_put_string(w, node->text, strlen(node->text));
}

static const struct {
	reader *read;
	putter *put;
} kinds[PLAN_KINDS] = {
	[PLAN_TEXT] = {read_text, put_as_written},
	[PLAN_NAME] = {read_name, put_as_written},
	[PLAN_PATH] = {read_path, put_as_written},
	[PLAN_WORD] = {read_word, put_as_written},
	[PLAN_WHOLE] = {read_whole, put_int},
	[PLAN_COUNT] = {read_count, put_int},
	[PLAN_REAL] = {read_real, put_real},
	[PLAN_FLAG] = {read_flag, put_as_written},
	[PLAN_SIZE] = {read_size, put_uint},
	[PLAN_SEED] = {read_seed, put_uint},
	[PLAN_DTYPE] = {read_dtype, put_as_written},
	[PLAN_METHOD] = {read_method, put_as_written},
	[PLAN_TEXTS] = {read_texts, put_as_written},
	[PLAN_COMMAND] = {read_command, put_as_written},
	[PLAN_HEAD] = {read_head, put_head},
	[PLAN_HEADERS] = {read_headers, put_as_written},
	[PLAN_JSON] = {read_json, put_json},
	[PLAN_TRAINING] = {read_training, put_training},
};

int plan_key_read(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	return kinds[key->kind].read(plan, key, node, err);
}

void plan_key_put(struct json_writer *w, const struct plan *plan, const struct plan_key *key)
{
	const struct yaml_node *node = plan_key_applies(plan, key) ? plan_key_node(plan, key) : NULL;
	if (node)
		kinds[key->kind].put(w, plan, key, node);
	else
		json_put_null(w);
}
