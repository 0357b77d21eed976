// SPDX-License-Identifier: Apache-2.0
#include "src/dataset/copies.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/dataset/copies_runs.h"

/* A run of more than so many texts, and of more than one in so many, is usual: a passage under many questions is not. */
enum { USUAL_TEXTS = 20, USUAL_SHARE = 5 };

struct copies {
	struct run *run; /* by hash, then text; each pair once */
	size_t runs;
	struct run *whole; /* every text as one run of all its words, likewise */
	size_t texts;
	uint64_t *usual; /* [usuals] runs of so many texts that they are a template's; sorted */
	size_t usuals;
	const struct copies *also; /* whose usual runs are usual here too; borrowed; NULL: none */
	size_t *common; /* [texts], of a text that is looked at: runs that each has of it, or EQUAL; else 0 */
	size_t *shared; /* [texts]: those that have any */
};

/* ---- all texts ---------------------------------------------------------------------------------- */

static int add_text(struct copies *copies, size_t *room, const char *text, size_t index, struct err *err)
{
	struct text_runs runs;
	if (copies_read_runs(&runs, index, text, strlen(text), err))
		return -1;
	int rc = mem_grow(&copies->run, room, copies->runs + runs.n, sizeof *copies->run, err);
	if (!rc && runs.n) {
		memcpy(copies->run + copies->runs, runs.run, runs.n * sizeof *runs.run);
		copies->runs += runs.n;
	}
	if (!rc)
		copies->whole[index] = (struct run){runs.whole, index};
	free(runs.run);
	return rc;
}

/* Move the runs of more than `most` texts from the table to the usual ones. */
static int part_usual(struct copies *copies, size_t most, struct err *err)
{
	struct run *run = copies->run;
	size_t kept = 0, room = 0, next;
	for (size_t i = 0; i < copies->runs; i = next) {
		for (next = i; next < copies->runs && run[next].hash == run[i].hash;)
			next++;
		if (next - i <= most) {
			memmove(run + kept, run + i, (next - i) * sizeof *run);
			kept += next - i;
		} else if (mem_grow(&copies->usual, &room, copies->usuals + 1, sizeof *copies->usual, err)) {
			return -1;
		} else {
			copies->usual[copies->usuals++] = run[i].hash;
		}
	}
	copies->runs = kept;
	return 0;
}

struct copies *copies_new(const char *const *texts, size_t n, const struct copies *also, struct err *err)
{
	struct copies *copies = mem_array(1, sizeof *copies, err);
	size_t room = 0;
	if (!copies)
		return NULL;
	copies->texts = n;
	copies->also = also;
	copies->whole = mem_array(n, sizeof *copies->whole, err);
	copies->common = copies->whole ? mem_array(n, sizeof *copies->common, err) : NULL;
	copies->shared = copies->common ? mem_array(n, sizeof *copies->shared, err) : NULL;
	int rc = copies->shared ? 0 : -1;
	for (size_t i = 0; !rc && i < n; i++)
		rc = add_text(copies, &room, texts[i], i, err);
	if (!rc) {
		copies->runs = copies_sort_runs(copies->run, copies->runs);
		copies_sort_runs(copies->whole, n);
		rc = part_usual(copies, n / USUAL_SHARE > USUAL_TEXTS ? n / USUAL_SHARE : USUAL_TEXTS, err);
	}
	if (!rc)
		return copies;
	copies_free(copies);
	return NULL;
}

void copies_free(struct copies *copies)
{
	if (!copies)
		return;
	free(copies->run);
	free(copies->usual);
	free(copies->whole);
	free(copies->common);
	free(copies->shared);
	free(copies);
}

/* The first of n runs whose hash is not less. */
static size_t lower_bound(const struct run *run, size_t n, uint64_t hash)
{
	size_t low = 0;
	while (n) {
		size_t half = n / 2;
		if (run[low + half].hash < hash) {
			low += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return low;
}

#define EQUAL SIZE_MAX

/* Known texts that have something of one text, in no order; what each has is copies->common. */
struct shares {
	const struct copies *copies;
	size_t n, runs; /* texts; runs of the one that are not usual */
};

static void add_shares(struct shares *shares, const struct run *run, size_t n, uint64_t hash, bool equal)
{
	const struct copies *copies = shares->copies;
	for (size_t at = lower_bound(run, n, hash); at < n && run[at].hash == hash; at++) {
		size_t *common = &copies->common[run[at].text];
		if (!*common)
			copies->shared[shares->n++] = run[at].text;
		*common = equal ? EQUAL : *common + 1;
	}
}

static int by_hash(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static bool is_usual(const struct copies *copies, uint64_t hash)
{
	for (; copies; copies = copies->also)
		if (copies->usuals && bsearch(&hash, copies->usual, copies->usuals, sizeof hash, by_hash))
			return true;
	return false;
}

static int count_shares(struct shares *shares, const struct copies *copies, const char *text, size_t n, struct err *err)
{
	struct text_runs runs;
	if (copies_read_runs(&runs, 0, text, n, err))
		return -1;
	*shares = (struct shares){.copies = copies};
	for (size_t i = 0; i < runs.n; i++) {
		if (is_usual(copies, runs.run[i].hash))
			continue;
		shares->runs++;
		add_shares(shares, copies->run, copies->runs, runs.run[i].hash, false);
	}
	add_shares(shares, copies->whole, copies->texts, runs.whole, true);
	free(runs.run);
	return 0;
}

/* Ready for the next text. */
static void forget(const struct shares *shares)
{
	for (size_t i = 0; i < shares->n; i++)
		shares->copies->common[shares->copies->shared[i]] = 0;
}

static struct copies_match match_of(const struct shares *shares, size_t i)
{
	size_t index = shares->copies->shared[i], common = shares->copies->common[index];
	bool equal = common == EQUAL;
	double share = equal ? shares->runs > 0 : (double)common / (double)shares->runs;
	return (struct copies_match){equal, share, index};
}

static bool nearer(const struct copies_match *a, const struct copies_match *b)
{
	if (a->equal != b->equal)
		return a->equal;
	return a->share != b->share ? a->share > b->share : a->index < b->index;
}

int copies_find(struct copies_match *match, const struct copies *copies, const char *text, size_t n, struct err *err)
{
	struct shares shares;
	*match = (struct copies_match){0};
	if (count_shares(&shares, copies, text, n, err))
		return -1;
	for (size_t i = 0; i < shares.n; i++) {
		struct copies_match one = match_of(&shares, i);
		if (!i || nearer(&one, match))
			*match = one;
	}
	forget(&shares);
	return 0;
}

static int by_index(const void *a, const void *b)
{
	const struct copies_match *x = a, *y = b;
	return (x->index > y->index) - (x->index < y->index);
}

int copies_near(struct copies_match **list, size_t *n, const struct copies *copies, const char *text, size_t length,
		struct err *err)
{
	struct shares shares;
	size_t room = 0;
	int rc = 0;
	*list = NULL;
	*n = 0;
	if (count_shares(&shares, copies, text, length, err))
		return -1;
	for (size_t i = 0; !rc && i < shares.n; i++) {
		struct copies_match one = match_of(&shares, i);
		if (!one.equal && one.share < COPIES_HIGH)
			continue;
		rc = mem_grow(list, &room, *n + 1, sizeof **list, err);
		if (!rc)
			(*list)[(*n)++] = one;
	}
	forget(&shares);
	if (rc) {
		free(*list);
		*list = NULL;
	} else if (*n) {
		qsort(*list, *n, sizeof **list, by_index);
	}
	return rc;
}
