// SPDX-License-Identifier: Apache-2.0
/* Rows and domains in memory: adding, grouping, removing. */
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/dataset/examples.h"
#include "src/dataset/rows.h"

void examples_init(struct examples *examples)
{
	*examples = (struct examples){.path = ""};
	arena_init(&examples->arena);
}

void examples_release(struct examples *examples)
{
	free(examples->row);
	free(examples->domain);
	arena_release(&examples->arena);
	examples_init(examples);
}

/* ---- adding ---------------------------------------------------------------------------------- */

static int copy_texts(struct example *copy, struct arena *arena, struct err *err)
{
	copy->input = arena_strdup(arena, copy->input, err);
	copy->label = copy->input ? arena_strdup(arena, copy->label, err) : NULL;
	if (!copy->label)
		return -1;
	if (!copy->id.is_number && !(copy->id.text = arena_strdup(arena, copy->id.text, err)))
		return -1;
	const char **choices = copy->n_choices ? arena_array(arena, copy->n_choices, sizeof *choices, err) : NULL;
	if (copy->n_choices && !choices)
		return -1;
	for (size_t i = 0; i < copy->n_choices; i++)
		if (!(choices[i] = arena_strdup(arena, copy->choices[i], err)))
			return -1;
	copy->choices = choices;
	return 0;
}

size_t examples_find_domain(const struct examples *examples, const char *name)
{
	size_t d = 0;
	while (d < examples->l && strcmp(examples->domain[d].name, name))
		d++;
	return d;
}

static int domain_of(size_t *index, struct examples *examples, const char *name, struct err *err)
{
	*index = examples_find_domain(examples, name);
	if (*index < examples->l)
		return 0;
	if (examples->l == EXAMPLES_DOMAINS)
		return err_set(err, ERR_DATA, "these are more than %d domains; is it the right key that names them?", EXAMPLES_DOMAINS);
	if (mem_grow(&examples->domain, &examples->domain_room, examples->l + 1, sizeof *examples->domain, err))
		return -1;
	char *copy = arena_strdup(&examples->arena, name, err);
	if (!copy)
		return -1;
	examples->domain[examples->l++] = (struct example_domain){.name = copy};
	return 0;
}

int examples_add(struct examples *examples, const struct example *example, const char *domain, struct err *err)
{
	struct example copy = *example;
	if (mem_grow(&examples->row, &examples->room, examples->n + 1, sizeof *examples->row, err) ||
	    domain_of(&copy.domain, examples, domain, err) || copy_texts(&copy, &examples->arena, err))
		return -1;
	examples->row[examples->n++] = copy;
	return 0;
}

/* ---- grouping ---------------------------------------------------------------------------------- */

/* n_d descending, then name in byte order. */
static int by_size(const void *a, const void *b)
{
	const struct example_domain *const *x = a, *const *y = b;
	if ((*x)->n != (*y)->n)
		return (*x)->n > (*y)->n ? -1 : 1;
	return strcmp((*x)->name, (*y)->name);
}

/* Put the domains that have rows in order, and give the rows their new indexes. */
static void reorder(struct examples *examples, struct example_domain *old, const struct example_domain **order,
		    size_t *place)
{
	size_t l = 0;
	memcpy(old, examples->domain, examples->l * sizeof *old);
	for (size_t d = 0; d < examples->l; d++)
		order[d] = &old[d];
	qsort(order, examples->l, sizeof *order, by_size);
	for (size_t d = 0; d < examples->l; d++) {
		place[order[d] - old] = d;
		examples->domain[d] = *order[d];
		l += order[d]->n > 0;
	}
	examples->l = l;
	for (size_t i = 0; i < examples->n; i++)
		examples->row[i].domain = place[examples->row[i].domain];
}

int examples_group(struct examples *examples, struct err *err)
{
	if (!examples->l)
		return 0;
	struct example_domain *old = mem_array(examples->l, sizeof *old, err);
	const struct example_domain **order = old ? mem_array(examples->l, sizeof *order, err) : NULL;
	size_t *place = order ? mem_array(examples->l, sizeof *place, err) : NULL;
	if (place) {
		for (size_t d = 0; d < examples->l; d++)
			examples->domain[d].n = 0;
		for (size_t i = 0; i < examples->n; i++)
			examples->domain[examples->row[i].domain].n++;
		reorder(examples, old, order, place);
	}
	free(old);
	free(order);
	free(place);
	return place ? 0 : -1;
}

int examples_remove(struct examples *examples, const bool *drop, struct err *err)
{
	size_t kept = 0;
	for (size_t i = 0; i < examples->n; i++)
		if (!drop[i])
			examples->row[kept++] = examples->row[i];
	examples->n = kept;
	return examples_group(examples, err);
}

/* ---- duplicates --------------------------------------------------------------------------------- */

/* Input, label, domain and choices: the same question with other choices, or in another domain, is another. */
static int compare_content(const struct example *x, const struct example *y)
{
	int difference = strcmp(x->input, y->input);
	if (!difference)
		difference = (x->domain > y->domain) - (x->domain < y->domain);
	if (!difference)
		difference = strcmp(x->label, y->label);
	if (!difference)
		difference = (x->n_choices > y->n_choices) - (x->n_choices < y->n_choices);
	for (size_t i = 0; !difference && i < x->n_choices; i++)
		difference = strcmp(x->choices[i], y->choices[i]);
	return difference;
}

