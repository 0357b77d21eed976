// SPDX-License-Identifier: Apache-2.0
#include "src/ledger/step.h"

#include <string.h>

#include "src/ledger/internal.h"
#include "src/ledger/manifest.h"

int ledger_stage_cum(struct ledger *l, int64_t stage, int64_t *cum, struct err *err)
{
	return database_int(&l->db, err, cum, -1, "SELECT cum FROM stage WHERE stage=?1", "i", stage);
}

static int begin_stage(struct ledger *l, int64_t stage, int64_t cum, struct err *err)
{
	int64_t begun, newest;
	if (ledger_stage_cum(l, stage, &begun, err) ||
	    database_int(&l->db, err, &newest, -1, "SELECT max(stage) FROM stage", ""))
		return -1;
	if (newest > stage || (begun >= 0 && begun != cum))
		return err_set(err, ERR_LEDGER, "stage %lld cannot begin with %lld units: the run is at stage %lld with %lld",
			       (long long)stage, (long long)cum, (long long)newest, (long long)begun);
	if (begun < 0 && database_do(&l->db, err, "INSERT INTO stage VALUES(?1,?2)", "ii", stage, cum))
		return -1;
	return database_do(&l->db, err, "UPDATE budget SET stage_cap=?1", "i", cum);
}

int ledger_stage_open(struct ledger *l, int64_t stage, int64_t cum, struct err *err)
{
	if (ledger_begin(l, err))
		return -1;
	if (begin_stage(l, stage, cum, err))
		return database_rollback(&l->db);
	return database_commit(&l->db, err);
}

static int add_query(struct ledger *l, int64_t stage, const char *step, const struct ledger_query *q, struct err *err)
{
	if (json_check(q->example_id, strlen(q->example_id), NULL, err))
		return err_prefix(err, "example id of a query");
	return database_do(&l->db, err, "INSERT INTO query(stage,step,kind,domain,example_id,sample,req_sha256,body)"
			   " VALUES(?1,?2,?3,?4,?5,?6,?7,?8)", "ittttibb", stage, step, q->kind, q->domain,
			   q->example_id, q->ordinal, q->prompt_sha256, (size_t)HASH_SIZE, q->body, q->body_n);
}

static int add_step(struct ledger *l, int64_t stage, const char *step, const struct ledger_query *queries, size_t n,
		    struct err *err)
{
	if (database_do(&l->db, err, "INSERT INTO step(stage,step,state) VALUES(?1,?2,'OPEN')", "it", stage, step))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_query(l, stage, step, &queries[i], err))
			return -1;
	return 0;
}

/* Whether the step's rows are these queries, one by one. */
static int compare(struct ledger *l, sqlite3_stmt *rows, const struct ledger_query *queries, size_t n, struct err *err)
{
	size_t i = 0;
	int got;
	for (; (got = database_row(&l->db, rows, err)) > 0; i++)
		if (i >= n || sqlite3_column_bytes(rows, 0) != HASH_SIZE ||
		    memcmp(sqlite3_column_blob(rows, 0), queries[i].prompt_sha256, HASH_SIZE) ||
		    sqlite3_column_int64(rows, 1) != queries[i].ordinal)
			break;
	if (got < 0)
		return -1;
	if (!got && i == n)
		return 0;
	return err_set(err, ERR_LEDGER, "query %zu is not the one this step began with; restore plan, data and prompts, or "
		       "begin in another directory", i + 1);
}

static int reopen_step(struct ledger *l, int64_t stage, const char *step, const struct ledger_query *queries, size_t n,
		       struct err *err)
{
	sqlite3_stmt *rows = database_select(&l->db, err, "SELECT req_sha256,sample FROM query WHERE stage=?1 AND step=?2"
					     " ORDER BY id", "it", stage, step);
	int failed = rows ? compare(l, rows, queries, n, err) : -1;
	sqlite3_finalize(rows);
	return failed ? err_prefix(err, "stage %lld, %s", (long long)stage, step) : 0;
}

int ledger_step_open(struct ledger *l, int64_t stage, const char *step, const struct ledger_query *queries, size_t n,
		     struct err *err)
{
	int64_t known;
	if (database_int(&l->db, err, &known, 0, "SELECT count(*) FROM step WHERE stage=?1 AND step=?2", "it", stage, step))
		return -1;
	if (known)
		return reopen_step(l, stage, step, queries, n, err);
	if (ledger_begin(l, err))
		return -1;
	if (add_step(l, stage, step, queries, n, err))
		return database_rollback(&l->db);
	return database_commit(&l->db, err);
}

/* A column's text in the arena; NULL stays NULL. */
static int keep_text(const char **out, sqlite3_stmt *row, int column, struct arena *arena, struct err *err)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	*out = text ? arena_strdup(arena, text, err) : NULL;
	return text && !*out ? -1 : 0;
}

static int read_step(sqlite3_stmt *row, struct ledger_step *out, struct arena *arena, struct err *err)
{
	const char *state = (const char *)sqlite3_column_text(row, 0);
	out->state = state && !strcmp(state, "DONE") ? LEDGER_STEP_DONE : LEDGER_STEP_OPEN;
	return keep_text(&out->counts, row, 1, arena, err) || keep_text(&out->manifest, row, 2, arena, err) ? -1 : 0;
}

int ledger_step_get(struct ledger *l, int64_t stage, const char *step, struct ledger_step *out, struct arena *arena,
		    struct err *err)
{
	*out = (struct ledger_step){.state = LEDGER_STEP_NONE};
	sqlite3_stmt *rows = database_select(&l->db, err, "SELECT state,counts,manifest FROM step WHERE stage=?1 AND step=?2",
					     "it", stage, step);
	int got = rows ? database_row(&l->db, rows, err) : -1;
	if (got > 0 && read_step(rows, out, arena, err))
		got = -1;
	sqlite3_finalize(rows);
	return got < 0 ? -1 : 0;
}

static int finish_step(struct ledger *l, int64_t stage, const char *step, const char *manifest, const char *counts,
		       struct err *err)
{
	int64_t flying;
	if (database_int(&l->db, err, &flying, 0, "SELECT count(*) FROM query WHERE stage=?1 AND step=?2 AND"
			 " state='INFLIGHT'", "it", stage, step))
		return -1;
	if (flying)
		return err_set(err, ERR_INTERNAL, "%lld queries of a step that is called done are in flight",
			       (long long)flying);
	if (database_do(&l->db, err, "UPDATE query SET state='PARKED' WHERE stage=?1 AND step=?2 AND state='PENDING'", "it",
			stage, step) ||
	    database_do(&l->db, err, "UPDATE step SET state='DONE', counts=?3, manifest=?4 WHERE stage=?1 AND step=?2 AND"
			" state='OPEN'", "ittt", stage, step, counts, manifest))
		return -1;
	if (sqlite3_changes(l->db.handle) == 1)
		return 0;
	return err_set(err, ERR_INTERNAL, "stage %lld, %s is called done but not open", (long long)stage, step);
}

int ledger_step_done(struct ledger *l, int64_t stage, const char *step, const char *const files[], size_t n,
		     const char *counts, struct err *err)
{
	struct json_writer manifest;
	json_writer_init(&manifest, 0);
	const char *text = manifest_write(&manifest, l->directory, files, n, err);
	int failed = text ? ledger_begin(l, err) : -1;
	if (!failed)
		failed = finish_step(l, stage, step, text, counts, err) ? database_rollback(&l->db)
									: database_commit(&l->db, err);
	json_writer_release(&manifest);
	return failed;
}
