// SPDX-License-Identifier: Apache-2.0
/* Class names by their first character, so that a place in a text is compared with few of a long list. */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/dataset/answer_parts.h"

/*
 * A list for each plain character in lower case; the first is of all other
 * names, those that begin with a blank among them, as one blank is like another.
 */
enum { OTHERS = 0, LISTS = 0x80 };

struct answer_index {
	size_t begin[LISTS + 1]; /* places in name[] */
	size_t *name;            /* numbers of names, rising within each list */
};

static size_t list_of(uint32_t first)
{
	return first > ' ' && first < LISTS ? first : OTHERS;
}

static size_t list_of_name(const char *name)
{
	size_t length;
	return list_of(words_char(name, strlen(name) + 1, &length));
}

/* A counting sort: while names are put down, begin[c] is where the next one of list c goes. */
static void sort_names(struct answer_index *index, const struct answer_task *task)
{
	for (size_t i = 0; i < task->n; i++)
		index->begin[list_of_name(task->names[i]) + 1]++;
	for (size_t c = 0; c < LISTS; c++)
		index->begin[c + 1] += index->begin[c];
	for (size_t i = 0; i < task->n; i++)
		index->name[index->begin[list_of_name(task->names[i])]++] = i;
	for (size_t c = LISTS; c > 0; c--)
		index->begin[c] = index->begin[c - 1];
	index->begin[0] = 0;
}

struct answer_index *answer_index_new(const struct answer_task *task, struct err *err)
{
	struct answer_index *index = mem_array(1, sizeof *index, err);
	if (!index)
		return NULL;
	index->name = mem_array(task->n, sizeof *index->name, err);
	if (!index->name) {
		free(index);
		return NULL;
	}
	sort_names(index, task);
	return index;
}

void answer_index_free(struct answer_index *index)
{
	if (index)
		free(index->name);
	free(index);
}

const size_t *answer_index_at(const struct answer_index *index, uint32_t first, size_t *n)
{
	size_t c = list_of(first);
	*n = index->begin[c + 1] - index->begin[c];
	return index->name + index->begin[c];
}
