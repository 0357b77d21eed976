// SPDX-License-Identifier: Apache-2.0
/*
 * cassette.h - every attempt in query order, to be read by the next step or
 * written out as JSON Lines that a later run can replay.
 */
#ifndef BALDISTILL_LEDGER_CASSETTE_H
#define BALDISTILL_LEDGER_CASSETTE_H

#include "src/ledger/attempt.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ledger_row {
	struct ledger_query query; /* without body */
	int64_t attempt, at;       /* at: when it was armed */
	const char *state;         /* "answered", "unusable", "in_doubt", "released", "rejected" */
	const char *reason, *finish_reason, *usage, *provider_request_id, *request_id; /* each may be NULL */
	int64_t http;
	bool sent;                 /* false: no byte left, or shared from another run's cassette */
	const char *content;       /* NULL where there is none */
	size_t content_n;
};

/* Visit attempts, all strings borrowed during the visit; -1 from the visitor ends it. No call on the ledger inside. */
typedef int ledger_visit_row(void *context, const struct ledger_row *row, struct err *err);

/* All settled attempts of the run, in query order, never in order of arrival; each query's in order of sending. */
int ledger_attempts(struct ledger *ledger, ledger_visit_row *visit, void *context, struct err *err);
/* Those of a step alone. */
int ledger_step_attempts(struct ledger *ledger, int64_t stage, const char *step, ledger_visit_row *visit, void *context,
			 struct err *err);

/*
 * Write the cassette, whole or not at all (file.h). One row per settled attempt:
 * {"kind", "stage", "domain", "id", "ordinal", "prompt_sha256", "state",
 * "reason", "http", "finish_reason", "content", "usage"}; null where unknown.
 */
int ledger_export(struct ledger *ledger, const char *path, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
