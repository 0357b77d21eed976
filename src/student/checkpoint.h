// SPDX-License-Identifier: Apache-2.0
/*
 * checkpoint.h - the state of a training on disk: whole or absent. Private to the room.
 *
 * DIRECTORY/checkpoint-STEP/ holds values.safetensors, moments.safetensors,
 * state.json {"step", "configuration"} and, written last, manifest.json, the
 * SHA-256 of each. It is written as checkpoint-STEP.tmp, synced, and renamed;
 * then older ones are removed but for the one before. Random numbers are
 * counters (reference/philox.h), so the step is all that is kept of them, and
 * of the place in the data.
 *
 * A disk without room for two of them ends a training (ERR_IO) before its first
 * step or its next checkpoint; whatever fails, those before it stay whole.
 *
 * One that its manifest does not match is passed over for the one before; one
 * of another configuration is refused (ERR_CANTCREATE): its owner may want it.
 */
#ifndef BALDISTILL_STUDENT_CHECKPOINT_H
#define BALDISTILL_STUDENT_CHECKPOINT_H

#include "src/base/hash.h"
#include "src/model/parameters.h"

struct checkpoint_place {
	const char *directory;
	char configuration[HASH_HEX_ROOM]; /* of all that decides the result */
	bool restart;                      /* those of another configuration are removed, not refused */
};

/* Before the first step: is there room for one? What a killed training left unfinished is removed. */
int checkpoint_begin(const struct checkpoint_place *place, const struct parameters *params, struct err *err);

int checkpoint_save(const struct checkpoint_place *place, const struct parameters *params, int64_t step,
		    struct err *err);

/*
 * Load the newest whole checkpoint into params; *step is its step, or 0 where
 * there is none. `passed` (256 bytes) names one that was passed over, or is "".
 */
int checkpoint_load(const struct checkpoint_place *place, struct parameters *params, int64_t *step, char *passed,
		    struct err *err);

/* Remove every checkpoint and every unfinished one. */
int checkpoint_remove_all(const char *directory, struct err *err);

#endif
