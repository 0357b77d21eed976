// SPDX-License-Identifier: Apache-2.0
/*
 * database.h - SQLite as this room uses it; for src/ledger and its tests alone.
 *
 *     if (database_begin(&db, &err) || database_do(&db, &err, "UPDATE …=?1", "i", n) || database_commit(&db, &err))
 *             return -1;                       // rolled back by then
 *
 *     sqlite3_stmt *rows = database_select(&db, &err, "SELECT …", "");
 *     while (rows && (got = database_row(&db, rows, &err)) > 0)
 *             …
 *     sqlite3_finalize(rows);
 *
 * Parameters follow a word with one letter each: i int64_t, t text (NULL: null),
 * b bytes and size_t. They are borrowed for the call, by a select until its
 * finalize. The first failure of the disk or the file sticks: a failed sync is
 * never tried again, as the system would not tell twice.
 */
#ifndef BALDISTILL_LEDGER_DATABASE_H
#define BALDISTILL_LEDGER_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct database {
	sqlite3 *handle;
	char *path;        /* owned; for messages */
	struct err failed; /* what ended all writing; code 0 while nothing has */
	bool known;        /* its tables were found to be ours: SQL that fails is then our fault, else the file's */
};

/* Open with every protection on and read back; creates an empty file where none is. */
int database_open(struct database *db, const char *path, const char *vfs, struct err *err);
void database_close(struct database *db);

int database_begin(struct database *db, struct err *err);
/* -1: rolled back. */
int database_commit(struct database *db, struct err *err);
/* Undo; returns -1, so that `return database_rollback(db)` reads well. */
int database_rollback(struct database *db);

/* One statement without result. database_try leaves SQLITE_CONSTRAINT to the caller: 1, with the message in err. */
int database_do(struct database *db, struct err *err, const char *sql, const char *types, ...);
int database_try(struct database *db, struct err *err, const char *sql, const char *types, ...);

sqlite3_stmt *database_select(struct database *db, struct err *err, const char *sql, const char *types, ...);
/* 1: a row; 0: no more; -1 */
int database_row(struct database *db, sqlite3_stmt *rows, struct err *err);
/* The single integer of a query that gives one row at most; `missing` where it gives none or null. */
int database_int(struct database *db, struct err *err, int64_t *out, int64_t missing, const char *sql,
		 const char *types, ...);

/* Report what SQLite says went wrong; returns -1. */
int database_refuse(struct database *db, int rc, struct err *err);
/* The same for a column that is null where the schema has no null: memory ran out, or the file is damaged. */
int database_refuse_null(struct database *db, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
