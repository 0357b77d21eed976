// SPDX-License-Identifier: Apache-2.0
/* One key's node into the plan's field. */
#include "src/pipeline/plan_keys.h"

#include <string.h>

static int read_text(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	const char **to = plan_field(plan, key);
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
	const char **to = plan_field(plan, key);
	size_t index;
	if (node->kind == YAML_SCALAR && !strcmp(node->text, key->value))
		*to = key->value;
	else if (yaml_get_word(node, key->words, &index, err))
		return -1;
	else
		*to = key->words[index];
	return 0;
}

const char *plan_beside(struct plan *plan, const char *name, struct err *err)
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
	const char **to = plan_field(plan, key);
	if (read_text(plan, key, node, err))
		return -1;
	*to = plan_beside(plan, *to, err);
	return *to ? 0 : -1;
}

static int read_word(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	size_t index;
	if (yaml_get_word(node, key->words, &index, err))
		return -1;
	*(int64_t *)plan_field(plan, key) = (int64_t)index;
	return 0;
}

static int read_whole(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	return yaml_get_int64(node, (int64_t)key->min, (int64_t)key->max, plan_field(plan, key), err);
}

static int read_count(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	if (node->kind == YAML_SCALAR && !strcmp(node->text, "all")) {
		*(int64_t *)plan_field(plan, key) = 0;
		return 0;
	}
	return read_whole(plan, key, node, err);
}

static int read_real(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	return yaml_get_double(node, key->min, key->max, plan_field(plan, key), err);
}

static int read_flag(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	size_t index;
	if (!key->words)
		return yaml_get_bool(node, plan_field(plan, key), err);
	if (yaml_get_word(node, key->words, &index, err))
		return -1;
	*(bool *)plan_field(plan, key) = index;
	return 0;
}

static int read_size(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	size_t bytes;
	if (yaml_get_size(node, &bytes, err))
		return -1;
	*(uint64_t *)plan_field(plan, key) = bytes;
	return 0;
}

static int read_seed(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	int64_t seed;
	if (yaml_get_int64(node, 0, INT64_MAX, &seed, err))
		return -1;
	*(uint64_t *)plan_field(plan, key) = (uint64_t)seed;
	return 0;
}

static int read_dtype(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	static const enum dtype types[] = {DTYPE_BF16, DTYPE_F32};
	size_t index;
	if (yaml_get_word(node, key->words, &index, err))
		return -1;
	*(enum dtype *)plan_field(plan, key) = types[index];
	return 0;
}

static int read_method(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	const struct method **to = plan_field(plan, key);
	const char *name;
	if (yaml_get_string(node, &name, err))
		return -1;
	*to = method_find(name, err);
	return *to ? 0 : plan_refuse(node, err);
}

static int read_headers(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	return plan_headers_read(plan, plan_field(plan, key), node, err);
}

static int read_json(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	return plan_json_read(plan_field(plan, key), node, err);
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

static int (*const readers[PLAN_KINDS])(struct plan *, const struct plan_key *, const struct yaml_node *,
				       struct err *) = {
	[PLAN_TEXT] = read_text,
	[PLAN_NAME] = read_name,
	[PLAN_PATH] = read_path,
	[PLAN_WORD] = read_word,
	[PLAN_WHOLE] = read_whole,
	[PLAN_COUNT] = read_count,
	[PLAN_REAL] = read_real,
	[PLAN_FLAG] = read_flag,
	[PLAN_SIZE] = read_size,
	[PLAN_SEED] = read_seed,
	[PLAN_DTYPE] = read_dtype,
	[PLAN_METHOD] = read_method,
	[PLAN_TEXTS] = plan_texts_read,
	[PLAN_COMMAND] = plan_command_read,
	[PLAN_HEAD] = plan_head_read,
	[PLAN_HEADERS] = read_headers,
	[PLAN_JSON] = read_json,
	[PLAN_TRAINING] = read_training,
};

int plan_key_read(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	return readers[key->kind](plan, key, node, err);
}
