// SPDX-License-Identifier: Apache-2.0
/*
 * What is settled and armed in one transaction.
 */
#include "src/ledger/internal.h"

int ledger_turn_begin(struct ledger *l, struct err *err)
{
	if (ledger_begin(l, err))
		return -1;
	l->turn = (struct turn){.open = true};
	return 0;
}

int turn_failed(const struct ledger *l, struct err *err)
{
	const struct err *failed = &l->turn.failed;
	if (failed->code)
		return err_set(err, failed->code, "%s", failed->message);
	if (!l->turn.open || !sqlite3_get_autocommit(l->db.handle))
		return 0;
	return err_set(err, ERR_MEMORY, "ledger '%s': SQLite has undone what was not committed; out of memory?", l->db.path);
}

int turn_fail(struct ledger *l, const struct err *failure, struct err *err)
{
	l->turn.failed = *failure;
	return turn_failed(l, err);
}

/* A control build acknowledges what it has not committed, where no send needs it. */
static int commit(struct ledger *l, struct err *err)
{
#ifdef LEDGER_TEST_SETTLE_LATE
	if (!l->turn.newest)
		return 0;
#endif
	return database_commit(&l->db, err);
}

/* A witness that cannot be raised ends the run's sending, like a failed disk. */
static int tell_witness(struct ledger *l, int64_t attempt, struct err *err)
{
	if (!witness_raise(&l->witness, attempt, &l->db.failed))
		return 0;
	return err_set(err, l->db.failed.code, "%s", l->db.failed.message);
}

int ledger_turn_end(struct ledger *l, struct err *err)
{
	int64_t newest = l->turn.newest;
	int failed = turn_failed(l, err) ? database_rollback(&l->db) : commit(l, err);
	l->turn = (struct turn){0};
	slots_end_settled(&l->slots, !failed);
	if (!failed && newest)
		failed = tell_witness(l, newest, err);
	slots_end_armed(&l->slots, !failed);
	return failed ? -1 : 0;
}
