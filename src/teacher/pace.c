// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/pace.h"

#include <math.h>

/*
 * A full bucket holds a tenth of a second's worth, so that a late wake-up
 * costs nothing. rate * 60 + capacity = what a minute allows, and one unit of
 * a request may start at the very end of it.
 */
static void bucket_init(struct teacher_bucket *b, double per_minute, double unit, double now)
{
	*b = (struct teacher_bucket){.at = now};
	if (per_minute <= 0)
		return;
	b->capacity = fmax(unit, per_minute / 600);
	b->rate = (per_minute - b->capacity + unit) / 60;
	b->level = b->capacity;
}

static double bucket_level(const struct teacher_bucket *b, double now)
{
	return fmin(b->capacity, b->level + fmax(0, now - b->at) * b->rate);
}

/* What is larger than the bucket goes when it is full, and leaves a debt. */
static double bucket_delay(const struct teacher_bucket *b, double now, double amount)
{
	double missing = fmin(amount, b->capacity) - bucket_level(b, now);
	const double rounding = 1e-9;
	return b->rate > 0 && missing > rounding * b->capacity ? missing / b->rate : 0;
}

static void bucket_take(struct teacher_bucket *b, double now, double amount)
{
	if (b->rate <= 0)
		return;
	b->level = bucket_level(b, now) - amount;
	b->at = fmax(b->at, now);
}

void teacher_pace_init(struct teacher_pace *pace, const struct teacher_pace_limits *limits, double now)
{
	*pace = (struct teacher_pace){.limits = *limits, .hold = now, .halved = now};
	if (!pace->limits.max_concurrent)
		pace->limits.max_concurrent = 1;
	pace->concurrent = (double)pace->limits.max_concurrent;
	bucket_init(&pace->requests, limits->requests_per_minute, 1, now);
	bucket_init(&pace->tokens, limits->tokens_per_minute, 0, now);
}

double teacher_pace_delay(const struct teacher_pace *pace, double now, double tokens)
{
	if ((double)pace->in_flight + 1 > pace->concurrent)
		return INFINITY;
	double delay = fmax(0, pace->hold - now);
	delay = fmax(delay, bucket_delay(&pace->requests, now, 1));
	return fmax(delay, bucket_delay(&pace->tokens, now, tokens));
}

void teacher_pace_start(struct teacher_pace *pace, double now, double tokens)
{
	pace->in_flight++;
	bucket_take(&pace->requests, now, 1);
	bucket_take(&pace->tokens, now, tokens);
}

void teacher_pace_finish(struct teacher_pace *pace, double now, double began, const struct teacher_outcome *outcome)
{
	pace->in_flight -= pace->in_flight > 0;
	if (outcome->wait > 0)
		pace->hold = fmax(pace->hold, now + outcome->wait);
	if (outcome->slow_down && began >= pace->halved) {
		pace->concurrent = fmax(1, floor(pace->concurrent / 2));
		pace->halved = now;
	} else if (outcome->state == TEACHER_ANSWERED || outcome->state == TEACHER_UNUSABLE) {
		pace->concurrent = fmin((double)pace->limits.max_concurrent, pace->concurrent + 1 / pace->concurrent);
	}
}
