// SPDX-License-Identifier: Apache-2.0
/*
 * select.h - which real examples a stage takes from the pool.
 *
 * Head domains give their r_d examples of highest IFD under the student of the
 * stage before (Zhou et al. 2024, section 3.5), or a seeded draw where there is
 * no such student or the method has no use for it; tail domains give all they
 * still have.
 *
 *     select_step(&run, k, work, &err);      // writes allocation.json and scores.jsonl into `work`
 *     select_load(&run, k, &err);            // what they say, into run.stage[k] and run.used
 *
 * scores.jsonl has a row for every candidate and every chosen example, in query
 * order: {"id", "domain", "selected"} and, where it was scored, the figures of
 * `baldistill score` (nulls where there is no counted token).
 */
#ifndef BALDISTILL_PIPELINE_SELECT_H
#define BALDISTILL_PIPELINE_SELECT_H

#include "src/pipeline/run.h"

#ifdef __cplusplus
extern "C" {
#endif

int select_step(struct run *run, int64_t k, const char *work, struct err *err);
int select_load(struct run *run, int64_t k, struct err *err);

/* Are head examples of stage k chosen by difficulty? */
bool select_by_difficulty(const struct run *run, int64_t k);

/*
 * How many of a domain's `available` examples are scored then: none where all
 * or none are taken, all, or as many as `candidates_per_domain` says, and never
 * fewer than may be taken. domain NULL: the stage draws from the whole pool.
 */
size_t select_candidates(const struct run *run, int64_t k, const struct allocation_domain *domain, size_t available);

/* difficulty.c: IFD of n rows of the pool under the student of stage k - 1 (k 0: the base). */
int difficulty_score(struct ifd_score *score, struct run *run, int64_t k, const size_t *row, size_t n, const char *work,
		     struct err *err);

#ifdef __cplusplus
}
#endif
#endif
