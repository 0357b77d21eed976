// SPDX-License-Identifier: Apache-2.0
/*
 * pace.h - when the next request may go: a requests-per-minute and a
 * tokens-per-minute bucket, a number of requests in flight that adapts, and
 * the holds that servers ask for. Shared by all requests to one teacher; pure
 * functions of a clock in seconds that never runs back.
 *
 *     double delay = teacher_pace_delay(&pace, now, tokens);
 *     if (delay == 0) {
 *             teacher_pace_start(&pace, now, tokens);
 *             send
 *     }
 *     ...
 *     teacher_pace_finish(&pace, now, began, &outcome);
 *
 * In no 60 seconds more than requests_per_minute requests start. Tokens are a
 * request's bound, prompt and max_tokens together, as servers count them; in
 * no 60 seconds more than tokens_per_minute and the last request's are begun.
 *
 * Concurrency begins at the limit given, is halved when the server says it is
 * at its own (once per round trip: refusals of requests begun before the last
 * halving do not count), and grows by one for every round of answers.
 */
#ifndef BALDISTILL_TEACHER_PACE_H
#define BALDISTILL_TEACHER_PACE_H

#include <stddef.h>

#include "src/teacher/outcome.h"

#ifdef __cplusplus
extern "C" {
#endif

struct teacher_pace_limits {
	double requests_per_minute, tokens_per_minute; /* 0: none */
	size_t max_concurrent;                         /* at least 1 */
};

struct teacher_bucket {
	double rate, capacity, level, at; /* per second; level at the time `at`; rate 0: no limit */
};

struct teacher_pace {
	struct teacher_pace_limits limits;
	struct teacher_bucket requests, tokens;
	double hold;       /* nothing starts before */
	double concurrent; /* how many may be in flight, from 1 to max_concurrent */
	double halved;     /* when */
	size_t in_flight;
};

void teacher_pace_init(struct teacher_pace *pace, const struct teacher_pace_limits *limits, double now);

/* Seconds until a request of so many tokens may start; 0: now; INFINITY: when one in flight has ended. */
double teacher_pace_delay(const struct teacher_pace *pace, double now, double tokens);
void teacher_pace_start(struct teacher_pace *pace, double now, double tokens);

/* A request begun at `began` has ended; outcome->wait holds back all that follow. */
void teacher_pace_finish(struct teacher_pace *pace, double now, double began, const struct teacher_outcome *outcome);

#ifdef __cplusplus
}
#endif
#endif
