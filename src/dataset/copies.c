// SPDX-License-Identifier: Apache-2.0
#include "src/dataset/copies.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/dataset/words.h"

/* A run of words, and the text that has it. */
struct run {
	uint64_t hash;
	size_t text;
};

struct copies {
	struct run *run; /* by hash, then text; each pair once */
	size_t runs;
	struct run *whole; /* every text as one run of all its words, likewise */
	size_t texts;
	size_t *common; /* [texts], of a text that is looked at: runs that each has of it, or EQUAL; else 0 */
	size_t *shared; /* [texts]: those that have any */
};

/* ---- hashing: a cryptographic hash per run would cost more than all the rest ---------------- */

/* The finalizer of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t join(uint64_t hash, uint64_t next)
{
	return mix(hash + UINT64_C(0x9e3779b97f4a7c15) + next) ^ hash << 1;
}

static int by_run(const void *a, const void *b)
{
	const struct run *x = a, *y = b;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return (x->text > y->text) - (x->text < y->text);
}

/* Sort, and drop what stands there twice; how many are left. */
static size_t sort_runs(struct run *run, size_t n)
{
	size_t kept = 0;
	if (n)
		qsort(run, n, sizeof *run, by_run);
	for (size_t i = 0; i < n; i++)
		if (!kept || by_run(&run[kept - 1], &run[i]))
			run[kept++] = run[i];
	return kept;
}

/* What stands in front of a sign, on its line. */
struct place {
	bool operand, blank; /* a word, a bracket or a sign that tells; blanks behind it */
};

static bool is_operand(uint32_t c)
{
	return words_inside(c) || (c && c < 0x80 && strchr("()[]{}$\\", (int)c));
}

static bool is_sign(uint32_t c)
{
	return c < 0x80 ? c && strchr("+*/=<>^%#", (int)c) : c == 0xd7 || c == 0xf7 || (c >= 0x2190 && c <= 0x2bff);
}

/*
 * A sign that makes another text, as of what is behind it: 12 + 4 is not 12 / 4, nor C++ C#. Those of headings, lists
 * and *stress* stand otherwise: without something on both sides, or with a blank on one of them.
 */
static bool tells(uint32_t c, const struct place *place, const char *text, size_t n)
{
	size_t at = 0, length;
	if (!is_sign(c) || !place->operand)
		return false;
	if (!place->blank && c < 0x80 && strchr("+%#", (int)c))
		return true;
	while (at < n && (text[at] == ' ' || text[at] == '\t'))
		at++;
	return at < n && place->blank == (at > 0) && is_operand(words_char(text + at, n - at, &length));
}

static void step(struct place *place, uint32_t c, bool told)
{
	bool blank = words_blank(c);
	place->operand = blank ? place->operand && c != '\n' : told || is_operand(c);
	place->blank = blank;
}

/* The hash of each word and telling sign in turn; a text of n bytes has n at most. */
static size_t hash_words(uint64_t *word, const char *text, size_t n)
{
	size_t words = 0, length;
	uint64_t hash = 0;
	struct place place = {0};
	for (size_t at = 0; at < n; at += length) {
		uint32_t c = words_char(text + at, n - at, &length);
		bool inside = words_inside(c), told = tells(c, &place, text + at + length, n - at - length);
		if (inside)
			hash = join(hash, c);
		if (hash && (!inside || at + length == n)) {
			word[words++] = hash;
			hash = 0;
		}
		if (told)
			word[words++] = join(0, c);
		step(&place, c, told);
	}
	return words;
}

/* ---- runs of one text ------------------------------------------------------------------------- */

struct text_runs {
	uint64_t whole;
	struct run *run; /* owned */
	size_t n;
};

static int read_runs(struct text_runs *out, size_t index, const char *text, size_t n, struct err *err)
{
	uint64_t *word = mem_array(n, sizeof *word, err);
	*out = (struct text_runs){0};
	if (!word)
		return -1;
	size_t words = hash_words(word, text, n), runs = words >= COPIES_RUN ? words - COPIES_RUN + 1 : 0;
	for (size_t i = 0; i < words; i++)
		out->whole = join(out->whole, word[i]);
	out->run = mem_array(runs, sizeof *out->run, err);
	for (size_t i = 0; out->run && i < runs; i++) {
		out->run[i].text = index;
		for (size_t k = 0; k < COPIES_RUN; k++)
			out->run[i].hash = join(out->run[i].hash, word[i + k]);
	}
	free(word);
	if (!out->run)
		return -1;
	out->n = sort_runs(out->run, runs);
	return 0;
}

/* ---- all texts ---------------------------------------------------------------------------------- */

static int add_text(struct copies *copies, size_t *room, const char *text, size_t index, struct err *err)
{
	struct text_runs runs;
	if (read_runs(&runs, index, text, strlen(text), err))
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

struct copies *copies_new(const char *const *texts, size_t n, struct err *err)
{
	struct copies *copies = mem_array(1, sizeof *copies, err);
	size_t room = 0;
	if (!copies)
		return NULL;
	copies->texts = n;
	copies->whole = mem_array(n, sizeof *copies->whole, err);
	copies->common = copies->whole ? mem_array(n, sizeof *copies->common, err) : NULL;
	copies->shared = copies->common ? mem_array(n, sizeof *copies->shared, err) : NULL;
	int rc = copies->shared ? 0 : -1;
	for (size_t i = 0; !rc && i < n; i++)
		rc = add_text(copies, &room, texts[i], i, err);
	if (rc) {
		copies_free(copies);
		return NULL;
	}
	copies->runs = sort_runs(copies->run, copies->runs);
	sort_runs(copies->whole, n);
	return copies;
}

void copies_free(struct copies *copies)
{
	if (!copies)
		return;
	free(copies->run);
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
	size_t n, runs; /* texts; runs of the one */
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

static int count_shares(struct shares *shares, const struct copies *copies, const char *text, size_t n, struct err *err)
{
	struct text_runs runs;
	if (read_runs(&runs, 0, text, n, err))
		return -1;
	*shares = (struct shares){.copies = copies, .runs = runs.n};
	for (size_t i = 0; i < runs.n; i++)
		add_shares(shares, copies->run, copies->runs, runs.run[i].hash, false);
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
