// SPDX-License-Identifier: Apache-2.0
/*
 * outcome.h - what became of one send: is it paid, is it to be tried again,
 * and does the run go on. One table, no side effects.
 *
 * A unit of the budget is given back only on proof: the request was never
 * wholly written, or the reply is a documented unbilled rejection. Whatever
 * was wholly sent and not wholly answered stays spent, in doubt.
 *
 *     struct teacher_outcome outcome;
 *     teacher_outcome_decide(&outcome, &exchange, &facts);
 *     // outcome.state goes to the ledger; outcome.stop, if not 0, ends the run
 */
#ifndef BALDISTILL_TEACHER_OUTCOME_H
#define BALDISTILL_TEACHER_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "src/teacher/headers.h"
#include "src/teacher/response.h"

#ifdef __cplusplus
extern "C" {
#endif

enum teacher_state {
	TEACHER_ANSWERED, /* paid; a usable answer */
	TEACHER_UNUSABLE, /* paid; the raw bytes are kept */
	TEACHER_IN_DOUBT, /* perhaps paid, counted as paid */
	TEACHER_RELEASED, /* not paid */
	TEACHER_REJECTED, /* not paid, and the same request would be rejected again */
	TEACHER_STATES,
};

/* "answered", "unusable", "in_doubt", "released", "rejected". */
const char *teacher_state_name(enum teacher_state state);

/* How the transfer ended. */
enum teacher_transport {
	TEACHER_REPLIED,     /* with a whole reply; its status counts */
	TEACHER_UNRESOLVED,  /* no address for the name */
	TEACHER_UNCONNECTED, /* refused, unreachable, or the proxy would not connect */
	TEACHER_UNTRUSTED,   /* the certificate is not the server's */
	TEACHER_UNSECURED,   /* what answered does not speak TLS as we do */
	TEACHER_TIMED_OUT,
	TEACHER_STALLED,      /* the body began and then crept */
	TEACHER_BROKEN,       /* reset, closed or cut short */
	TEACHER_GARBLED,      /* not HTTP as it should be */
	TEACHER_OVERSIZE,     /* header or body over its limit */
	TEACHER_NO_RESOURCES, /* memory or descriptors of our own */
	TEACHER_TRANSPORTS,
};

struct teacher_exchange {
	enum teacher_transport transport;
	int curl;               /* libcurl's code, for the record */
	int status;             /* HTTP status; 0: none came */
	uint64_t to_send, sent; /* bytes of the request's body; sent counts what the system took */
	uint64_t received;      /* bytes of the reply's body, before redaction */
	double seconds;         /* from the start to the end */
	char detail[256];       /* libcurl's words, redacted and escaped; "" if none */
};

struct teacher_facts {
	const struct teacher_headers *headers; /* NULL: none came */
	const struct teacher_answer *answer;   /* read from the body of a status 2xx; NULL otherwise */
	const struct teacher_error *error;     /* read from the body of any other status, or of TEACHER_ERROR_BODY; or NULL */
	unsigned changes;                      /* enum teacher_change: made in the request that was sent */
	double max_wait;                       /* a server that asks for more ends the run */
};

enum { TEACHER_REASON_ROOM = 64 };

struct teacher_outcome {
	enum teacher_state state;
	int stop;         /* exit status (enum err_code) with which the whole run is to end; 0: it goes on */
	int code;         /* exit status this failure stands for, where the run ends because there are too many */
	bool retry;       /* the query may be asked again, in the way the state allows */
	bool slow_down;   /* the server is at its limit */
	bool content;     /* rejected for what the prompt says, in the server's own words */
	bool page;        /* a web page, or an error without a code, came with a status of success: no teacher speaks so */
	unsigned changes; /* enum teacher_change: make these in all requests, once, and ask again */
	double wait;      /* seconds before any further request to this teacher; TEACHER_NO_WAIT */
	char reason[TEACHER_REASON_ROOM]; /* stable words: "timed out", "http 500", "length", "" when answered */
};

void teacher_outcome_decide(struct teacher_outcome *outcome, const struct teacher_exchange *exchange,
			    const struct teacher_facts *facts);

#ifdef __cplusplus
}
#endif
#endif
