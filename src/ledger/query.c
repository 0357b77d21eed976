// SPDX-License-Identifier: Apache-2.0
#include "src/ledger/query.h"

#include <string.h>

#include "src/ledger/internal.h"

int query_read(struct ledger *l, sqlite3_stmt *row, struct ledger_query *query, struct err *err)
{
	*query = (struct ledger_query){
		.id = sqlite3_column_int64(row, 0),
		.kind = (const char *)sqlite3_column_text(row, 1),
		.domain = (const char *)sqlite3_column_text(row, 2),
		.example_id = (const char *)sqlite3_column_text(row, 3),
		.ordinal = sqlite3_column_int64(row, 4),
		.stage = sqlite3_column_int64(row, 6),
		.step = (const char *)sqlite3_column_text(row, 7),
		.doubts = sqlite3_column_int64(row, 8),
		.attempts = sqlite3_column_int64(row, 9),
		.rejections = sqlite3_column_int64(row, 10),
	};
	const void *digest = sqlite3_column_blob(row, 5);
	if (!query->kind || !query->domain || !query->example_id || !query->step)
		return database_refuse_null(&l->db, err);
	if (sqlite3_column_bytes(row, 5) != HASH_SIZE || json_check(query->example_id, strlen(query->example_id), NULL, NULL))
		return err_set(err, ERR_LEDGER, "query %lld of ledger '%s' is damaged", (long long)query->id, l->db.path);
	memcpy(query->prompt_sha256, digest, HASH_SIZE);
	return 0;
}

static const void *copy_bytes(struct arena *arena, const void *bytes, size_t n, struct err *err)
{
	void *copy = arena_array(arena, n + 1, 1, err);
	if (copy && n)
		memcpy(copy, bytes, n);
	return copy;
}

/* Give the query strings of its own. */
static int keep(struct ledger_query *query, sqlite3_stmt *row, struct arena *arena, struct err *err)
{
	const char **strings[] = {&query->kind, &query->domain, &query->example_id, &query->step};
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		*strings[i] = arena_strdup(arena, *strings[i], err);
		if (!*strings[i])
			return -1;
	}
	const void *body = sqlite3_column_blob(row, QUERY_COLUMN_COUNT);
	query->body_n = (size_t)sqlite3_column_bytes(row, QUERY_COLUMN_COUNT);
	query->body = copy_bytes(arena, body, query->body_n, err);
	return query->body ? 0 : -1;
}

static int read_due(struct ledger *l, sqlite3_stmt *rows, size_t most, struct ledger_pending *pending, struct err *err)
{
	int got;
	while ((got = database_row(&l->db, rows, err)) > 0 && pending->n < most) {
		struct ledger_query *query = &pending->query[pending->n];
		if (query_read(l, rows, query, err) || keep(query, rows, &pending->arena, err))
			return -1;
		pending->n++;
	}
	return got < 0 ? -1 : 0;
}

#define DUE                                                                                                            \
	"SELECT " QUERY_COLUMNS ",q.body FROM query q WHERE stage=?1 AND step=?2 AND state='PENDING' AND not_before<=?3"  \
	" ORDER BY "

static int select_due(struct ledger *l, int64_t stage, const char *step, int64_t now, size_t most,
		      enum ledger_order order, struct ledger_pending *pending, struct err *err)
{
	static const char *const sql[] = {
		[LEDGER_IN_ORDER] = DUE "tries,id LIMIT ?4",
		[LEDGER_REFUSED_LAST] = DUE "tries,not_before>0,id LIMIT ?4",
		[LEDGER_MIXED] = DUE "tries,not_before>0,req_sha256,id LIMIT ?4",
	};
	pending->query = arena_array(&pending->arena, most, sizeof *pending->query, err);
	if (!pending->query)
		return -1;
	sqlite3_stmt *rows = database_select(&l->db, err, sql[order], "itii", stage, step, now, (int64_t)most);
	int failed = rows ? read_due(l, rows, most, pending, err) : -1;
	sqlite3_finalize(rows);
	return failed;
}

int ledger_pending(struct ledger *l, int64_t stage, const char *step, int64_t now, size_t most,
		   enum ledger_order order, struct ledger_pending *pending, struct err *err)
{
	*pending = (struct ledger_pending){0};
	arena_init(&pending->arena);
	if (!select_due(l, stage, step, now, most, order, pending, err) &&
	    (pending->n || !database_int(&l->db, err, &pending->wake, INT64_MAX, "SELECT min(not_before) FROM query WHERE"
					 " stage=?1 AND step=?2 AND state='PENDING' AND not_before>?3", "iti", stage, step,
					 now)))
		return 0;
	ledger_pending_release(pending);
	return -1;
}

void ledger_pending_release(struct ledger_pending *pending)
{
	arena_release(&pending->arena);
	*pending = (struct ledger_pending){0};
}
