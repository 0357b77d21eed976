// SPDX-License-Identifier: Apache-2.0
/*
 * attempt.h - one send and what became of it.
 *
 *     struct ledger_shot shot = {.query = query->id, .reserve = worst_case};
 *     if (ledger_arm(ledger, &shot, 1, now, &armed, &stop, &err))
 *             return -1;                           // nothing may be sent
 *     if (!armed)
 *             …                                    // `stop` says which bound was reached
 *     send with header X-Client-Request-Id: shot.request_id, receive into shot.slot (slot.h)
 *     ledger_settle(ledger, shot.attempt, &verdict, now, &err)
 *
 * Every transaction waits for the disk several times. What came together is
 * therefore settled in one turn, and what may go next armed in the same:
 *
 *     ledger_turn_begin(ledger, &err);
 *     ledger_settle(ledger, shots[i].attempt, &verdict, now, &err);      // of each reply
 *     ledger_arm(ledger, next, n, now, &armed, &stop, &err);             // may use their slots
 *     if (!ledger_turn_end(ledger, &err))                                // committed: tell and send
 *
 * A failure leaves what was to be settled armed and its slot untouched: the
 * slot is then the copy of record, and the next process salvages it. What had
 * no whole reply is in doubt then, even where it was known to be unbilled.
 */
#ifndef BALDISTILL_LEDGER_ATTEMPT_H
#define BALDISTILL_LEDGER_ATTEMPT_H

#include "src/ledger/ledger.h"
#include "src/ledger/query.h"
#include "src/ledger/slot.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LEDGER_REQUEST_ID = 60 };

struct ledger_shot {
	int64_t query;    /* in: id of a pending query */
	int64_t reserve;  /* in: the most this send can cost, billionths; 0 where no prices are known */
	int64_t attempt;  /* out */
	struct slot *slot; /* out: to be written once the turn is committed, borrowed until the attempt is settled */
	char request_id[LEDGER_REQUEST_ID]; /* out: this send's own name, for the provider's log */
};

/* Why fewer were armed than asked for. */
enum ledger_stop {
	LEDGER_GO,        /* all were armed */
	LEDGER_SLOTS,     /* no free slot */
	LEDGER_STAGE_CAP, /* the stage's cumulative budget is used */
	LEDGER_WIRE_CAP,  /* too many sends that did not count */
	LEDGER_COST_CAP,  /* max_cost */
};

/*
 * Between these two calls ledger_settle and ledger_arm commit nothing; it is
 * their end that does, all of it or, after the first failure of either, nothing.
 * ledger_pending and the like see what the turn has done; no other call that
 * writes may come between. -1 from the end: nothing may be told and nothing sent
 * (where it was the witness that failed, what was settled is committed).
 */
int ledger_turn_begin(struct ledger *ledger, struct err *err);
int ledger_turn_end(struct ledger *ledger, struct err *err);

/*
 * T1: arm the first *armed of n shots, in the open turn or in one of their own;
 * they may be sent when that is committed. Needs 2 * slots * slot_bytes + 64 MiB
 * free on the disk; where they are not, an open turn can still be committed.
 */
int ledger_arm(struct ledger *ledger, struct ledger_shot *shots, size_t n, int64_t now, size_t *armed,
	       enum ledger_stop *stop, struct err *err);

enum ledger_state {
	LEDGER_ANSWERED, /* T2: usable */
	LEDGER_UNUSABLE, /* T2: complete, paid, of no use; never asked again by itself */
	LEDGER_RELEASED, /* T3: proved unsent or unbilled; the unit returns */
	LEDGER_IN_DOUBT, /* T4: sent, no complete reply, or an error that may be billed; the unit stays spent */
};

struct ledger_verdict {
	enum ledger_state state;
	bool unsent;             /* released: nothing reached the teacher (not only: refused unbilled, see `strict`) */
	bool reject;             /* released: do not ask again */
	int64_t not_before;      /* released, in doubt: when the query may be asked again */
	const char *reason;      /* a short word: "stop", "length", "429", "timeout"; may be NULL */
	int http, curl;          /* status and transport code, 0 where none */
	const char *provider_request_id; /* may be NULL, as may the next three */
	const char *finish_reason;
	const char *content;     /* the answer's text, UTF-8 */
	size_t content_n;
	const char *usage;       /* JSON object, as received */
	int64_t tokens_in, tokens_out; /* from usage; 0 where absent */
	int64_t cost;            /* billionths, from usage; -1: unknown, the reserve stays spent */
	int64_t bytes_up, bytes_down;
};

/* The reply in an attempt's slot after slot_finish; bytes borrowed until the attempt is settled. */
struct ledger_received {
	int http;
	const char *head, *body; /* no NUL behind them */
	size_t head_n, body_n;
};
int ledger_received(struct ledger *ledger, int64_t attempt, struct ledger_received *received, struct err *err);

/*
 * T2, T3 or T4, by verdict->state, in the open turn or in one of its own; frees
 * the slot. A finished reply is stored whole whatever the state. Answered and
 * unusable need one (ERR_INTERNAL).
 */
int ledger_settle(struct ledger *ledger, int64_t attempt, const struct ledger_verdict *verdict, int64_t now,
		  struct err *err);

/*
 * An answer that another run has paid for already: ANSWERED in one transaction,
 * reason "shared"; costs a unit, no send and no money. *shared is false where
 * the stage's budget is used.
 */
int ledger_share(struct ledger *ledger, int64_t query, const struct ledger_received *reply,
		 const struct ledger_verdict *verdict, int64_t now, bool *shared, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
