// SPDX-License-Identifier: Apache-2.0
/*
 * synthesise.h - new examples for the tail (Zhou et al. 2024, section 3.4).
 *
 * One query for each example still missing, with up to three demonstrations of
 * its domain drawn anew for every query, from all real examples; those with a
 * kept rationale come first, so this stage's own annotations serve too.
 */
#ifndef BALDISTILL_PIPELINE_SYNTHESISE_H
#define BALDISTILL_PIPELINE_SYNTHESISE_H

#include "src/pipeline/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rationales that are kept, by row of the pool: NULL where there is none. {0} knows nothing yet. */
struct rationales {
	const char **of; /* [pool.n], owned, as are the texts through the arena */
	int64_t stages;  /* the first so many stages are known */
	struct arena arena;
};

/* Those of stages 0 … k, annotations alone: what is not known of them is added. On failure, too, release what there is. */
int rationales_load(struct rationales *rationales, struct run *run, int64_t k, struct err *err);
void rationales_release(struct rationales *rationales);

/* The demonstrations of one query: rows of the pool into shown[], at most three; how many, or -1. */
int demonstrations_draw(size_t *shown, const struct run *run, const struct rationales *rationales, int64_t k, size_t domain,
			int64_t ordinal, struct err *err);

/* The steps annotate and synthesise of stage k: ask, through the ledger. */
int annotate_step(struct run *run, int64_t k, struct err *err);
int synthesise_step(struct run *run, int64_t k, struct err *err);

/* "synthetic/STAGE/DOMAIN/ORDINAL" as JSON, into the arena. */
const char *synthetic_id(struct arena *arena, int64_t k, const char *domain, int64_t ordinal, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
