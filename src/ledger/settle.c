// SPDX-License-Identifier: Apache-2.0
/*
 * T2, T3, T4: what a verdict does to the attempt, its query and the budget.
 */
#include <string.h>

#include "src/ledger/internal.h"

struct open_attempt {
	int64_t query, reserve, doubts;
};

/* What the three rows become. */
struct outcome {
	const char *attempt, *query;
	int64_t units, cost, doubts;
};

static int find_attempt(struct ledger *l, int64_t attempt, struct open_attempt *out, struct err *err)
{
	sqlite3_stmt *rows = database_select(&l->db, err, "SELECT a.query_id,a.cost,q.tries FROM attempt a JOIN query q ON"
					     " q.id=a.query_id WHERE a.id=?1 AND a.state='ARMED'", "i", attempt);
	int got = rows ? database_row(&l->db, rows, err) : -1;
	if (got > 0)
		*out = (struct open_attempt){sqlite3_column_int64(rows, 0), sqlite3_column_int64(rows, 1),
					     sqlite3_column_int64(rows, 2)};
	sqlite3_finalize(rows);
	if (got)
		return got < 0 ? -1 : 0;
	return err_set(err, ERR_INTERNAL, "attempt %lld is settled already", (long long)attempt);
}

static struct outcome released(struct ledger *l, const struct open_attempt *a, const struct ledger_verdict *v)
{
	const char *query = v->reject ? "REJECTED" : "PENDING";
	if (l->strict && !v->unsent)
		return (struct outcome){"INDOUBT", query, 0, 0, a->doubts};
	return (struct outcome){"RELEASED", query, -1, -a->reserve, a->doubts};
}

static struct outcome in_doubt(struct ledger *l, const struct open_attempt *a)
{
	return (struct outcome){"INDOUBT", a->doubts < l->max_retries ? "PENDING" : "PARKED", 0, 0, a->doubts + 1};
}

static struct outcome decide(struct ledger *l, const struct open_attempt *a, const struct ledger_verdict *v)
{
	int64_t cost = v->cost < 0 ? 0 : v->cost - a->reserve;
	struct outcome outcome;
	switch (v->state) {
	case LEDGER_ANSWERED:
		return (struct outcome){"ANSWERED", "ANSWERED", 0, cost, a->doubts};
	case LEDGER_UNUSABLE:
		return (struct outcome){"UNUSABLE", "UNUSABLE", 0, cost, a->doubts};
	case LEDGER_RELEASED:
		return released(l, a, v);
	default:
		outcome = in_doubt(l, a);
		outcome.cost = cost;
		return outcome;
	}
}

int reply_digest(unsigned char digest[HASH_SIZE], const void *raw, size_t raw_n, const void *content, size_t content_n,
		 struct err *err)
{
	struct hash hash;
	if (hash_init(&hash, err))
		return -1;
	int failed = hash_update(&hash, raw, raw_n, err) || hash_update(&hash, content, content_n, err) ||
		     hash_final(digest, &hash, err);
	hash_release(&hash);
	return failed ? -1 : 0;
}

static int store_reply(struct ledger *l, int64_t attempt, const struct ledger_verdict *v,
		       const struct ledger_received *reply, bool salvaged, struct err *err)
{
	unsigned char digest[HASH_SIZE];
	size_t content_n = v->content ? v->content_n : 0;
	if (reply_digest(digest, reply->body, reply->body_n, v->content, content_n, err) ||
	    database_do(&l->db, err, "INSERT INTO response(attempt_id,raw,head,sha256,salvaged,finish_reason,usage,content)"
			" VALUES(?1,?2,?3,?4,?5,?6,?7,CASE WHEN ?8 THEN CAST(?9 AS TEXT) END)", "ibbbittib", attempt,
			reply->body, reply->body_n, reply->head, reply->head_n, digest, (size_t)HASH_SIZE,
			(int64_t)salvaged, v->finish_reason, v->usage, (int64_t)(v->content != NULL), v->content,
			content_n))
		return -1;
	return 0;
}

static int update(struct ledger *l, int64_t attempt, const struct open_attempt *a, const struct outcome *o,
		  const struct ledger_verdict *v, int64_t now, struct err *err)
{
	int64_t unsent = v->state == LEDGER_RELEASED && v->unsent && !v->bytes_up; /* no byte left: it was no send */
	if (database_do(&l->db, err, "UPDATE attempt SET state=?2, settled_at=?3, cost=cost+?4, provider_req_id=?5, http=?6,"
			" curl=?7, reason=?8, bytes_up=?9, bytes_down=?10, tokens_in=?11, tokens_out=?12, wire=wire-?13 WHERE id=?1",
			"itiitiitiiiii", attempt, o->attempt, now, o->cost, v->provider_request_id, (int64_t)v->http,
			(int64_t)v->curl, v->reason, v->bytes_up, v->bytes_down, v->tokens_in, v->tokens_out, unsent))
		return -1;
	if (database_do(&l->db, err, "UPDATE query SET state=?2, tries=?3, not_before=?4 WHERE id=?1", "itii", a->query,
			o->query, o->doubts, v->not_before))
		return -1;
	return database_do(&l->db, err, "UPDATE budget SET used=used+?1, cost=cost+?2, wire=wire-?3", "iii", o->units, o->cost,
			   unsent);
}

int attempt_settle(struct ledger *l, int64_t attempt, const struct ledger_verdict *v,
		   const struct ledger_received *reply, bool salvaged, int64_t now, struct err *err)
{
	struct open_attempt a = {0};
	if (!reply && (v->state == LEDGER_ANSWERED || v->state == LEDGER_UNUSABLE))
		return err_set(err, ERR_INTERNAL, "attempt %lld is settled without a reply", (long long)attempt);
	if (find_attempt(l, attempt, &a, err))
		return -1;
	struct outcome outcome = decide(l, &a, v);
	if (update(l, attempt, &a, &outcome, v, now, err))
		return -1;
	return reply ? store_reply(l, attempt, v, reply, salvaged, err) : 0;
}
