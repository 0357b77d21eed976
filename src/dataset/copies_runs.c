// SPDX-License-Identifier: Apache-2.0
#include "src/dataset/copies_runs.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/dataset/copies.h"
#include "src/dataset/words.h"

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

size_t copies_sort_runs(struct run *run, size_t n)
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

int copies_read_runs(struct text_runs *out, size_t index, const char *text, size_t n, struct err *err)
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
	out->n = copies_sort_runs(out->run, runs);
	return 0;
}
