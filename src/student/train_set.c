// SPDX-License-Identifier: Apache-2.0
#include "src/student/train_set.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

static int append(struct train_set *set, const struct token_list *list, struct err *err)
{
	if (!list->n)
		return 0;
	if (mem_grow(&set->ids, &set->ids_room, set->ids_n + list->n, sizeof *set->ids, err))
		return -1;
	memcpy(set->ids + set->ids_n, list->ids, list->n * sizeof *list->ids);
	set->ids_n += list->n;
	return 0;
}

/* The first token of a row has nothing before it, so it is never a target. */
static int64_t first_target(const struct train_set *set, const struct example_ids *example)
{
	int64_t first = set->completion_only ? (int64_t)example->prompt.n : 1;
	return first > 1 ? first : 1;
}

int train_set_add(struct train_set *set, const struct example_ids *example, const struct train_row_info *info,
		  struct err *err)
{
	int64_t n = (int64_t)(example->prompt.n + example->target.n), first = first_target(set, example);
	int64_t kept = n > set->max_length ? set->max_length : n;
	size_t begin = set->ids_n;
	if (first >= kept && kept < n)
		return err_set(err, ERR_DATA, "the prompt's %zu tokens leave no target within max_length %lld; raise it or shorten the prompt",
			       example->prompt.n, (long long)set->max_length);
	if (first >= kept)
		return err_set(err, ERR_DATA, "the row has no target token");
	if (mem_grow(&set->rows, &set->room, set->n + 1, sizeof *set->rows, err) || append(set, &example->prompt, err) ||
	    append(set, &example->target, err))
		return -1;
	set->ids_n = begin + (size_t)kept;
	set->rows[set->n++] = (struct train_row){.n = kept, .first_target = first, .key = info->key, .line = info->line,
						 .domain = info->domain};
	set->cut += kept < n;
	set->tokens += kept;
	set->targets += kept - first;
	return 0;
}

void train_set_finish(struct train_set *set)
{
	const int32_t *at = set->ids;
	for (size_t i = 0; i < set->n; i++) {
		set->rows[i].ids = at;
		at += set->rows[i].n;
	}
}

void train_set_release(struct train_set *set)
{
	free(set->rows);
	free(set->ids);
	*set = (struct train_set){0};
}
