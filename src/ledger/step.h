// SPDX-License-Identifier: Apache-2.0
/*
 * step.h - stages, steps, and the files they have made.
 *
 * A step is select, annotate, synthesise, train or evaluate; each is opened
 * once (again, with the same queries, after a restart), works, puts its result
 * files in place, synced, and is then done in one transaction that stores the
 * files' names and SHA-256. Where a run resumes is the first step not done.
 */
#ifndef BALDISTILL_LEDGER_STEP_H
#define BALDISTILL_LEDGER_STEP_H

#include "src/base/mem.h"
#include "src/ledger/ledger.h"
#include "src/ledger/query.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Begin stage k, or go on with it: from now on at most cum_k = B_0 + … + B_k
 * units may be used in all. Later stages may not have begun, and cum_k of a
 * stage that has begun does not change (ERR_LEDGER).
 */
int ledger_stage_open(struct ledger *ledger, int64_t stage, int64_t cum, struct err *err);

/* cum_k of a stage that has begun; -1 in *cum where it has not. */
int ledger_stage_cum(struct ledger *ledger, int64_t stage, int64_t *cum, struct err *err);

/*
 * T0: the step and all its queries (n may be 0), in one transaction. Opening it
 * again needs the same queries in the same order, else ERR_LEDGER.
 */
int ledger_step_open(struct ledger *ledger, int64_t stage, const char *step, const struct ledger_query *queries,
		     size_t n, struct err *err);

enum ledger_step_state { LEDGER_STEP_NONE, LEDGER_STEP_OPEN, LEDGER_STEP_DONE };

struct ledger_step {
	enum ledger_step_state state;
	const char *counts;   /* JSON as given to ledger_step_done, NULL before; owned by the caller's arena */
	const char *manifest; /* JSON object: file name -> SHA-256 in hexadecimal, NULL before */
};
int ledger_step_get(struct ledger *ledger, int64_t stage, const char *step, struct ledger_step *out,
		    struct arena *arena, struct err *err);

/*
 * The step is done: queries still pending are parked, none may be in flight;
 * each file (a path inside the run directory) is hashed as it stands. `counts`
 * is JSON or NULL.
 */
int ledger_step_done(struct ledger *ledger, int64_t stage, const char *step, const char *const files[], size_t n,
		     const char *counts, struct err *err);

/* Every file of every done step is there, unchanged; else ERR_LEDGER naming it. */
int ledger_verify_files(struct ledger *ledger, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
