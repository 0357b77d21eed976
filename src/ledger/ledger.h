// SPDX-License-Identifier: Apache-2.0
/*
 * ledger.h - the run's memory: what may be spent, what was asked, what came back.
 *
 * A unit is one attempt: one send that may have been billed. The ledger lives
 * in the run directory (run.lock, ledger.db, slot-NN) with a witness outside
 * it, and keeps five promises through kill, power cut and full disk:
 *
 *   G1  units that may have been billed never exceed the budget. A CHECK of
 *       the database bounds them; a send needs a committed row first.
 *   G2  an answer that was committed is never bought again (a unique index).
 *   G3  bytes whose settling was committed survive a power cut (rollback
 *       journal TRUNCATE, synchronous EXTRA, read back at open).
 *   G4  one crash leaves at most `slots` units in doubt; a reply that reached
 *       its slot whole is salvaged at the next open instead.
 *   G5  used = armed + answered + unusable + in doubt, checked at every open.
 *
 * Calling sequence (T0 to T5 are the transactions):
 *
 *     struct ledger *ledger = ledger_open(&options, &recovery, &err);    // T5: recover
 *     ledger_stage_open(ledger, k, cum_k, &err);                         // step.h
 *     ledger_step_open(ledger, k, "annotate", queries, n, &err);         // T0: all queries before any send
 *     while (!ledger_pending(ledger, k, "annotate", now, room, LEDGER_IN_ORDER, &pending, &err) && pending.n) {
 *             ledger_arm(ledger, shots, pending.n, now, &armed, &stop, &err);  // T1: then, only then, send
 *             memcpy(shots[i].slot->body, bytes, n);                     // as bytes come in; no malloc
 *             slot_finish(shots[i].slot, http, head_n, body_n, &err);    // the reply is whole
 *             ledger_received(ledger, shots[i].attempt, &received, &err);// the bytes, to be judged
 *             ledger_settle(ledger, shots[i].attempt, &verdict, now, &err);    // T2, T3, T4
 *     }
 *     ledger_step_done(ledger, k, "annotate", files, n, counts, &err);
 *     ledger_close(ledger);
 *
 * After ledger_settle, or the end of the turn it was called in (attempt.h),
 * returned 0 the answer may be told to the user, and not before. One process opens a run, one thread uses the handle. Times are
 * milliseconds of a clock the caller chooses and passes in.
 *
 * Failures. ERR_TEMPFAIL: another process holds the run, or its file system
 * cannot lock. ERR_LEDGER: corrupt, rolled back, another run's; nothing is
 * ever repaired silently. ERR_IO: disk full or failing; the handle then
 * refuses every call that needs the database with the same message, as a
 * failed sync is never tried again; replies already in their slots, and those
 * still put there, are salvaged by the next process. ERR_CONFIG: not the teacher, plan or
 * budget this run began with. ERR_NOPERM: directory writable by others.
 *
 * What no client can remove: a crash between send and receipt (at most `slots`
 * units), a reply lost on the network (one unit each), a gateway that repeats,
 * a provider that bills what it refused (at most wire - used; `strict` removes
 * it), a restored copy on another host, a disk that ignores flush. ledger_audit
 * (audit.h) lists what can be listed.
 */
#ifndef BALDISTILL_LEDGER_LEDGER_H
#define BALDISTILL_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/base/hash.h"
#include "src/base/jsonio.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ledger;
struct ledger_query;
struct ledger_received;
struct ledger_verdict;

/*
 * Judge a reply that a killed process had received whole; fills the verdict as
 * for ledger_settle (its strings must live until the next call). -1: the open fails.
 */
typedef int ledger_judge(void *context, const struct ledger_query *query, const struct ledger_received *received,
			 struct ledger_verdict *verdict, struct err *err);

/* May this run go on with the budget of the options? -1: the open fails and nothing has changed. */
typedef int ledger_allow(void *context, struct ledger *ledger, struct err *err);

