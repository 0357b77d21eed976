// SPDX-License-Identifier: Apache-2.0
/*
 * retry.h - how long to wait: what servers write, and what we do without it.
 *
 * Pure functions of text, a clock and a random number that the caller brings;
 * waits are seconds. What is not a wait (negative, empty, a word, 1e309) is
 * TEACHER_NO_WAIT, never an error: the back-off takes its place.
 */
#ifndef BALDISTILL_TEACHER_RETRY_H
#define BALDISTILL_TEACHER_RETRY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TEACHER_NO_WAIT      (-1.0)
#define TEACHER_LONGEST_WAIT 1e9 /* whatever is longer is this */
#define TEACHER_NO_DATE      (-1.0)

/* "2", "0.5": digits, perhaps with a fraction, spaces around; times `unit` seconds (0.001 for milliseconds). */
double teacher_retry_number(const char *text, size_t n, double unit);

/* "6m0s", "1h2m3s", "20ms", "1.5s"; a bare number is seconds. */
double teacher_retry_duration(const char *text, size_t n);

/* Seconds since 1970 of the three date forms of RFC 9110, 5.6.7; TEACHER_NO_DATE for anything else. */
double teacher_retry_date(const char *text, size_t n);

/* Retry-After: a number, or a date less `now`, the server's own Date where it sent one; a date in the past is 0. */
double teacher_retry_after(const char *text, size_t n, double now);

/*
 * Full jitter: u * min(60, 0.5 * 2^attempt), u in [0, 1), attempt from 0, and
 * at least `floor` (TEACHER_NO_WAIT: none).
 */
double teacher_retry_backoff(unsigned attempt, double floor, double u);

#ifdef __cplusplus
}
#endif
#endif
