// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/plan_keys.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"

/* The table's values under a preset as a document: one member for each key that has one, by its whole path. */
static struct yaml *default_document(int64_t preset, struct err *err)
{
	struct grown text = {0};
	struct yaml *doc = NULL;
	for (const struct plan_key *key = plan_keys; key->path; key++) {
		const char *value = plan_key_value(key, preset);
		if (!value)
			continue;
		grown_put(&text, key->path);
		grown_put(&text, ": ");
		grown_put(&text, value);
		grown_put(&text, "\n");
	}
	char *bytes = grown_take(&text, err);
	if (bytes)
		doc = yaml_parse("defaults", bytes, strlen(bytes), err);
	free(bytes);
	return doc;
}

/* The preset comes first: the other keys' values hang on it. */
static int choose_preset(struct plan *plan, struct err *err)
{
	const struct plan_key *key = plan_key_find("method.preset");
	const struct yaml_node *node = plan_key_written(plan, key);
	if (node && node->kind != YAML_NULL && plan_key_read(plan, key, node, err))
		return -1;
	plan->defaults = default_document(plan->method.preset, err);
	return plan->defaults ? 0 : -1;
}

/* "'NAME' is missing in …" with the line of the innermost map that is there. */
static int refuse_missing(const struct plan *plan, const struct plan_key *key, struct err *err)
{
	const struct yaml_node *map = yaml_root(plan->doc), *inner;
	char name[64];
	for (const char *at = key->path;; at += strlen(name) + 1) {
		size_t n = strcspn(at, ".");
		memcpy(name, at, n);
		name[n] = '\0';
		inner = yaml_find(map, name);
		if (!inner)
			break;
		map = inner;
	}
	if (plan_key_is_teacher(key))
		return plan_refuse_key(map, err, "'%s' is missing in 'teacher'; a teacher of kind '%s' needs it", name,
				       plan_teacher_kinds[plan->teacher.kind]);
	return yaml_need(map, name, err) ? 0 : -1;
}

static int read_key(struct plan *plan, const struct plan_key *key, struct err *err)
{
	const struct yaml_node *written = plan_key_written(plan, key), *node = plan_key_node(plan, key);
	bool applies = plan_key_applies(plan, key);
	if (written && !applies && plan->teacher.written && written->kind != YAML_NULL)
		return plan_refuse_key(written, err, "'%s' does not belong to a teacher of kind '%s'",
				       plan_key_name(key), plan_teacher_kinds[plan->teacher.kind]);
	if (node)
		return plan_key_read(plan, key, node, err);
	return applies && key->flags & KEY_REQUIRED ? refuse_missing(plan, key, err) : 0;
}

static int read_keys(struct plan *plan, struct err *err)
{
	const struct yaml_node *root = yaml_root(plan->doc);
	if (plan_check_names(root, err) || choose_preset(plan, err))
		return -1;
	plan->teacher.written = yaml_find(root, "teacher") != NULL;
	for (const struct plan_key *key = plan_keys; key->path; key++)
		if (read_key(plan, key, err))
			return -1;
	if (plan_check(plan, err))
		return -1;
	plan->resolved = plan_text(plan, err);
	return plan->resolved ? 0 : -1;
}

void plan_one_line(struct err *err)
{
	char shown[sizeof err->message];
	text_escape(shown, sizeof shown, err->message, strlen(err->message));
	memcpy(err->message, shown, sizeof shown);
	for (char *c = err->message; (c = strpbrk(c, "\n\t")); c++)
		*c = ' ';
}

int plan_read(struct plan *plan, struct yaml *doc, struct yaml *overrides, const char *path, struct err *err)
{
	*plan = (struct plan){.path = path, .doc = doc, .overrides = overrides, .training = train_config_defaults};
	plan->teacher.price_input = plan->teacher.price_output = plan->teacher.max_cost = -1;
	arena_init(&plan->arena);
	if (doc && !read_keys(plan, err))
		return 0;
	plan_release(plan);
	plan_one_line(err);
	return -1;
}

int plan_load(struct plan *plan, const char *path, struct err *err)
{
	struct err unwanted;
	err = err ? err : &unwanted;
	return plan_read(plan, yaml_load(path, err), NULL, path, err);
}

void plan_release(struct plan *plan)
{
	free(plan->resolved);
	json_free(plan->teacher.extra_body);
	arena_release(&plan->arena);
	yaml_close(plan->doc);
	yaml_close(plan->defaults);
	yaml_close(plan->overrides);
	*plan = (struct plan){0};
}
