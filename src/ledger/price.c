// SPDX-License-Identifier: Apache-2.0
/* What was sent before the plan had prices is booked at them, so that max_cost bounds the run and not what is left of it. */
#include <stdio.h>

#include "src/ledger/internal.h"

static int book(struct ledger *l, int64_t attempt, int64_t cost, struct err *err)
{
	return database_do(&l->db, err, "UPDATE attempt SET cost=?2 WHERE id=?1", "ii", attempt, cost);
}

/* The sum of what was booked, or -1. */
static int64_t book_all(struct ledger *l, const struct ledger_options *o, struct err *err)
{
	int got = -1;
	int64_t sum = 0;
	sqlite3_stmt *rows = database_select(&l->db, err, "SELECT a.id,coalesce(a.tokens_in,0),coalesce(a.tokens_out,0),"
					     "length(q.body) FROM attempt a JOIN query q ON q.id=a.query_id WHERE a.cost=0 AND"
					     " a.wire=1 AND a.state IN('ANSWERED','UNUSABLE','INDOUBT') ORDER BY a.id", "");
	while (rows && (got = database_row(&l->db, rows, err)) > 0) {
		int64_t cost = o->price(o->price_context, sqlite3_column_int64(rows, 1), sqlite3_column_int64(rows, 2),
					sqlite3_column_int64(rows, 3));
		if (cost > 0 && book(l, sqlite3_column_int64(rows, 0), cost, err)) {
			got = -1;
			break;
		}
		sum += cost > 0 ? cost : 0;
	}
	sqlite3_finalize(rows);
	return got < 0 ? -1 : sum;
}

int ledger_price_unpriced(struct ledger *l, const struct ledger_options *o, struct err *err)
{
	char detail[96];
	if (!o->price)
		return 0;
	int64_t sum = book_all(l, o, err);
	if (sum <= 0)
		return sum < 0 ? -1 : 0;
	snprintf(detail, sizeof detail, "%lld.%09lld for what was sent without prices", (long long)(sum / 1000000000),
		 (long long)(sum % 1000000000));
	if (database_do(&l->db, err, "UPDATE budget SET cost=cost+?1", "i", sum))
		return -1;
	return event_add(l, "priced", detail, o->now, err);
}
