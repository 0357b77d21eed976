// SPDX-License-Identifier: Apache-2.0
/*
 * method.h - the methods of a plan (`method.name`), one row each.
 *
 * Source: Zhou et al. 2024, section 4 and table 2; how they draw, choose and
 * fill up is what tells them apart, so the steps of a stage ask this table and
 * know no names.
 */
#ifndef BALDISTILL_PIPELINE_METHOD_H
#define BALDISTILL_PIPELINE_METHOD_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the required numbers of a stage come from. */
enum method_draw {
	DRAW_NONE,     /* nothing is drawn, nothing trained */
	DRAW_UNIFORM,  /* B_k of the whole pool, each example alike */
	DRAW_HARDEST,  /* the B_k of highest IFD of the whole pool */
	DRAW_NAIVE,    /* reference/policy.h */
	DRAW_ADAPTIVE,
};

/* What a tail domain gets beside its real examples. */
enum method_tail { TAIL_NOTHING, TAIL_REPEAT, TAIL_SYNTHESIS };

struct method {
	const char *name;
	enum method_draw draw;
	bool staged;    /* false: one pass over the whole budget, `stages` is ignored */
	bool ifd;       /* head examples by difficulty; otherwise a seeded draw */
	bool first_ifd; /* in stage 0 too, whatever `first_stage` says */
	enum method_tail tail;
	bool teacher;   /* false: nothing is bought; the target is the gold answer alone */
	bool refused;   /* known, not here yet */
};

/* Ended by a row without a name. */
extern const struct method methods[];

/* ERR_CONFIG for a name that is none, with the names, and for a method that is not here yet. */
const struct method *method_find(const char *name, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
