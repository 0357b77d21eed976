// SPDX-License-Identifier: Apache-2.0
#include "src/ledger/audit.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/ledger/cassette.h"
#include "src/ledger/internal.h"

/* Each counts rows that break a rule; 0 is good. */
static const struct {
	const char *rule, *sql;
} rules[] = {
	{"it has one run and one budget", "SELECT 2-(SELECT count(*) FROM run)-(SELECT count(*) FROM budget)"},
	{"numbers are such as a run can reach",
	 "SELECT (SELECT count(*) FROM attempt WHERE tokens_in NOT BETWEEN 0 AND 1000000000000 OR tokens_out NOT BETWEEN 0"
	 " AND 1000000000000 OR cost NOT BETWEEN 0 AND 1000000000000000)+(SELECT count(*) FROM run WHERE epoch NOT BETWEEN"
	 " 0 AND 1000000000000)"},
	{"used units are armed, answered, unusable or in doubt",
	 "SELECT used-(SELECT count(*) FROM attempt WHERE state<>'RELEASED') FROM budget"},
	{"sends are the attempts that were sent", "SELECT wire-(SELECT coalesce(sum(wire),0) FROM attempt) FROM budget"},
	{"money is that of the attempts", "SELECT cost-(SELECT coalesce(sum(cost),0) FROM attempt) FROM budget"},
	{"used units are within the budget", "SELECT count(*) FROM budget WHERE used>cap OR used>stage_cap OR wire>wire_cap"},
	{"a query in flight has one armed attempt, and the reverse",
	 "SELECT (SELECT count(*) FROM query q WHERE state='INFLIGHT' AND NOT EXISTS(SELECT 1 FROM attempt a WHERE"
	 " a.query_id=q.id AND a.state='ARMED'))+(SELECT count(*) FROM attempt a JOIN query q ON q.id=a.query_id WHERE"
	 " a.state='ARMED' AND q.state<>'INFLIGHT')"},
	{"an answered query has its answer, and the reverse",
	 "SELECT (SELECT count(*) FROM query q WHERE state IN('ANSWERED','UNUSABLE') AND NOT EXISTS(SELECT 1 FROM attempt a"
	 " WHERE a.query_id=q.id AND a.state=q.state))+(SELECT count(*) FROM attempt a JOIN query q ON q.id=a.query_id"
	 " WHERE a.state IN('ANSWERED','UNUSABLE') AND q.state<>a.state)"},
	{"a paid answer has its reply",
	 "SELECT count(*) FROM attempt a WHERE state IN('ANSWERED','UNUSABLE') AND NOT EXISTS(SELECT 1 FROM response r WHERE"
	 " r.attempt_id=a.id)"},
	{"rows refer to rows", "SELECT count(*) FROM pragma_foreign_key_check"},
};

static int refuse(struct ledger *l, const char *rule, struct err *err)
{
	return err_set(err, ERR_LEDGER, "ledger '%s' is refused, as it breaks the rule '%s'; see ledger audit, and save "
		       "what was bought with ledger export", l->db.path, rule);
}

/* A page that could not be read is told as a verdict, with SQLite's code: that is no damage. */
static int judge(struct ledger *l, const char *verdict, struct err *err)
{
	const char *told = verdict ? strstr(verdict, "error code=") : NULL;
	int code = told ? atoi(told + strlen("error code=")) : 0;
	int plain = code == SQLITE_IOERR_NOMEM ? SQLITE_NOMEM : code & 0xFF;
	char shown[256];
	if (verdict && !strcmp(verdict, "ok"))
		return 0;
	if (plain == SQLITE_NOMEM || plain == SQLITE_IOERR)
		return err_set(err, plain == SQLITE_NOMEM ? ERR_MEMORY : ERR_IO, "ledger '%s' cannot be read: %s", l->db.path,
			       sqlite3_errstr(plain));
	return refuse(l, verdict ? text_escape(shown, sizeof shown, verdict, strlen(verdict)) : "integrity", err);
}

static int check_integrity(struct ledger *l, struct err *err)
{
	sqlite3_stmt *rows = database_select(&l->db, err, "PRAGMA quick_check(1)", "");
	int got = rows ? database_row(&l->db, rows, err) : -1;
	const char *verdict = got > 0 ? (const char *)sqlite3_column_text(rows, 0) : NULL;
	int failed = got < 0 ? -1 : judge(l, verdict, err);
	sqlite3_finalize(rows);
	return failed;
}

static int check_rules(struct ledger *l, struct err *err)
{
	int64_t broken;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		if (database_int(&l->db, err, &broken, 1, rules[i].sql, ""))
			return -1;
		if (broken)
			return refuse(l, rules[i].rule, err);
	}
	return 0;
}

static int check_reply(struct ledger *l, sqlite3_stmt *row, struct err *err)
{
	unsigned char digest[HASH_SIZE];
	const void *raw = sqlite3_column_blob(row, 0), *content = sqlite3_column_text(row, 2);
	if (reply_digest(digest, raw, (size_t)sqlite3_column_bytes(row, 0), content,
			 (size_t)sqlite3_column_bytes(row, 2), err))
		return -1;
	if (sqlite3_column_bytes(row, 1) == HASH_SIZE && !memcmp(sqlite3_column_blob(row, 1), digest, HASH_SIZE))
		return 0;
	return refuse(l, "a reply has its SHA-256", err);
}

