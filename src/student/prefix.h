// SPDX-License-Identifier: Apache-2.0
/*
 * prefix.h - the beginning that prompts share, which is computed once. Private
 * to the room.
 *
 *     struct prefix prefix = {0};
 *     for (…)
 *             prefix_add(&prefix, prompt, n);
 *     int64_t shared = prefix_length(&prefix);
 */
#ifndef BALDISTILL_STUDENT_PREFIX_H
#define BALDISTILL_STUDENT_PREFIX_H

#include <stddef.h>
#include <stdint.h>

struct prefix {
	const int32_t *first; /* the first prompt, borrowed */
	int64_t same;         /* tokens that all so far begin with, each keeping one of its own */
	size_t prompts;
};

/* One more prompt of n tokens. */
void prefix_add(struct prefix *prefix, const int32_t *prompt, int64_t n);

/* Tokens worth computing once: 0 for a single prompt. */
int64_t prefix_length(const struct prefix *prefix);

#endif
