// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>

#include "src/ledger/internal.h"

#define OF_STATE(table, state) "(SELECT count(*) FROM " table " WHERE state='" state "')"

/* Where each column of the statement below goes. */
static const size_t places[] = {
	offsetof(struct ledger_counts, budget),     offsetof(struct ledger_counts, stage_cap),
	offsetof(struct ledger_counts, used),       offsetof(struct ledger_counts, wire),
	offsetof(struct ledger_counts, wire_cap),   offsetof(struct ledger_counts, cost),
	offsetof(struct ledger_counts, cost_cap),   offsetof(struct ledger_counts, armed),
	offsetof(struct ledger_counts, answered),   offsetof(struct ledger_counts, unusable),
	offsetof(struct ledger_counts, in_doubt),   offsetof(struct ledger_counts, released),
	offsetof(struct ledger_counts, pending),    offsetof(struct ledger_counts, parked),
	offsetof(struct ledger_counts, rejected),
};

int ledger_counts(struct ledger *l, struct ledger_counts *counts, struct err *err)
{
	sqlite3_stmt *rows = database_select(&l->db, err,
		"SELECT cap,stage_cap,used,wire,wire_cap,cost,coalesce(cost_cap,-1)," OF_STATE("attempt", "ARMED") ","
		OF_STATE("attempt", "ANSWERED") "," OF_STATE("attempt", "UNUSABLE") "," OF_STATE("attempt", "INDOUBT") ","
		OF_STATE("attempt", "RELEASED") "," OF_STATE("query", "PENDING") "," OF_STATE("query", "PARKED") ","
		OF_STATE("query", "REJECTED") " FROM budget", "");
	int got = rows ? database_row(&l->db, rows, err) : -1;
	for (size_t i = 0; got > 0 && i < sizeof places / sizeof *places; i++) {
		int64_t value = sqlite3_column_int64(rows, (int)i);
		memcpy((char *)counts + places[i], &value, sizeof value);
	}
	sqlite3_finalize(rows);
	if (got)
		return got < 0 ? -1 : 0;
	return err_set(err, ERR_LEDGER, "ledger '%s' has no budget", l->db.path);
}

void ledger_put_counts(struct json_writer *w, const struct ledger_counts *c)
{
	const struct {
		const char *key;
		int64_t value;
	} members[] = {
		{"budget", c->budget},     {"used", c->used},         {"armed", c->armed},       {"answered", c->answered},
		{"unusable", c->unusable}, {"in_doubt", c->in_doubt}, {"released", c->released}, {"wire", c->wire},
	};
	json_begin_object(w);
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		json_put_key(w, members[i].key);
		json_put_int(w, members[i].value);
	}
	json_end_object(w);
}

int ledger_domains(struct ledger *l, ledger_visit_domain *visit, void *context, struct err *err)
{
	int got = -1;
	sqlite3_stmt *rows = database_select(&l->db, err, "SELECT domain,sum(state='ANSWERED'),sum(state='UNUSABLE')"
					     " FROM query GROUP BY domain ORDER BY domain", "");
	while (rows && (got = database_row(&l->db, rows, err)) > 0) {
		const char *domain = (const char *)sqlite3_column_text(rows, 0);
		if (!domain)
			got = database_refuse_null(&l->db, err);
		else if (visit(context, domain, sqlite3_column_int64(rows, 1), sqlite3_column_int64(rows, 2), err))
			got = -1;
		if (got < 0)
			break;
	}
	sqlite3_finalize(rows);
	return got < 0 ? -1 : 0;
}

int event_add(struct ledger *l, const char *kind, const char *detail, int64_t now, struct err *err)
{
	return database_do(&l->db, err, "INSERT INTO event(at,kind,detail) VALUES(?1,?2,?3)", "itt", now, kind, detail);
}
