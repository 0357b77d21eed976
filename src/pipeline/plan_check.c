// SPDX-License-Identifier: Apache-2.0
/* What a plan's keys must be to each other. */
#include "src/pipeline/plan_keys.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

static const struct yaml_node *node_of(const struct plan *plan, const char *path)
{
	return plan_key_node(plan, plan_key_find(path));
}

static bool lists(const struct plan_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->list[i], name))
			return true;
	return false;
}

static int check_task(const struct plan *plan, struct err *err)
{
	const struct plan_task *task = &plan->task;
	const struct yaml_node *head = node_of(plan, "task.head_domains");
	if (!task->domains.list || !task->head_domains.list)
		return 0;
	for (const struct yaml_node *item = head->first; item; item = item->next)
		if (!lists(&task->domains, item->text))
			return yaml_refuse(item, err, "'%s' is none of task.domains", item->verbatim);
	return 0;
}

static int check_evaluation(const struct plan *plan, struct err *err)
{
	if (plan->evaluation.on != EVALUATE_VALID || plan->task.valid)
		return 0;
	return yaml_refuse(node_of(plan, "evaluation.on"), err, "'on: valid' needs task.valid");
}

static int check_budget(const struct plan *plan, struct err *err)
{
	const struct method *method = plan->method.method;
	if (!method->staged || plan->budget >= plan->stages)
		return 0;
	return yaml_refuse(node_of(plan, "budget"), err,
			   "a budget of %" PRId64 " is too small for %" PRId64 " stages; each needs a query",
			   plan->budget, plan->stages);
}

/* The rest of a URL is judged where it is opened. */
static int check_url(const struct plan *plan, struct err *err)
{
	const char *url = plan->teacher.base_url, *host;
	const struct yaml_node *node = node_of(plan, "teacher.base_url");
	if (!url)
		return 0;
	if (strncasecmp(url, "https://", 8) && strncasecmp(url, "http://", 7))
		return yaml_refuse(node, err, "'base_url' must start with https://, found '%s'", node->verbatim);
	host = strstr(url, "//") + 2;
	size_t n = strcspn(host, "/?#");
	if (!n)
		return yaml_refuse(node, err, "'base_url' names no host");
	if (memchr(host, '@', n))
		return yaml_refuse(node, err, "'base_url' holds a user or password; give the key by api_key_env or "
				   "api_key_file");
	return 0;
}

static int check_teacher(struct plan *plan, struct err *err)
{
	struct plan_teacher *teacher = &plan->teacher;
	if (!teacher->written && plan->method.method->teacher)
		return plan_refuse_key(yaml_root(plan->doc), err, "'teacher' is missing; method '%s' asks one",
				       plan->method.method->name);
	if (teacher->max_cost >= 0 && (teacher->price_input < 0 || teacher->price_output < 0))
		return yaml_refuse(node_of(plan, "teacher.max_cost"), err,
				   "'max_cost' needs both of 'prices': input and output");
	if (teacher->api_key_file)
		teacher->api_key_env = "";
	return check_url(plan, err);
}

static int check_training(struct plan *plan, struct err *err)
{
	const struct yaml_node *training = yaml_find(yaml_root(plan->doc), "training");
	plan->training.kind.seed = plan->training.options.seed = plan->seed;
	plan->training.kind.memory = plan->training.options.memory = plan->student.memory;
	if (!train_config_check(&plan->training, err))
		return 0;
	return training && err->code == ERR_CONFIG ? plan_refuse(training, err) : -1;
}

int plan_check(struct plan *plan, struct err *err)
{
	return check_task(plan, err) || check_evaluation(plan, err) || check_budget(plan, err) || check_teacher(plan, err) ||
			       check_training(plan, err)
		       ? -1
		       : 0;
}
