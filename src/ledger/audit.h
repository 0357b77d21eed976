// SPDX-License-Identifier: Apache-2.0
/*
 * audit.h - is the ledger whole, and where did every unit go?
 */
#ifndef BALDISTILL_LEDGER_AUDIT_H
#define BALDISTILL_LEDGER_AUDIT_H

#include "src/ledger/ledger.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Check the database's integrity, that counts, sends and money add up to the
 * attempts (G5), and every stored reply against its SHA-256. ERR_LEDGER with
 * the first rule broken. ledger_open does the same before anything is sent.
 */
int ledger_check(struct ledger *ledger, struct err *err);

/*
 * One JSON object: "run", "ledger" (as in status.json), "refusal" (null, or
 * what ledger_check refuses), "not_counted" (sends that were released: what a
 * provider may bill all the same), "tokens" {"input", "output"} and "cost" to
 * compare with the bill, "in_doubt" [{"attempt", "request_id",
 * "provider_request_id", "at", "stage", "domain", "id", "prompt_sha256",
 * "reason"}], "events" [{"at", "kind", "detail"}]. -1 only where the ledger
 * cannot be read to its end (memory, disk); a refusal is part of the report.
 */
int ledger_audit(struct ledger *ledger, struct json_writer *w, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
