// SPDX-License-Identifier: Apache-2.0
/*
 * lock.h - run.lock: one process holds a run, and the file says which run it is.
 *
 * The lock belongs to the open file description and ends with the process,
 * however it ends. The uuid is written once the database exists, so a lock file
 * with a uuid beside a missing or other database shows that one was lost.
 */
#ifndef BALDISTILL_LEDGER_LOCK_H
#define BALDISTILL_LEDGER_LOCK_H

#include "src/ledger/schema.h"

/* Open the directory itself: ERR_NOINPUT, ERR_NOPERM where others may write into it. Returns a descriptor or -1. */
int lock_directory(const char *path, struct err *err);

/* Take the lock: a descriptor to be kept, or -1 (ERR_TEMPFAIL where it is held or cannot be). */
int lock_take(int directory, const char *path, struct err *err);

/* Does a process hold the run whose directory this is? 1: yes, 0: no, -1: this user may not see. Nothing is taken. */
int lock_held(const char *path);

/* The uuid in the lock file; an empty string where none is. */
int lock_read(int lock, char uuid[SCHEMA_UUID + 1], struct err *err);
int lock_write(int lock, const char *uuid, struct err *err);

#endif