/* Billionths that so many tokens cost, or, of none, a request of so many bytes at the most; -1: no prices are known. */
typedef int64_t ledger_price(void *context, int64_t tokens_in, int64_t tokens_out, int64_t body_n);

struct ledger_options {
	const char *directory;       /* the run directory: exists, not writable by group or others */
	const char *state_directory; /* of witnesses, made where missing; NULL: BALDISTILL_STATE_DIR, else XDG's */
	const char *host;            /* whom the units are bought from; a run keeps to one */
	const char *model;           /* likewise */
	unsigned char params_sha256[HASH_SIZE]; /* of everything that may not change between starts */
	int64_t budget;              /* units; may grow between starts */
	int64_t max_cost;            /* billionths of a currency unit; -1: no such cap */
	int slots;                   /* requests in flight at most */
	size_t slot_bytes;           /* largest reply body kept */
	int64_t most_wait;           /* milliseconds; what is to wait longer from now on is due; 0: it waits */
	int max_retries;             /* billed retries of one query, then it is parked */
	bool billable;               /* false: interrupted attempts cost nothing and are released */
	bool strict;                 /* refusals that are said to be unbilled stay counted */
	bool inspect;                /* only look: no recovery, no slots, every write refused; other fields unread */
	ledger_allow *allow;         /* asked before a grown budget is taken on; NULL: always allowed */
	void *allow_context;
	ledger_judge *judge;         /* needed where billable */
	void *judge_context;
	ledger_price *price;         /* of what earlier starts sent and booked at nothing; NULL: it stays */
	void *price_context;
	int64_t now;
	const char *vfs;             /* SQLite's file layer; NULL: the system's. For fault injection */
};

/* What the open found and did. */
struct ledger_recovery {
	bool created;  /* there was no ledger */
	int salvaged;  /* replies taken from their slots */
	int in_doubt;  /* attempts armed by an earlier process, without a whole reply */
	int released;  /* the same, not billable */
};

/*
 * Open or create the ledger of a run. A fresh one has stage_cap 0: nothing can be
 * armed before ledger_stage_open. recovery may be NULL. NULL on failure.
 */
struct ledger *ledger_open(const struct ledger_options *options, struct ledger_recovery *recovery, struct err *err);
/* Settles nothing: what is armed stays armed for the next open. NULL is allowed. */
void ledger_close(struct ledger *ledger);

/* The run is done: its slots go where nothing is in flight. Arms nothing any more; the next open makes them again. */
int ledger_finish(struct ledger *ledger, struct err *err);

/* The run's identity, 36 characters; lives as long as the handle. */
const char *ledger_uuid(const struct ledger *ledger);

/* Units by state, sends, money. */
struct ledger_counts {
	int64_t budget, stage_cap, used;
	int64_t armed, answered, unusable, in_doubt, released;
	int64_t wire, wire_cap;  /* sends of any outcome; wire_cap: at each start those made, what is left of the budget,
				  * and max(100, a tenth of it) */
	int64_t cost, cost_cap;  /* spent and reserved; cost_cap -1: none */
	int64_t pending, parked, rejected; /* queries */
};
int ledger_counts(struct ledger *ledger, struct ledger_counts *counts, struct err *err);

/* Most sends of a run of that budget in its first start; each later one may meet as many refusals again. */
int64_t ledger_wire_cap(int64_t budget);

/* The value of "ledger" in status.json: budget, used, armed, answered, unusable, in_doubt, released, wire. */
void ledger_put_counts(struct json_writer *w, const struct ledger_counts *counts);

/* Answers per domain, in byte order of the names; `domain` lives during the visit; -1 from the visitor ends it. */
typedef int ledger_visit_domain(void *context, const char *domain, int64_t answered, int64_t unusable, struct err *err);
int ledger_domains(struct ledger *ledger, ledger_visit_domain *visit, void *context, struct err *err);

/* Replies that lie whole in their slots and are not settled: after ERR_IO, what the next process will find there. */
int ledger_held(const struct ledger *ledger);

#ifdef __cplusplus
}
#endif
#endif
