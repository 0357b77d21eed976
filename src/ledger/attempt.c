// SPDX-License-Identifier: Apache-2.0
#include "src/ledger/attempt.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "src/ledger/internal.h"

enum { SPARE_BYTES = 64 << 20 }; /* kept free beside room for two replies per slot */

static int check_space(struct ledger *l, struct err *err)
{
	struct statvfs status;
	uint64_t need = 2 * (uint64_t)l->slots.n * l->slot_bytes + SPARE_BYTES;
	if (fstatvfs(l->directory_fd, &status))
		return err_set_errno(err, ERR_IO, "cannot examine the disk of '%s'", l->directory);
	if ((uint64_t)status.f_bavail * status.f_frsize >= need)
		return 0;
	return err_set(err, ERR_IO, "the disk of '%s' is nearly full: %llu MiB must be free to go on", l->directory,
		       (unsigned long long)(need >> 20));
}

/* Which bound SQLite names in its refusal; LEDGER_GO: none of them. */
static enum ledger_stop find_bound(const char *message)
{
	static const struct {
		const char *name;
		enum ledger_stop stop;
	} bounds[] = {
		{"used_within_stage", LEDGER_STAGE_CAP},
		{"wire_within_cap", LEDGER_WIRE_CAP},
		{"cost_within_cap", LEDGER_COST_CAP},
	};
	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
		if (strstr(message, bounds[i].name))
			return bounds[i].stop;
	return LEDGER_GO;
}

/* Spend one unit: 0, or -1 with *stop set where a bound of the schema forbids it, or left alone on failure. */
static int spend(struct ledger *l, int64_t wire, int64_t cost, enum ledger_stop *stop, struct err *err)
{
	struct err refusal = {0};
	int rc = database_try(&l->db, &refusal, "UPDATE budget SET used=used+1, wire=wire+?1, cost=cost+?2", "ii", wire,
			      cost);
	if (rc > 0)
		*stop = find_bound(sqlite3_errmsg(l->db.handle));
	return rc ? err_set(err, refusal.code, "%s", refusal.message) : 0;
}

/* A pending query is in flight now; another state is the caller's fault. */
static int take_query(struct ledger *l, int64_t query, struct err *err)
{
	if (database_do(&l->db, err, "UPDATE query SET state='INFLIGHT' WHERE id=?1 AND state='PENDING'", "i", query))
		return -1;
	if (sqlite3_changes(l->db.handle) == 1)
		return 0;
	return err_set(err, ERR_INTERNAL, "query %lld cannot be asked: it is not pending", (long long)query);
}

static int add_attempt(struct ledger *l, struct ledger_shot *shot, int64_t now, struct err *err)
{
	if (database_do(&l->db, err, "INSERT INTO attempt(query_id,epoch,slot,at,wire,cost,state)"
			" VALUES(?1,?2,?3,?4,1,?5,'ARMED')", "iiiii", shot->query, l->epoch, (int64_t)shot->slot->state->index,
			now, shot->reserve))
		return -1;
	shot->attempt = sqlite3_last_insert_rowid(l->db.handle);
	snprintf(shot->request_id, sizeof shot->request_id, "%s-%lld", l->uuid, (long long)shot->attempt);
	return database_do(&l->db, err, "UPDATE attempt SET client_req_id=?2 WHERE id=?1", "it", shot->attempt,
			   shot->request_id);
}

static int arm_one(struct ledger *l, struct ledger_shot *shot, int64_t now, enum ledger_stop *stop, struct err *err)
{
	shot->attempt = 0;
	shot->slot = slots_find(&l->slots, 0);
	if (!shot->slot) {
		*stop = LEDGER_SLOTS;
		return -1;
	}
	if (spend(l, 1, shot->reserve, stop, err) || take_query(l, shot->query, err) ||
	    add_attempt(l, shot, now, err))
		return -1;
	return slot_arm(shot->slot, shot->attempt, err);
}

