// SPDX-License-Identifier: Apache-2.0
/*
 * witness.h - outside the run directory, the highest attempt a run has armed.
 *
 * A run directory restored from a backup, or the second of two copies, knows
 * fewer attempts than its witness does: it would spend units twice. It is
 * locked while the run is open, so that two copies never spend at one time.
 *
 * The number is raised after the commit that armed, so it never runs ahead of
 * an honest ledger; it is not synced, so a power cut may only make it forget.
 */
#ifndef BALDISTILL_LEDGER_WITNESS_H
#define BALDISTILL_LEDGER_WITNESS_H

#include <stdint.h>

#include "src/base/err.h"

struct witness {
	int fd;        /* -1 where there is none */
	int64_t armed; /* what it says */
	char *path;    /* owned */
};

/*
 * Open the witness of a run, made where missing; `directory` NULL: the default one. ERR_LEDGER where it is unreadable,
 * ERR_TEMPFAIL where a copy of the run has it open.
 */
int witness_open(struct witness *witness, const char *directory, const char *uuid, struct err *err);
/* Raise to `attempt`. */
int witness_raise(struct witness *witness, int64_t attempt, struct err *err);
void witness_close(struct witness *witness);

#endif