static int check_replies(struct ledger *l, struct err *err)
{
	int got = -1;
	sqlite3_stmt *rows = database_select(&l->db, err, "SELECT raw,sha256,content FROM response", "");
	while (rows && (got = database_row(&l->db, rows, err)) > 0 && !check_reply(l, rows, err))
		;
	sqlite3_finalize(rows);
	return got ? -1 : 0;
}

int ledger_check(struct ledger *l, struct err *err)
{
	return check_integrity(l, err) || check_rules(l, err) || check_replies(l, err) ? -1 : 0;
}

static void put_string(struct json_writer *w, const char *key, const char *text)
{
	char shown[1024];
	json_put_key(w, key);
	if (text)
		json_put_string(w, shown, strlen(text_escape(shown, sizeof shown, text, strlen(text))));
	else
		json_put_null(w);
}

static int put_doubt(void *context, const struct ledger_row *row, struct err *err)
{
	struct json_writer *w = context;
	char hex[HASH_HEX_ROOM];
	(void)err;
	if (strcmp(row->state, "in_doubt"))
		return 0;
	hash_hex(hex, row->query.prompt_sha256);
	json_begin_object(w);
	json_member_int(w, "attempt", row->attempt);
	put_string(w, "request_id", row->request_id);
	put_string(w, "provider_request_id", row->provider_request_id);
	json_member_int(w, "at", row->at);
	json_member_int(w, "stage", row->query.stage);
	put_string(w, "step", row->query.step);
	put_string(w, "domain", row->query.domain);
	json_put_key(w, "id");
	json_put_raw(w, row->query.example_id);
	put_string(w, "prompt_sha256", hex);
	put_string(w, "reason", row->reason);
	json_end_object(w);
	return 0;
}

static int put_doubts(struct ledger *l, struct json_writer *w, struct err *err)
{
	json_put_key(w, "in_doubt");
	json_begin_array(w);
	int failed = ledger_attempts(l, put_doubt, w, err);
	json_end_array(w);
	return failed;
}

static int put_tokens(struct ledger *l, struct json_writer *w, struct err *err)
{
	int64_t input, output;
	if (database_int(&l->db, err, &input, 0, "SELECT CAST(total(tokens_in) AS INT) FROM attempt WHERE wire=1", "") ||
	    database_int(&l->db, err, &output, 0, "SELECT CAST(total(tokens_out) AS INT) FROM attempt WHERE wire=1", ""))
		return -1;
	json_put_key(w, "tokens");
	json_begin_object(w);
	json_member_int(w, "input", input);
	json_member_int(w, "output", output);
	json_end_object(w);
	return 0;
}

static int put_events(struct ledger *l, struct json_writer *w, struct err *err)
{
	int got = -1;
	sqlite3_stmt *rows = database_select(&l->db, err, "SELECT at,kind,detail FROM event ORDER BY id", "");
	json_put_key(w, "events");
	json_begin_array(w);
	while (rows && (got = database_row(&l->db, rows, err)) > 0) {
		json_begin_object(w);
		json_member_int(w, "at", sqlite3_column_int64(rows, 0));
		put_string(w, "kind", (const char *)sqlite3_column_text(rows, 1));
		put_string(w, "detail", (const char *)sqlite3_column_text(rows, 2));
		json_end_object(w);
	}
	json_end_array(w);
	sqlite3_finalize(rows);
	return got;
}

/* Sends without a unit, but for those that never reached the teacher. An answer that is shared is a unit without a send. */
static int put_not_counted(struct ledger *l, struct json_writer *w, struct err *err)
{
	int64_t n;
	if (database_int(&l->db, err, &n, 0, "SELECT wire-used+(SELECT count(*) FROM attempt WHERE wire=0 AND state='ANSWERED')"
			 "-(SELECT count(*) FROM attempt WHERE wire=1 AND state='RELEASED' AND reason='not connected')"
			 " FROM budget", ""))
		return -1;
	json_member_int(w, "not_counted", n > 0 ? n : 0);
	return 0;
}

int ledger_audit(struct ledger *l, struct json_writer *w, struct err *err)
{
	struct ledger_counts counts;
	struct err refusal = {0};
	if (ledger_counts(l, &counts, err))
		return -1;
	ledger_check(l, &refusal);
	if (refusal.code && refusal.code != ERR_LEDGER) /* no judgement: it could not be read to its end */
		return err_set(err, refusal.code, "%s", refusal.message);
	json_begin_object(w);
	put_string(w, "run", l->uuid);
	json_put_key(w, "ledger");
	ledger_put_counts(w, &counts);
	put_string(w, "refusal", refusal.code ? refusal.message : NULL);
	json_member_known(w, "cost", (double)counts.cost / 1e9, counts.cost || counts.cost_cap >= 0);
	if (put_not_counted(l, w, err) || put_tokens(l, w, err) || put_doubts(l, w, err) || put_events(l, w, err))
		return -1;
	json_end_object(w);
	return 0;
}
