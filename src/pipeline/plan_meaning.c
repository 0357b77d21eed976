// SPDX-License-Identifier: Apache-2.0
/* What a key's value means, as JSON: two ways to write one value give the same bytes. */
#include "src/pipeline/plan_keys.h"

#include <stdlib.h>
#include <string.h>

static const void *value(const struct plan *plan, const struct plan_key *key)
{
	return (const char *)plan + key->at;
}

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

/* A secret may change; which variable holds it may not. */
static void put_headers(struct json_writer *w, const struct plan *plan, const struct plan_key *key,
			const struct yaml_node *node)
{
	(void)plan, (void)key;
	json_begin_object(w);
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		const char *text = strstr(child->verbatim, "${") ? child->verbatim : child->text;
		json_put_key(w, child->name);
		json_put_string(w, text, strlen(text));
	}
	json_end_object(w);
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

static void (*const putters[PLAN_KINDS])(struct json_writer *, const struct plan *, const struct plan_key *,
					const struct yaml_node *) = {
	[PLAN_TEXT] = put_as_written,
	[PLAN_NAME] = put_as_written,
	[PLAN_PATH] = put_as_written,
	[PLAN_WORD] = put_as_written,
	[PLAN_WHOLE] = put_int,
	[PLAN_COUNT] = put_int,
	[PLAN_REAL] = put_real,
	[PLAN_FLAG] = put_as_written,
	[PLAN_SIZE] = put_uint,
	[PLAN_SEED] = put_uint,
	[PLAN_DTYPE] = put_as_written,
	[PLAN_METHOD] = put_as_written,
	[PLAN_TEXTS] = put_as_written,
	[PLAN_COMMAND] = put_as_written,
	[PLAN_HEAD] = put_head,
	[PLAN_HEADERS] = put_headers,
	[PLAN_JSON] = put_json,
	[PLAN_TRAINING] = put_training,
};

void plan_key_put(struct json_writer *w, const struct plan *plan, const struct plan_key *key)
{
	const struct yaml_node *node = plan_key_applies(plan, key) ? plan_key_node(plan, key) : NULL;
	if (node)
		putters[key->kind](w, plan, key, node);
	else
		json_put_null(w);
}
