// SPDX-License-Identifier: Apache-2.0
/*
 * query.h - what is to be asked.
 *
 * All queries of a step are written in one transaction, by ledger_step_open,
 * before any of them is sent; their order there is "query order". A query is
 * asked until it is answered, unusable, rejected or parked.
 */
#ifndef BALDISTILL_LEDGER_QUERY_H
#define BALDISTILL_LEDGER_QUERY_H

#include "src/base/mem.h"
#include "src/ledger/ledger.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ledger_query {
	int64_t id;              /* given by the ledger, rising in query order */
	const char *kind;        /* "annotate", "synthesise" */
	const char *domain;
	const char *example_id;  /* as JSON: 7 or "seven" */
	int64_t ordinal;
	unsigned char prompt_sha256[HASH_SIZE]; /* of kind, messages, example id and ordinal; unique with the ordinal */
	const void *body;        /* the request, opaque here */
	size_t body_n;
	/* Told by the ledger, ignored when given to it: */
	int64_t stage;
	const char *step;
	int64_t attempts;        /* sends so far; not those of which no byte left */
	int64_t doubts;          /* of them in doubt */
	int64_t rejections;      /* of them rejected (http 400, 403, 413, 422) */
};

/* Queries that may be asked now. */
struct ledger_pending {
	struct ledger_query *query; /* [n], all owned by the arena */
	size_t n;
	int64_t wake;               /* where n is 0: when the first may be asked; INT64_MAX: none waits */
	struct arena arena;
};

/*
 * The first `most` queries of a step that are due: those never in doubt first,
 * then those with the fewest doubts, each in query order; so a second unit is
 * spent on a query only after all others had their first. The other orders cost
 * a sort. Release in any case where 0 was returned.
 */
enum ledger_order {
	LEDGER_IN_ORDER,
	LEDGER_REFUSED_LAST, /* those that were refused stand behind all others */
	LEDGER_MIXED,        /* likewise, and neighbours stand apart: what is wrong with a domain is not wrong with all */
};

int ledger_pending(struct ledger *ledger, int64_t stage, const char *step, int64_t now, size_t most,
		   enum ledger_order order, struct ledger_pending *pending, struct err *err);
void ledger_pending_release(struct ledger_pending *pending);

#ifdef __cplusplus
}
#endif
#endif
