// SPDX-License-Identifier: Apache-2.0
/*
 * internal.h - the open ledger, for src/ledger alone.
 */
#ifndef BALDISTILL_LEDGER_INTERNAL_H
#define BALDISTILL_LEDGER_INTERNAL_H

#include "src/ledger/attempt.h"
#include "src/ledger/database.h"
#include "src/ledger/ledger.h"
#include "src/ledger/slots.h"
#include "src/ledger/witness.h"

/* What is settled and armed together. */
struct turn {
	bool open;
	int64_t newest;    /* attempt armed in it; 0: none */
	struct err failed; /* the first failure: nothing of the turn will be committed */
};

struct ledger {
	struct database db;
	char *directory;          /* absolute, owned */
	int directory_fd, lock;   /* -1 where not open */
	struct witness witness;
	struct slots slots;
	struct turn turn;
	char uuid[SCHEMA_UUID + 1];
	int64_t epoch;
	int max_retries;
	size_t slot_bytes;
	bool billable, strict, inspect;
};

/* Begin a write: refused in a ledger that is only inspected, and after a failure of the disk. */
int ledger_begin(struct ledger *ledger, struct err *err);

/* The open turn must not be committed, as this failed: -1 with it in err. */
int turn_fail(struct ledger *ledger, const struct err *failure, struct err *err);
/* -1 with the failure, where there was one: nothing more may be written in the open turn. */
int turn_failed(const struct ledger *ledger, struct err *err);

/* T5, all of it in one transaction. */
int ledger_recover(struct ledger *ledger, const struct ledger_options *options, struct ledger_recovery *recovery,
		   struct err *err);

/* Book, inside the caller's transaction, what was sent while no price was known. */
int ledger_price_unpriced(struct ledger *ledger, const struct ledger_options *options, struct err *err);

/* Settle inside the caller's transaction; `reply` NULL: there is none. */
int attempt_settle(struct ledger *ledger, int64_t attempt, const struct ledger_verdict *verdict,
		   const struct ledger_received *reply, bool salvaged, int64_t now, struct err *err);

/* What response.sha256 holds: SHA-256 of the bytes received and the text taken from them. */
int reply_digest(unsigned char digest[HASH_SIZE], const void *raw, size_t raw_n, const void *content, size_t content_n,
		 struct err *err);

/* An event inside the caller's transaction. */
int event_add(struct ledger *ledger, const char *kind, const char *detail, int64_t now, struct err *err);

/* Read columns of `SELECT QUERY_COLUMNS FROM query q`; strings borrowed from the row. */
#define QUERY_COLUMNS                                                                                                  \
	"q.id,q.kind,q.domain,q.example_id,q.sample,q.req_sha256,q.stage,q.step,q.tries,"                              \
	"(SELECT count(*) FROM attempt n WHERE n.query_id=q.id AND n.wire=1),"                                         \
	"(SELECT count(*) FROM attempt n WHERE n.query_id=q.id AND n.state='RELEASED' AND n.http IN(400,403,413,422))"
enum { QUERY_COLUMN_COUNT = 11 };
int query_read(struct ledger *ledger, sqlite3_stmt *row, struct ledger_query *query, struct err *err);

#endif
