// SPDX-License-Identifier: Apache-2.0
/*
 * bought.h - what a stage bought, judged: rows to train on, and what was dropped.
 *
 * Read from the ledger's answers, in query order (domain, id, ordinal), so it
 * is the same whatever the order of arrival, and can be made again at any time.
 *
 *     struct rationales known = {0};
 *     struct bought bought;
 *     if (bought_load(&bought, &run, k, &known, &err))
 *             return -1;
 *     for (i < bought.n) … bought.row[i].prompt, .completion
 *     bought_release(&bought);
 *     … the same of stage k + 1, with what is known …
 *     rationales_release(&known);
 *
 * Judged by METHOD section 4: a rationale whose answer differs from the gold
 * one, a synthetic example that cannot be parsed or verified, a query without
 * a usable answer. Completions are METHOD section 5's.
 */
#ifndef BALDISTILL_PIPELINE_BOUGHT_H
#define BALDISTILL_PIPELINE_BOUGHT_H

#include "src/pipeline/synthesise.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BOUGHT_DEMONSTRATIONS = 3 };

/* All texts belong to the bought or the run's data. */
struct bought_row {
	bool synthetic, repeated;
	size_t domain;         /* index in the pool's domains */
	size_t pool;           /* row of the pool; pool.n for a synthetic one */
	const char *id;        /* as JSON */
	struct ifd_id key;     /* of its random numbers */
	const char *input, *label, *rationale; /* rationale NULL: gold answer alone */
	const char *const *choices;
	size_t n_choices;
	const char *completion;
	size_t shown[BOUGHT_DEMONSTRATIONS], n_shown; /* rows of the pool: demonstrations of a synthetic one */
};

struct bought_drop {
	size_t domain;
	const char *cause; /* static or the bought's */
	bool synthetic;
};

struct bought {
	int64_t stage;
	struct bought_row *row;
	size_t n, room;
	struct bought_drop *drop; /* in query order */
	size_t drops, drop_room;
	struct arena arena;
};

/* known NULL: annotations alone, before the step synthesise is done. */
int bought_load(struct bought *bought, struct run *run, int64_t k, struct rationales *known, struct err *err);
void bought_release(struct bought *bought);

/* The student's prompt for a row; released with free(). */
char *bought_prompt(const struct run *run, const struct bought_row *row, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
