// SPDX-License-Identifier: Apache-2.0
/* clock.h - the clock that never runs back, for waits and rates. */
#ifndef BALDISTILL_BASE_CLOCK_H
#define BALDISTILL_BASE_CLOCK_H

#ifdef __cplusplus
extern "C" {
#endif

/* Seconds of CLOCK_MONOTONIC. */
double clock_seconds(void);

#ifdef __cplusplus
}
#endif
#endif
