// SPDX-License-Identifier: Apache-2.0
#include "src/ledger/database.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"

enum { LONGEST_VALUE = 256 << 20 };

/* The control builds below lack one protection each, so that the tests can be seen to miss it. */
#ifdef LEDGER_TEST_WAL_NORMAL
#define JOURNAL_MODE "wal"
#define SYNCHRONOUS "1"
#else
#define JOURNAL_MODE "truncate"
#define SYNCHRONOUS "3" /* EXTRA */
#endif

static const struct {
	const char *set, *get, *want; /* get NULL: nothing to read back */
} pragmas[] = {
	{"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA locking_mode", "exclusive"},
	{"PRAGMA page_size=16384", NULL, NULL}, /* so that the whole schema stands on page 1, see journal.c */
	{"PRAGMA journal_mode=" JOURNAL_MODE, "PRAGMA journal_mode", JOURNAL_MODE},
	{"PRAGMA synchronous=" SYNCHRONOUS, "PRAGMA synchronous", SYNCHRONOUS},
	{"PRAGMA foreign_keys=ON", "PRAGMA foreign_keys", "1"},
	{"PRAGMA trusted_schema=OFF", "PRAGMA trusted_schema", "0"},
	{"PRAGMA cell_size_check=ON", "PRAGMA cell_size_check", "1"},
	{"PRAGMA mmap_size=0", NULL, NULL},
};

static const struct {
	int rc, code;
	bool sticks;
} codes[] = {
	{SQLITE_CORRUPT, ERR_LEDGER, true}, {SQLITE_NOTADB, ERR_LEDGER, true}, {SQLITE_FULL, ERR_IO, true},
	{SQLITE_IOERR, ERR_IO, true},       {SQLITE_CANTOPEN, ERR_IO, true},   {SQLITE_READONLY, ERR_NOPERM, true},
	{SQLITE_PERM, ERR_NOPERM, true},    {SQLITE_AUTH, ERR_NOPERM, true},   {SQLITE_NOMEM, ERR_MEMORY, false},
	{SQLITE_BUSY, ERR_TEMPFAIL, false}, {SQLITE_TOOBIG, ERR_DATA, false},
};

/* The row for a result code; -1 where none is. */
static int find_code(int rc)
{
	int plain = rc == SQLITE_IOERR_NOMEM ? SQLITE_NOMEM : rc & 0xFF;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (codes[i].rc == plain)
			return (int)i;
	return -1;
}

static int code_of(const struct database *db, int rc, int row)
{
	if (row >= 0)
		return codes[row].code;
	return (rc & 0xFF) == SQLITE_ERROR && !db->known ? ERR_LEDGER : ERR_INTERNAL;
}

int database_refuse(struct database *db, int rc, struct err *err)
{
	int row = find_code(rc);
	struct err told = {0};
	char shown[512]; /* SQLite may quote what stands in the file */
	const char *words = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
	const char *help = (rc & 0xFF) == SQLITE_FULL
				   ? "; make room on the disk of that file and give the same command again" : "";
	if (rc == SQLITE_BUSY)
		err_set(&told, ERR_TEMPFAIL, "ledger '%s' is in use by another program; try again later", db->path);
	else
		err_set(&told, code_of(db, rc, row), "ledger '%s': %s%s", db->path,
			text_escape(shown, sizeof shown, words, strlen(words)), help);
	if (row >= 0 && codes[row].sticks && !db->failed.code)
		db->failed = told;
	return err_set(err, told.code, "%s", told.message);
}

int database_refuse_null(struct database *db, struct err *err)
{
	if (sqlite3_errcode(db->handle) == SQLITE_NOMEM)
		return database_refuse(db, SQLITE_NOMEM, err);
	return err_set(err, ERR_LEDGER, "ledger '%s' is damaged: a row lacks a value", db->path);
}

static int bind_all(sqlite3_stmt *statement, const char *types, va_list args)
{
	int rc = SQLITE_OK;
	for (int i = 1; *types && rc == SQLITE_OK; types++, i++) {
		if (*types == 'i') {
			rc = sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
		} else if (*types == 't') {
			rc = sqlite3_bind_text(statement, i, va_arg(args, const char *), -1, SQLITE_STATIC);
		} else {
			const void *bytes = va_arg(args, const void *);
			size_t n = va_arg(args, size_t);
			rc = sqlite3_bind_blob64(statement, i, bytes ? bytes : "", n, SQLITE_STATIC);
		}
	}
	return rc;
}

static sqlite3_stmt *prepare(struct database *db, struct err *err, const char *sql, const char *types, va_list args)
{
	sqlite3_stmt *statement = NULL;
	if (db->failed.code == ERR_IO) { /* even reading could make SQLite write: it would try to repair */
		err_set(err, ERR_IO, "%s", db->failed.message);
		return NULL;
	}
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);
	if (rc == SQLITE_OK)
		rc = bind_all(statement, types, args);
	if (rc == SQLITE_OK)
		return statement;
	database_refuse(db, rc, err);
	sqlite3_finalize(statement);
	return NULL;
}

