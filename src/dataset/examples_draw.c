// SPDX-License-Identifier: Apache-2.0
/* Rows drawn with a seed: the split into pool and test; and what pool and test have in common. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference/philox.h"
#include "src/dataset/copies.h"
#include "src/dataset/examples_parts.h"
#include "src/dataset/rows.h"

/* A stream of philox.h: "data" in letters. */
enum { STREAM = 0x64617461 };

/* A row and its place in the draw of its domain. */
struct ticket {
	size_t domain, row;
	uint64_t number;
	const struct ifd_id *id;
};

/* By domain, then by number drawn, then by id. */
static int by_ticket(const void *a, const void *b)
{
	const struct ticket *x = a, *y = b;
	if (x->domain != y->domain)
		return x->domain < y->domain ? -1 : 1;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return ifd_id_compare(x->id, y->id);
}

static struct ticket *draw(const struct examples *examples, uint64_t seed, enum examples_purpose what, struct err *err)
{
	struct ticket *ticket = mem_array(examples->n, sizeof *ticket, err);
	struct philox_key key = philox_stream(seed, PHILOX_SHUFFLE, STREAM, (uint32_t)what, 0);
	for (size_t i = 0; ticket && i < examples->n; i++) {
		const struct example *row = &examples->row[i];
		struct philox_words words = philox_at(key, 0, row_key_of(&row->id));
		size_t domain = what == EXAMPLES_DRAW ? 0 : row->domain; /* of all rows alike */
		ticket[i] = (struct ticket){domain, i, (uint64_t)words.w[0] << 32 | words.w[1], &row->id};
	}
	if (ticket)
		qsort(ticket, examples->n, sizeof *ticket, by_ticket);
	return ticket;
}

bool *examples_choose(const struct examples *examples, const size_t *count, uint64_t seed, enum examples_purpose what,
		      struct err *err)
{
	struct ticket *ticket = draw(examples, seed, what, err);
	bool *chosen = ticket ? mem_array(examples->n, sizeof *chosen, err) : NULL;
	size_t taken = 0;
	for (size_t i = 0; chosen && i < examples->n; i++) {
		taken = i && ticket[i].domain == ticket[i - 1].domain ? taken + 1 : 0;
		chosen[ticket[i].row] = taken < count[ticket[i].domain];
	}
	free(ticket);
	return chosen;
}

/* ---- split -------------------------------------------------------------------------------------- */

/* The chosen rows as a set of their own, texts borrowed. */
static int borrow(struct examples *test, const struct examples *examples, const bool *chosen, struct err *err)
{
	examples_init(test);
	test->path = examples->path;
	if (mem_grow(&test->row, &test->room, examples->n, sizeof *test->row, err) ||
	    mem_grow(&test->domain, &test->domain_room, examples->l, sizeof *test->domain, err))
		return -1;
	memcpy(test->domain, examples->domain, examples->l * sizeof *test->domain);
	test->l = examples->l;
	for (size_t i = 0; i < examples->n; i++)
		if (chosen[i])
			test->row[test->n++] = examples->row[i];
	return examples_group(test, err);
}

int examples_split(struct examples *test, struct examples *examples, double fraction, uint64_t seed, struct err *err)
{
	examples_init(test);
	if (!(fraction > 0 && fraction < 1))
		return err_set(err, ERR_CONFIG, "the test fraction is to be between 0 and 1, not %g", fraction);
	size_t *count = mem_array(examples->l, sizeof *count, err);
	for (size_t d = 0; count && d < examples->l; d++) {
		size_t n = examples->domain[d].n, wanted = (size_t)round(fraction * (double)n);
		count[d] = wanted < n ? wanted : n - 1;
	}
	bool *chosen = count ? examples_choose(examples, count, seed, EXAMPLES_SPLIT, err) : NULL;
	int rc = chosen && !borrow(test, examples, chosen, err) ? examples_remove(examples, chosen, err) : -1;
	if (rc)
		examples_release(test);
	free(count);
	free(chosen);
	return rc;
}

/* ---- near duplicates -------------------------------------------------------------------------------- */

static struct copies *index_inputs(const struct examples *pool, struct err *err)
{
	const char **texts = mem_array(pool->n, sizeof *texts, err);
	for (size_t i = 0; texts && i < pool->n; i++)
		texts[i] = pool->row[i].input;
	struct copies *copies = texts ? copies_new(texts, pool->n, NULL, err) : NULL;
	free(texts);
	return copies;
}

static int add_pairs(struct example_pair **pair, size_t *n, size_t *room, const struct copies *pool, const char *input,
		     size_t test, struct err *err)
{
	struct copies_match *list;
	size_t found;
	if (copies_near(&list, &found, pool, input, strlen(input), err))
		return -1;
	int rc = mem_grow(pair, room, *n + found, sizeof **pair, err);
	for (size_t i = 0; !rc && i < found; i++)
		(*pair)[(*n)++] = (struct example_pair){list[i].index, test, list[i].equal, list[i].share};
	free(list);
	return rc;
}

int examples_near(struct example_pair **pair, size_t *n, const struct examples *pool, const struct examples *test,
		  struct err *err)
{
	size_t room = 0;
	*pair = NULL;
	*n = 0;
	struct copies *copies = index_inputs(pool, err);
	int rc = copies ? 0 : -1;
	for (size_t i = 0; !rc && i < test->n; i++)
		rc = add_pairs(pair, n, &room, copies, test->row[i].input, i, err);
	copies_free(copies);
	if (rc) {
		free(*pair);
		*pair = NULL;
		*n = 0;
	}
	return rc;
}
