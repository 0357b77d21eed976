// SPDX-License-Identifier: Apache-2.0
/*
 * schema.h - the tables, created once and compared letter by letter ever after.
 *
 * The run's uuid is part of the schema's text: a database that is partly or
 * wholly another run's does not compare equal.
 */
#ifndef BALDISTILL_LEDGER_SCHEMA_H
#define BALDISTILL_LEDGER_SCHEMA_H

#include <stdbool.h>

#include "src/ledger/database.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SCHEMA_UUID = 36, SCHEMA_APPLICATION = 0x62616c64, SCHEMA_FORMAT = 1 };

/* Whether the database holds nothing at all. */
int schema_absent(struct database *db, bool *absent, struct err *err);
/* Create all tables, inside the caller's transaction. */
int schema_create(struct database *db, const char *uuid, struct err *err);
/* ERR_LEDGER unless this is exactly the schema of run `uuid`. */
int schema_check(struct database *db, const char *uuid, struct err *err);
/* Whether a text from a file may name a run: it becomes a part of the witness's path. */
bool schema_is_uuid(const char *text);
/* The uuid the database names, for a run whose lock file lost it. ERR_LEDGER where that is none. */
int schema_uuid(struct database *db, char uuid[SCHEMA_UUID + 1], struct err *err);

#ifdef __cplusplus
}
#endif
#endif
