// SPDX-License-Identifier: Apache-2.0
/*
 * journal.h - SQLite rolls back whatever journal lies beside a database; this
 * looks first whether it is this run's own.
 *
 * A journal of this run holds page 1 as it was, and page 1 holds the schema
 * with the run's uuid (https://www.sqlite.org/fileformat2.html#the_rollback_journal).
 */
#ifndef BALDISTILL_LEDGER_JOURNAL_H
#define BALDISTILL_LEDGER_JOURNAL_H

#include "src/base/err.h"

/* ERR_LEDGER where ledger.db-journal in this directory would put another run's page 1 into the database. */
int journal_check(int directory, const char *uuid, struct err *err);

#endif
