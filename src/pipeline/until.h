// SPDX-License-Identifier: Apache-2.0
/* until.h - "[STAGE.]STEP" as a place to stop at: "train", "0.select"; "collect" is another name of "synthesise". */
#ifndef BALDISTILL_PIPELINE_UNTIL_H
#define BALDISTILL_PIPELINE_UNTIL_H

#include "src/pipeline/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* text NULL: to the end. ERR_CONFIG. */
int until_read(struct run_until *until, const char *text, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