/* SQLITE_DONE or SQLITE_ROW, SQLITE_CONSTRAINT reported in err only, or -1. */
static int run(struct database *db, struct err *err, const char *sql, const char *types, va_list args)
{
	sqlite3_stmt *statement = prepare(db, err, sql, types, args);
	if (!statement)
		return -1;
	int rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		rc = sqlite3_step(statement);
	if (rc != SQLITE_DONE)
		database_refuse(db, rc, err);
	sqlite3_finalize(statement);
	return rc == SQLITE_DONE || (rc & 0xFF) == SQLITE_CONSTRAINT ? rc & 0xFF : -1;
}

int database_do(struct database *db, struct err *err, const char *sql, const char *types, ...)
{
	va_list args;
	va_start(args, types);
	int rc = run(db, err, sql, types, args);
	va_end(args);
	return rc == SQLITE_DONE ? 0 : -1;
}

int database_try(struct database *db, struct err *err, const char *sql, const char *types, ...)
{
	va_list args;
	va_start(args, types);
	int rc = run(db, err, sql, types, args);
	va_end(args);
	return rc == SQLITE_DONE ? 0 : rc == SQLITE_CONSTRAINT ? 1 : -1;
}

sqlite3_stmt *database_select(struct database *db, struct err *err, const char *sql, const char *types, ...)
{
	va_list args;
	va_start(args, types);
	sqlite3_stmt *rows = prepare(db, err, sql, types, args);
	va_end(args);
	return rows;
}

int database_row(struct database *db, sqlite3_stmt *rows, struct err *err)
{
	int rc = sqlite3_step(rows);
	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : database_refuse(db, rc, err);
}

int database_int(struct database *db, struct err *err, int64_t *out, int64_t missing, const char *sql,
		 const char *types, ...)
{
	va_list args;
	va_start(args, types);
	sqlite3_stmt *rows = prepare(db, err, sql, types, args);
	va_end(args);
	int got = rows ? database_row(db, rows, err) : -1;
	if (got >= 0)
		*out = got && sqlite3_column_type(rows, 0) != SQLITE_NULL ? sqlite3_column_int64(rows, 0) : missing;
	sqlite3_finalize(rows);
	return got < 0 ? -1 : 0;
}

int database_begin(struct database *db, struct err *err)
{
	if (db->failed.code)
		return err_set(err, db->failed.code, "%s", db->failed.message);
#ifdef LEDGER_TEST_SETTLE_LATE
	if (!sqlite3_get_autocommit(db->handle) && database_do(db, err, "COMMIT", ""))
		return database_rollback(db);
#endif
	return database_do(db, err, "BEGIN IMMEDIATE", "");
}

int database_commit(struct database *db, struct err *err)
{
	return database_do(db, err, "COMMIT", "") ? database_rollback(db) : 0;
}

int database_rollback(struct database *db)
{
	if (!sqlite3_get_autocommit(db->handle) && db->failed.code != ERR_IO)
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

static int apply_pragma(struct database *db, size_t i, struct err *err)
{
	if (database_do(db, err, pragmas[i].set, ""))
		return -1;
	if (!pragmas[i].get)
		return 0;
	sqlite3_stmt *rows = database_select(db, err, pragmas[i].get, "");
	int got = rows ? database_row(db, rows, err) : -1;
	const char *is = got > 0 ? (const char *)sqlite3_column_text(rows, 0) : NULL;
	bool good = is && !strcmp(is, pragmas[i].want);
	if (got > 0 && !is)
		database_refuse_null(db, err);
	else if (got >= 0 && !good)
		err_set(err, ERR_LEDGER, "ledger '%s': '%s' gives '%s' instead of '%s'", db->path, pragmas[i].get,
			is ? is : "nothing", pragmas[i].want);
	sqlite3_finalize(rows);
	return good ? 0 : -1;
}

/* A ledger may come from somebody else: nothing in it may make SQLite do more than keep rows. */
static void restrict_handle(sqlite3 *handle)
{
	sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, (int *)NULL);
	sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, LONGEST_VALUE);
	sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
}

int database_open(struct database *db, const char *path, const char *vfs, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
		    SQLITE_OPEN_NOFOLLOW;
	*db = (struct database){.path = mem_strdup(path, err)};
	if (!db->path)
		return -1;
	int rc = sqlite3_open_v2(path, &db->handle, flags, vfs);
	int failed = rc == SQLITE_OK ? 0 : database_refuse(db, rc, err);
	if (!failed)
		restrict_handle(db->handle);
	for (size_t i = 0; !failed && i < sizeof pragmas / sizeof *pragmas; i++)
		failed = apply_pragma(db, i, err);
	if (failed)
		database_close(db);
	return failed;
}

void database_close(struct database *db)
{
	sqlite3_close(db->handle);
	free(db->path);
	*db = (struct database){0};
}