/* Arm as many as the bounds allow, inside a transaction. */
static int arm_all(struct ledger *l, struct ledger_shot *shots, size_t n, int64_t now, size_t *armed,
		   enum ledger_stop *stop, struct err *err)
{
	*stop = LEDGER_GO;
	for (*armed = 0; *armed < n; *armed += 1)
		if (arm_one(l, &shots[*armed], now, stop, err))
			return *stop == LEDGER_GO ? -1 : 0;
	return 0;
}

int ledger_arm(struct ledger *l, struct ledger_shot *shots, size_t n, int64_t now, size_t *armed,
	       enum ledger_stop *stop, struct err *err)
{
	bool own = !l->turn.open;
	*armed = 0;
	for (size_t i = 0; i < n; i++)
		shots[i].attempt = 0;
	if (check_space(l, err) || (own && ledger_turn_begin(l, err)) || turn_failed(l, err))
		return -1;
	struct err failure = {0};
	int failed = arm_all(l, shots, n, now, armed, stop, &failure) ? turn_fail(l, &failure, err) : 0;
	if (*armed)
		l->turn.newest = shots[*armed - 1].attempt;
	if (own)
		failed = ledger_turn_end(l, err);
	if (failed)
		*armed = 0;
	return failed;
}

int ledger_received(struct ledger *l, int64_t attempt, struct ledger_received *received, struct err *err)
{
	struct slot *slot = attempt ? slots_find(&l->slots, attempt) : NULL;
	if (!slot || !slot->state->finished)
		return err_set(err, ERR_INTERNAL, "attempt %lld has no finished reply", (long long)attempt);
	*received = (struct ledger_received){.http = slot->state->http, .head = slot->head, .body = slot->body,
					     .head_n = slot->state->head_n, .body_n = slot->state->body_n};
	return 0;
}

int ledger_settle(struct ledger *l, int64_t attempt, const struct ledger_verdict *verdict, int64_t now,
		  struct err *err)
{
	struct slot *slot = attempt ? slots_find(&l->slots, attempt) : NULL;
	struct ledger_received reply;
	bool own = !l->turn.open;
	if (!slot)
		return err_set(err, ERR_INTERNAL, "attempt %lld is not armed here", (long long)attempt);
	bool whole = slot->state->finished && !ledger_received(l, attempt, &reply, err);
	slot_settle(slot);
	if (own && ledger_turn_begin(l, err)) {
		slots_end_settled(&l->slots, false);
		return -1;
	}
	struct err failure = {0};
	int failed = turn_failed(l, err);
	if (!failed && attempt_settle(l, attempt, verdict, whole ? &reply : NULL, false, now, &failure))
		failed = turn_fail(l, &failure, err);
	return own ? ledger_turn_end(l, err) : failed;
}

static int share(struct ledger *l, int64_t query, const struct ledger_received *reply,
		 const struct ledger_verdict *verdict, int64_t now, enum ledger_stop *stop, struct err *err)
{
	struct ledger_verdict told = *verdict;
	told.state = LEDGER_ANSWERED;
	told.reason = "shared";
	told.cost = 0;
	if (spend(l, 0, 0, stop, err) || take_query(l, query, err) ||
	    database_do(&l->db, err, "INSERT INTO attempt(query_id,epoch,at,wire,cost,state) VALUES(?1,?2,?3,0,0,'ARMED')",
			"iii", query, l->epoch, now))
		return -1;
	return attempt_settle(l, sqlite3_last_insert_rowid(l->db.handle), &told, reply, false, now, err);
}

int ledger_share(struct ledger *l, int64_t query, const struct ledger_received *reply,
		 const struct ledger_verdict *verdict, int64_t now, bool *shared, struct err *err)
{
	enum ledger_stop stop = LEDGER_GO;
	*shared = false;
	if (ledger_begin(l, err))
		return -1;
	if (share(l, query, reply, verdict, now, &stop, err)) {
		database_rollback(&l->db);
		return stop == LEDGER_GO ? -1 : 0;
	}
	if (database_commit(&l->db, err))
		return -1;
	*shared = true;
	return 0;
}
