// SPDX-License-Identifier: Apache-2.0
/*
 * status.h - status.json: where a run stands, for whoever watches it.
 *
 * {"ledger": {...}, "stage", "step", "cost", "seconds_left", "domains":
 * [{"domain", "required", "answered", "unusable"}]}; cost is in currency
 * units, null without prices; seconds_left null where it is not known; step
 * "done" at the end. Written aside and renamed, so a reader never sees half.
 */
#ifndef BALDISTILL_PIPELINE_STATUS_H
#define BALDISTILL_PIPELINE_STATUS_H

#include "src/ledger/ledger.h"

#ifdef __cplusplus
extern "C" {
#endif

struct status_domain {
	const char *name;
	int64_t required; /* in all stages begun */
};

struct status {
	int64_t stage;
	const char *step;
	bool has_cost;       /* prices are known */
	double seconds_left; /* negative: not known */
	const struct status_domain *domain;
	size_t l;
};

/* DIRECTORY/status.json from the ledger's counts. */
int status_write(const char *directory, struct ledger *ledger, const struct status *status, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
