// SPDX-License-Identifier: Apache-2.0
/* Keys that a plan does not have: misspelt ones, other projects' names, ones that stand elsewhere, and secrets. */
#include "src/pipeline/plan_keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/text.h"

enum { LEVEL_KEYS = 32, LEVEL_ROOM = 40, LEVEL_PREFIX = 64 };

/* The keys that one map of a plan may have. */
struct level {
	char name[LEVEL_KEYS][LEVEL_ROOM];
	const char *list[LEVEL_KEYS + 1];
	size_t n;
};

/* Other projects' names, by the map they are found in. */
static const struct {
	const char *prefix, *theirs, *ours;
} aliases[] = {
	{"", "model", "student.model_name_or_path"}, {"", "base_model", "student.model_name_or_path"},
	{"", "model_name", "student.model_name_or_path"}, {"", "K", "stages"}, {"", "num_stages", "stages"},
	{"", "B", "budget"}, {"", "max_queries", "budget"}, {"", "output", "output_dir"},
	{"", "output_path", "output_dir"}, {"", "policy", "method"}, {"", "preset", "method.preset"},
	{"", "domains", "task.domains"}, {"", "data", "task.train"}, {"", "dataset", "task.train"},
	{"task.", "data", "train"}, {"task.", "train_file", "train"}, {"task.", "dataset", "train"},
	{"task.", "validation", "valid"}, {"task.", "valid_file", "valid"}, {"task.", "validation_file", "valid"},
	{"task.", "test_file", "test"}, {"task.fields.", "text", "input"}, {"task.fields.", "answer", "label"},
	{"student.", "model", "model_name_or_path"}, {"student.", "base_model", "model_name_or_path"},
	{"student.", "model_name", "model_name_or_path"}, {"student.", "model_path", "model_name_or_path"},
	{"student.", "template", "chat_template"}, {"student.", "torch_dtype", "dtype"},
	{"teacher.", "model_name", "model"}, {"teacher.", "api_base", "base_url"}, {"teacher.", "endpoint", "base_url"},
	{"teacher.", "url", "base_url"}, {"teacher.", "max_new_tokens", "max_tokens"},
	{"teacher.", "max_completion_tokens", "max_tokens, with max_tokens_key: max_completion_tokens,"},
	{"teacher.temperature.", "synthesize", "synthesise"},
};

int plan_refuse(const struct yaml_node *node, struct err *err)
{
	const struct err why = *err;
	return yaml_refuse(node, err, "%s", why.message);
}

int plan_refuse_key(const struct yaml_node *node, struct err *err, const char *format, ...)
{
	struct yaml_node key = *node;
	char message[768];
	va_list args;
	key.line = node->key_line;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	return yaml_refuse(&key, err, "%s", message);
}

bool plan_is_secret(const char *name)
{
	static const char *const names[] = {"api_key", "key", "token", "api_token", "apikey", "secret", "password"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* The words that follow `prefix` in the table's paths, each once. */
static void level_fill(struct level *level, const char *prefix)
{
	size_t start = strlen(prefix);
	level->n = 0;
	for (const struct plan_key *key = plan_keys; key->path; key++) {
		const char *word = key->path + start;
		if (strncmp(key->path, prefix, start))
			continue;
		size_t n = strcspn(word, ".");
		if (level->n && !strncmp(level->name[level->n - 1], word, n) && !level->name[level->n - 1][n])
			continue;
		snprintf(level->name[level->n], LEVEL_ROOM, "%.*s", (int)n, word);
		level->list[level->n] = level->name[level->n];
		level->n++;
	}
	level->list[level->n] = NULL;
}

static bool level_has(const struct level *level, const char *name)
{
	for (size_t i = 0; i < level->n; i++)
		if (!strcmp(level->name[i], name))
			return true;
	return false;
}

/* The first path with this word in it, and what stands before the word; NULL: there is none. */
static const char *elsewhere(const char *name, size_t *before)
{
	size_t n = strlen(name);
	for (const struct plan_key *key = plan_keys; key->path && !strchr(name, '.'); key++)
		for (const char *word = key->path;; word++) {
			if (!strncmp(word, name, n) && (word[n] == '.' || !word[n])) {
				*before = (size_t)(word - key->path);
				return key->path;
			}
			word = strchr(word, '.');
			if (!word)
				break;
		}
	return NULL;
}

static int refuse_name(const struct yaml_node *map, const struct yaml_node *child, const char *prefix,
		       const struct level *level, struct err *err)
{
	const char *path;
	char name[100];
	size_t n;
	text_escape(name, sizeof name, child->name, strlen(child->name));
	if (plan_is_secret(child->name))
		return plan_refuse_key(child, err,
				       "'%s': a key never stands in a plan; name its environment variable with "
				       "teacher.api_key_env, or its file with teacher.api_key_file",
				       name);
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (!strcmp(aliases[i].prefix, prefix) && !strcmp(aliases[i].theirs, child->name))
			return plan_refuse_key(child, err, "'%s' is called '%s' here", name, aliases[i].ours);
	path = elsewhere(child->name, &n);
	if (path && n)
		return plan_refuse_key(child, err, "unknown key '%s' here; it belongs in '%.*s'", name, (int)n - 1,
				       path);
	if (path)
		return plan_refuse_key(child, err, "unknown key '%s' here; it belongs to the top level", name);
	return yaml_check_keys(map, level->list, err);
}

static bool is_section(const char *path)
{
	size_t n = strlen(path);
	for (const struct plan_key *key = plan_keys; key->path; key++)
		if (!strncmp(key->path, path, n))
			return true;
	return false;
}

/* `prefix` is empty or ends in a point. */
static int check_map(const struct yaml_node *map, const char *prefix, struct err *err)
{
	struct level level;
	char inner[LEVEL_PREFIX];
	level_fill(&level, prefix);
	if (map->kind != YAML_MAP)
		return map->kind == YAML_NULL && *prefix ? 0 : yaml_check_keys(map, level.list, err);
	for (const struct yaml_node *child = map->first; child; child = child->next) {
		if (!level_has(&level, child->name))
			return refuse_name(map, child, prefix, &level, err);
		snprintf(inner, sizeof inner, "%s%s.", prefix, child->name);
		bool named = !strcmp(inner, "method.") && child->kind == YAML_SCALAR;
		if (is_section(inner) && !named && strcmp(inner, "training.") && check_map(child, inner, err))
			return -1;
	}
	return 0;
}

int plan_check_names(const struct yaml_node *root, struct err *err)
{
	struct train_config scratch = train_config_defaults;
	const struct yaml_node *training = root->kind == YAML_MAP ? yaml_find(root, "training") : NULL;
	if (check_map(root, "", err))
		return -1;
	return training ? train_config_read(&scratch, training, err) : 0;
}
