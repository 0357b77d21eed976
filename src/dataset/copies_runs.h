// SPDX-License-Identifier: Apache-2.0
/*
 * copies_runs.h - the runs of words of a text, as hashes; for copies.c alone.
 *
 *     struct text_runs runs;
 *     if (copies_read_runs(&runs, index, text, n, &err))
 *             return -1;
 *     … runs.run[0 ... runs.n) …
 *     free(runs.run);
 */
#ifndef BALDISTILL_DATASET_COPIES_RUNS_H
#define BALDISTILL_DATASET_COPIES_RUNS_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

/* A run of words, and the text that has it. */
struct run {
	uint64_t hash;
	size_t text;
};

struct text_runs {
	uint64_t whole;  /* all words as one run */
	struct run *run; /* owned; each once, by hash */
	size_t n;
};

int copies_read_runs(struct text_runs *out, size_t index, const char *text, size_t n, struct err *err);

/* Sort by hash, then text, and drop what stands there twice; how many are left. */
size_t copies_sort_runs(struct run *run, size_t n);

#endif
