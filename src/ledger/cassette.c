// SPDX-License-Identifier: Apache-2.0
#include "src/ledger/cassette.h"

#include <string.h>

#include "src/base/jsonfile.h"
#include "src/base/text.h"
#include "src/ledger/internal.h"

/* A refusal for good is known by its query; it was the last attempt of it. */
#define ROWS                                                                                                           \
	"SELECT " QUERY_COLUMNS ",a.id,a.at,CASE a.state WHEN 'ANSWERED' THEN 'answered' WHEN 'UNUSABLE' THEN "        \
	"'unusable' WHEN 'INDOUBT' THEN 'in_doubt' WHEN 'RELEASED' THEN CASE WHEN q.state='REJECTED' AND a.id="        \
	"(SELECT max(id) FROM attempt m WHERE m.query_id=q.id) THEN 'rejected' ELSE 'released' END END,"               \
	"a.reason,r.finish_reason,r.usage,a.provider_req_id,a.client_req_id,a.http,r.content,a.wire"                   \
	" FROM query q JOIN attempt a ON a.query_id=q.id LEFT JOIN response r ON r.attempt_id=a.id WHERE "
#define IN_ORDER " ORDER BY q.id,a.id"

static const char *text_of(sqlite3_stmt *row, int column)
{
	return (const char *)sqlite3_column_text(row, QUERY_COLUMN_COUNT + column);
}

static int read_row(struct ledger *l, sqlite3_stmt *from, struct ledger_row *row, struct err *err)
{
	*row = (struct ledger_row){
		.attempt = sqlite3_column_int64(from, QUERY_COLUMN_COUNT),
		.at = sqlite3_column_int64(from, QUERY_COLUMN_COUNT + 1),
		.state = text_of(from, 2),
		.reason = text_of(from, 3),
		.finish_reason = text_of(from, 4),
		.usage = text_of(from, 5),
		.provider_request_id = text_of(from, 6),
		.request_id = text_of(from, 7),
		.http = sqlite3_column_int64(from, QUERY_COLUMN_COUNT + 8),
		.content = text_of(from, 9),
		.content_n = (size_t)sqlite3_column_bytes(from, QUERY_COLUMN_COUNT + 9),
		.sent = sqlite3_column_int64(from, QUERY_COLUMN_COUNT + 10) != 0,
	};
	return row->state ? query_read(l, from, &row->query, err) : database_refuse_null(&l->db, err);
}

/* Visit all rows and end the statement. */
static int visit_rows(struct ledger *l, sqlite3_stmt *rows, ledger_visit_row *visit, void *context, struct err *err)
{
	struct ledger_row row;
	int got = -1;
	while (rows && (got = database_row(&l->db, rows, err)) > 0) {
		if (read_row(l, rows, &row, err) || visit(context, &row, err)) {
			got = -1;
			break;
		}
	}
	sqlite3_finalize(rows);
	return got < 0 ? -1 : 0;
}

int ledger_attempts(struct ledger *l, ledger_visit_row *visit, void *context, struct err *err)
{
	return visit_rows(l, database_select(&l->db, err, ROWS "a.state<>'ARMED'" IN_ORDER, ""), visit, context, err);
}

int ledger_step_attempts(struct ledger *l, int64_t stage, const char *step, ledger_visit_row *visit, void *context,
			 struct err *err)
{
	sqlite3_stmt *rows = database_select(&l->db, err, ROWS "q.stage=?1 AND q.step=?2 AND a.state<>'ARMED'" IN_ORDER,
					     "it", stage, step);
	return visit_rows(l, rows, visit, context, err);
}

/* What a server says may be no UTF-8: shown escaped, or as null where it is long. */
static void put_text(struct json_writer *w, const char *key, const char *text, size_t n)
{
	char shown[256];
	json_put_key(w, key);
	if (text && text_utf8_valid(text, n) == n)
		json_put_string(w, text, n);
	else if (text && n < sizeof shown / 4)
		json_put_string(w, shown, strlen(text_escape(shown, sizeof shown, text, n)));
	else
		json_put_null(w);
}

static void put_word(struct json_writer *w, const char *key, const char *text)
{
	put_text(w, key, text, text ? strlen(text) : 0);
}

static void put_json(struct json_writer *w, const char *key, const char *json)
{
	json_put_key(w, key);
	if (json && !json_check(json, strlen(json), NULL, NULL))
		json_put_raw(w, json);
	else
		json_put_null(w);
}

static void put_row(struct json_writer *w, const struct ledger_row *row)
{
	char hex[HASH_HEX_ROOM];
	hash_hex(hex, row->query.prompt_sha256);
	json_begin_object(w);
	put_word(w, "kind", row->query.kind);
	json_put_key(w, "stage");
	json_put_int(w, row->query.stage);
	put_word(w, "domain", row->query.domain);
	put_json(w, "id", row->query.example_id);
	json_put_key(w, "ordinal");
	json_put_int(w, row->query.ordinal);
	put_word(w, "prompt_sha256", hex);
	put_word(w, "state", row->state);
	put_word(w, "reason", row->reason);
	json_put_key(w, "http");
	json_put_int(w, row->http);
	put_word(w, "finish_reason", row->finish_reason);
	put_text(w, "content", row->content, row->content_n);
	put_json(w, "usage", row->usage);
	json_end_object(w);
}

static int export_row(void *context, const struct ledger_row *row, struct err *err)
{
	struct json_writer w;
	if (!row->sent && strcmp(row->state, "answered")) /* nobody heard of it: nothing to tell */
		return 0;
	json_writer_init(&w, 0);
	put_row(&w, row);
	return json_save_row(&w, context, err);
}

int ledger_export(struct ledger *l, const char *path, struct err *err)
{
	struct file_writer writer;
	if (file_writer_open(&writer, path, 0600, err))
		return -1;
	if (!ledger_attempts(l, export_row, &writer, err))
		return file_writer_commit(&writer, err);
	file_writer_abort(&writer);
	return -1;
}
