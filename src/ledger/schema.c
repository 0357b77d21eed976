// SPDX-License-Identifier: Apache-2.0
#include "src/ledger/schema.h"

#include <stdio.h>
#include <string.h>

#ifdef LEDGER_TEST_NO_CHECK
#define BOUND(name, condition) ""
#else
#define BOUND(name, condition) " CONSTRAINT " name " CHECK(" condition ")"
#endif

enum { STATEMENT_ROOM = 1024 };

/* As SQLite keeps them: each begins with "CREATE TABLE", "INDEX" or "TRIGGER" and one space. %s is the uuid. */
static const char *const statements[] = {
	"CREATE TABLE run(id INTEGER PRIMARY KEY CHECK(id=1), uuid TEXT NOT NULL CHECK(uuid='%s'), format INT NOT NULL,"
	" host TEXT NOT NULL, model TEXT NOT NULL, params_sha256 BLOB NOT NULL, epoch INT NOT NULL) STRICT",
	"CREATE TABLE budget(id INTEGER PRIMARY KEY CHECK(id=1), cap INT NOT NULL,"
	" stage_cap INT NOT NULL CONSTRAINT stage_within_cap CHECK(stage_cap BETWEEN 0 AND cap),"
	" used INT NOT NULL" BOUND("used_within_stage", "used BETWEEN 0 AND stage_cap") ","
	" wire_cap INT NOT NULL, wire INT NOT NULL" BOUND("wire_within_cap", "wire BETWEEN 0 AND wire_cap") ","
	" cost_cap INT, cost INT NOT NULL CHECK(cost>=0)) STRICT",
	"CREATE TABLE stage(stage INTEGER PRIMARY KEY, cum INT NOT NULL) STRICT",
	"CREATE TABLE step(stage INT NOT NULL REFERENCES stage,"
	" step TEXT NOT NULL CHECK(step IN('select','annotate','synthesise','train','evaluate')),"
	" state TEXT NOT NULL CHECK(state IN('OPEN','DONE')), counts TEXT, manifest TEXT, PRIMARY KEY(stage,step)) STRICT",
	"CREATE TABLE query(id INTEGER PRIMARY KEY, stage INT NOT NULL, step TEXT NOT NULL, kind TEXT NOT NULL,"
	" domain TEXT NOT NULL, example_id TEXT NOT NULL, sample INT NOT NULL, req_sha256 BLOB NOT NULL,"
	" body BLOB NOT NULL, tries INT NOT NULL DEFAULT 0, not_before INT NOT NULL DEFAULT 0,"
	" state TEXT NOT NULL DEFAULT 'PENDING'"
	" CHECK(state IN('PENDING','INFLIGHT','ANSWERED','UNUSABLE','REJECTED','PARKED')),"
	" FOREIGN KEY(stage,step) REFERENCES step, UNIQUE(req_sha256,sample)) STRICT",
	"CREATE TABLE attempt(id INTEGER PRIMARY KEY AUTOINCREMENT, query_id INT NOT NULL REFERENCES query,"
	" epoch INT NOT NULL, slot INT, at INT NOT NULL, settled_at INT, wire INT NOT NULL CHECK(wire IN(0,1)),"
	" cost INT NOT NULL CHECK(cost>=0), client_req_id TEXT, provider_req_id TEXT, http INT, curl INT, reason TEXT,"
	" bytes_up INT, bytes_down INT, tokens_in INT, tokens_out INT,"
	" state TEXT NOT NULL CHECK(state IN('ARMED','ANSWERED','UNUSABLE','RELEASED','INDOUBT'))) STRICT",
	"CREATE TABLE response(attempt_id INTEGER PRIMARY KEY REFERENCES attempt, raw BLOB NOT NULL, head BLOB,"
	" sha256 BLOB NOT NULL, salvaged INT NOT NULL, finish_reason TEXT, content TEXT, usage TEXT) STRICT",
	"CREATE TABLE event(id INTEGER PRIMARY KEY, at INT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL) STRICT",
	"CREATE UNIQUE INDEX one_live ON attempt(query_id) WHERE state IN('ARMED','ANSWERED','UNUSABLE')",
	"CREATE INDEX attempts_of ON attempt(query_id)",
	"CREATE INDEX due ON query(stage,step,tries,id) WHERE state='PENDING'",
	"CREATE INDEX place ON query(stage,step,id)",
	"CREATE TRIGGER cost_within_cap BEFORE UPDATE OF wire ON budget WHEN NEW.wire>OLD.wire AND NEW.cost>NEW.cost_cap"
	" BEGIN SELECT RAISE(ABORT,'cost_within_cap'); END",
	"CREATE TRIGGER response_stays BEFORE UPDATE ON response BEGIN SELECT RAISE(ABORT,'a reply never changes'); END",
	"CREATE TRIGGER response_kept BEFORE DELETE ON response BEGIN SELECT RAISE(ABORT,'a reply is never deleted'); END",
	"CREATE TRIGGER event_stays BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT,'an event never changes'); END",
	"CREATE TRIGGER event_kept BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT,'an event is never deleted'); END",
	"CREATE TRIGGER attempt_kept BEFORE DELETE ON attempt BEGIN SELECT RAISE(ABORT,'an attempt is never deleted'); END",
	"CREATE TRIGGER attempt_final BEFORE UPDATE OF state ON attempt"
	" WHEN OLD.state IN('ANSWERED','UNUSABLE','RELEASED') AND NEW.state<>OLD.state"
	" BEGIN SELECT RAISE(ABORT,'a settled attempt never changes'); END",
};

