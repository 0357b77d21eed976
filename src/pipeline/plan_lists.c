// SPDX-License-Identifier: Apache-2.0
/* Keys whose value is a list of texts. */
#include "src/pipeline/plan_keys.h"

#include <stdlib.h>
#include <string.h>

#include "src/dataset/examples.h"

/* A list of texts that are not empty and differ. */
static int check_texts(const struct yaml_node *node, struct err *err)
{
	if (node->count > EXAMPLES_DOMAINS)
		return yaml_refuse(node, err, "'%s' has more than %d texts", node->name, EXAMPLES_DOMAINS);
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

int plan_texts_read(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	if (get_list(plan, plan_field(plan, key), node, err))
		return -1;
	return node->count ? check_texts(node, err) : yaml_refuse(node, err, "'%s' is empty", node->name);
}

int plan_command_read(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	struct plan_list *list = plan_field(plan, key);
	if (get_list(plan, list, node, err))
		return -1;
	if (!list->n || !*list->list[0])
		return yaml_refuse(node, err, "'%s' names no program", node->name);
	if (strchr(list->list[0], '/'))
		list->list[0] = plan_beside(plan, list->list[0], err);
	return list->list[0] ? 0 : -1;
}

int plan_head_read(struct plan *plan, const struct plan_key *key, const struct yaml_node *node, struct err *err)
{
	static const char *const keys[] = {"above", NULL};
	const struct yaml_node *above;
	if (node->kind == YAML_LIST)
		return get_list(plan, plan_field(plan, key), node, err) ? -1 : check_texts(node, err);
	if (node->kind == YAML_SCALAR)
		return yaml_refuse(node, err, "'%s' must be a list of names or {above: N}", node->name);
	if (yaml_check_keys(node, keys, err) || !(above = yaml_need(node, keys[0], err)))
		return -1;
	return yaml_get_int64(above, (int64_t)key->min, (int64_t)key->max, &plan->task.head_above, err);
}