/* By content, rows of the same content in the order of the file. */
static int by_content(const void *a, const void *b)
{
	const struct example *const *x = a, *const *y = b;
	int difference = compare_content(*x, *y);
	return difference ? difference : (*x > *y) - (*x < *y);
}

/* again[row]: it equals one before it. How many do, in *n; NULL where memory is short. */
static bool *find_duplicates(const struct examples *examples, size_t *n, struct err *err)
{
	const struct example **order = mem_array(examples->n, sizeof *order, err);
	bool *again = order ? mem_array(examples->n, sizeof *again, err) : NULL;
	*n = 0;
	if (again) {
		for (size_t i = 0; i < examples->n; i++)
			order[i] = &examples->row[i];
		qsort(order, examples->n, sizeof *order, by_content);
		for (size_t i = 1; i < examples->n; i++)
			if (!compare_content(order[i - 1], order[i])) {
				again[order[i] - examples->row] = true;
				(*n)++;
			}
	}
	free(order);
	return again;
}

int examples_drop_duplicates(struct examples *examples, size_t *dropped, struct err *err)
{
	bool *again = find_duplicates(examples, dropped, err);
	int rc = again ? examples_remove(examples, again, err) : -1;
	free(again);
	return rc;
}

int examples_count_duplicates(const struct examples *examples, size_t *duplicates, struct err *err)
{
	bool *again = find_duplicates(examples, duplicates, err);
	free(again);
	return again ? 0 : -1;
}

/* ---- ids ------------------------------------------------------------------------------------------ */

static int same_id(const char *path, const struct example *a, const struct example *b, struct err *err)
{
	char shown[128];
	bool line = a->id.is_number && (a->id.number == (int64_t)a->line || b->id.number == (int64_t)b->line);
	if (*path && a->line && b->line)
		return err_set(err, ERR_DATA, "%s: lines %zu and %zu have the same id%s", path, a->line, b->line,
			       line ? "; a row without one has its line's number" : "");
	if (a->id.is_number)
		return err_set(err, ERR_DATA, "two rows have the id %lld", (long long)a->id.number);
	return err_set(err, ERR_DATA, "two rows have the id '%s'",
		       text_escape(shown, sizeof shown, a->id.text, strlen(a->id.text)));
}

int examples_expect_ids(const struct examples *examples, struct err *err)
{
	struct named_row *list = mem_array(examples->n, sizeof *list, err);
	size_t twin[2];
	int rc = list ? 0 : -1;
	for (size_t i = 0; list && i < examples->n; i++)
		list[i] = (struct named_row){&examples->row[i].id, i};
	if (list && rows_twins(twin, list, examples->n))
		rc = same_id(examples->path, &examples->row[twin[0]], &examples->row[twin[1]], err);
	free(list);
	return rc;
}

/* ---- named domains ------------------------------------------------------------------------------- */

static int no_rows(const struct examples *examples, const char *name, struct err *err)
{
	char shown[128];
	return err_set(err, ERR_DATA, "%s: domain '%s' has no row", examples->path,
		       text_escape(shown, sizeof shown, name, strlen(name)));
}

int examples_expect_domains(const struct examples *examples, const char *const *names, size_t n, struct err *err)
{
	char shown[128];
	for (size_t i = 0; i < n; i++)
		if (examples_find_domain(examples, names[i]) == examples->l)
			return no_rows(examples, names[i], err);
	for (size_t i = 0; i < examples->n; i++) {
		const char *name = examples->domain[examples->row[i].domain].name;
		size_t k = 0;
		while (k < n && strcmp(names[k], name))
			k++;
		if (k == n)
			return err_set(err, ERR_DATA, "%s:%zu: domain '%s' is not in the list of domains",
				       examples->path, examples->row[i].line,
				       text_escape(shown, sizeof shown, name, strlen(name)));
	}
	return 0;
}

void examples_head_above(struct examples *examples, size_t above)
{
	for (size_t d = 0; d < examples->l; d++)
		examples->domain[d].head = examples->domain[d].n > above;
}

int examples_head_named(struct examples *examples, const char *const *names, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (examples_find_domain(examples, names[i]) == examples->l)
			return no_rows(examples, names[i], err);
	for (size_t d = 0; d < examples->l; d++)
		examples->domain[d].head = false;
	for (size_t i = 0; i < n; i++)
		examples->domain[examples_find_domain(examples, names[i])].head = true;
	return 0;
}

int examples_head_listed(struct examples *examples, const char *list, struct err *err)
{
	size_t n = 0;
	char *copy = mem_strdup(list, err), *rest = copy;
	const char **names = copy ? mem_array(strlen(copy) + 1, sizeof *names, err) : NULL;
	for (char *name; names && (name = text_list_next(&rest));)
		names[n++] = name;
	int rc = names ? examples_head_named(examples, names, n, err) : -1;
	free(names);
	free(copy);
	return rc;
}