enum { STATEMENTS = sizeof statements / sizeof *statements };

/* sqlite3_snprintf, as the format is no literal; only the first statement names the run. */
static void format_statement(char text[STATEMENT_ROOM], size_t i, const char *uuid)
{
	sqlite3_snprintf(STATEMENT_ROOM, text, statements[i], uuid);
}

int schema_absent(struct database *db, bool *absent, struct err *err)
{
	int64_t objects;
	if (database_int(db, err, &objects, 0, "SELECT count(*) FROM sqlite_schema", ""))
		return -1;
	*absent = !objects;
	return 0;
}

int schema_create(struct database *db, const char *uuid, struct err *err)
{
	char text[STATEMENT_ROOM];
	snprintf(text, sizeof text, "PRAGMA application_id=%d", SCHEMA_APPLICATION);
	if (database_do(db, err, text, ""))
		return -1;
	snprintf(text, sizeof text, "PRAGMA user_version=%d", SCHEMA_FORMAT);
	if (database_do(db, err, text, ""))
		return -1;
	for (size_t i = 0; i < STATEMENTS; i++) {
		format_statement(text, i, uuid);
		if (database_do(db, err, text, ""))
			return -1;
	}
	db->known = true;
	return 0;
}

static int refuse(struct database *db, const char *rule, struct err *err)
{
	return err_set(err, ERR_LEDGER, "ledger '%s' is refused: %s", db->path, rule);
}

static int check_number(struct database *db, const char *pragma, int64_t want, const char *rule, struct err *err)
{
	int64_t is;
	if (database_int(db, err, &is, 0, pragma, ""))
		return -1;
	return is == want ? 0 : refuse(db, rule, err);
}

static int compare_statements(struct database *db, sqlite3_stmt *rows, const char *uuid, struct err *err)
{
	char text[STATEMENT_ROOM];
	int got;
	size_t i = 0;
	for (; (got = database_row(db, rows, err)) > 0; i++) {
		const char *is = (const char *)sqlite3_column_text(rows, 0);
		if (i < STATEMENTS)
			format_statement(text, i, uuid);
		if (i >= STATEMENTS || !is || strcmp(is, text))
			return refuse(db, "its tables are not those of this run and version", err);
	}
	if (got < 0)
		return -1;
	return i == STATEMENTS ? 0 : refuse(db, "tables are missing", err);
}

int schema_check(struct database *db, const char *uuid, struct err *err)
{
	if (check_number(db, "PRAGMA application_id", SCHEMA_APPLICATION, "it is another program's database", err) ||
	    check_number(db, "PRAGMA user_version", SCHEMA_FORMAT, "another version of this program made it", err))
		return -1;
	/* Without text are indexes that tables imply; names tell nothing: a trigger may have one of SQLite's own. */
	sqlite3_stmt *rows = database_select(db, err, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND NOT"
					     " (type='table' AND name='sqlite_sequence') ORDER BY rowid", "");
	int failed = rows ? compare_statements(db, rows, uuid, err) : -1;
	sqlite3_finalize(rows);
	db->known = !failed;
	return failed;
}

bool schema_is_uuid(const char *text)
{
	return strlen(text) == SCHEMA_UUID && strspn(text, "0123456789abcdef-") == SCHEMA_UUID;
}

int schema_uuid(struct database *db, char uuid[SCHEMA_UUID + 1], struct err *err)
{
	sqlite3_stmt *rows = database_select(db, err, "SELECT uuid FROM run", "");
	int got = rows ? database_row(db, rows, err) : -1;
	const char *is = got > 0 ? (const char *)sqlite3_column_text(rows, 0) : NULL;
	int failed = is && schema_is_uuid(is) ? 0 : -1;
	if (!failed)
		memcpy(uuid, is, SCHEMA_UUID + 1);
	else if (got >= 0)
		refuse(db, "it names no run", err);
	sqlite3_finalize(rows);
	return failed;
}
