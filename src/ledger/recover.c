// SPDX-License-Identifier: Apache-2.0
/*
 * T5: what an earlier process had armed is settled from its slot where the
 * reply is whole, else it stays spent, in doubt; where nothing is billed it is
 * released and leaves no trace in the counts.
 */
#include <stdio.h>
#include <stdlib.h>

#include "src/ledger/internal.h"

struct armed {
	int64_t attempt, query;
	int slot;
};

struct armed_list {
	struct armed *item;
	size_t n, room;
};

static int collect(struct ledger *l, struct armed_list *list, struct err *err)
{
	int got = -1;
	sqlite3_stmt *rows = database_select(&l->db, err, "SELECT id,query_id,slot FROM attempt WHERE state='ARMED'"
					     " ORDER BY id", "");
	while (rows && (got = database_row(&l->db, rows, err)) > 0) {
		if (mem_grow(&list->item, &list->room, list->n + 1, sizeof *list->item, err)) {
			got = -1;
			break;
		}
		list->item[list->n++] = (struct armed){sqlite3_column_int64(rows, 0), sqlite3_column_int64(rows, 1),
						       sqlite3_column_int(rows, 2)};
	}
	sqlite3_finalize(rows);
	return got < 0 ? -1 : 0;
}

static int judge(struct ledger *l, const struct ledger_options *o, const struct armed *armed,
		 const struct ledger_received *reply, struct ledger_verdict *verdict, struct err *err)
{
	struct ledger_query query = {0};
	sqlite3_stmt *rows = database_select(&l->db, err, "SELECT " QUERY_COLUMNS " FROM query q WHERE q.id=?1", "i",
					     armed->query);
	int failed = rows && database_row(&l->db, rows, err) > 0 ? query_read(l, rows, &query, err) : -1;
	failed = failed || o->judge(o->judge_context, &query, reply, verdict, err);
	sqlite3_finalize(rows);
	return failed ? -1 : 0;
}

/* A reply that lies whole in its slot. */
static int salvage(struct ledger *l, const struct ledger_options *o, const struct armed *armed,
		   const struct slot_reply *found, struct err *err)
{
	struct ledger_received reply = {.http = found->http, .head = found->head, .head_n = found->head_n,
					.body = found->body, .body_n = found->body_n};
	struct ledger_verdict verdict = {.cost = -1};
	if (judge(l, o, armed, &reply, &verdict, err))
		return -1;
	return attempt_settle(l, armed->attempt, &verdict, &reply, true, o->now, err);
}

static int doubt(struct ledger *l, const struct ledger_options *o, const struct armed *armed, struct err *err)
{
	struct ledger_verdict verdict = {.state = LEDGER_IN_DOUBT, .reason = "crash", .cost = -1};
	return attempt_settle(l, armed->attempt, &verdict, NULL, false, o->now, err);
}

static int interrupt(struct ledger *l, const struct ledger_options *o, const struct armed *armed, struct err *err)
{
	struct ledger_verdict verdict = {.state = LEDGER_RELEASED, .unsent = true, .reason = "interrupted"};
	return attempt_settle(l, armed->attempt, &verdict, NULL, false, o->now, err);
}

static int recover_one(struct ledger *l, const struct ledger_options *o, const struct armed *armed,
		       struct ledger_recovery *recovery, struct err *err)
{
	struct slot_reply found;
	if (!l->billable) {
		recovery->released++;
		return interrupt(l, o, armed, err);
	}
	int whole = slots_load(l->directory_fd, armed->slot, l->uuid, armed->attempt, &found, err);
	if (whole < 0)
		return -1;
	*(whole ? &recovery->salvaged : &recovery->in_doubt) += 1;
	int failed = whole ? salvage(l, o, armed, &found, err) : doubt(l, o, armed, err);
	slot_reply_release(&found);
	return failed;
}

int ledger_recover(struct ledger *l, const struct ledger_options *o, struct ledger_recovery *recovery, struct err *err)
{
	struct armed_list list = {0};
	char detail[128];
	int failed = collect(l, &list, err);
	for (size_t i = 0; !failed && i < list.n; i++)
		failed = recover_one(l, o, &list.item[i], recovery, err);
	snprintf(detail, sizeof detail, "%d salvaged, %d in doubt, %d released", recovery->salvaged, recovery->in_doubt,
		 recovery->released);
	if (!failed && list.n)
		failed = event_add(l, "recovered", detail, o->now, err);
	free(list.item);
	return failed;
}
