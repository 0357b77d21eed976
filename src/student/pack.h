// SPDX-License-Identifier: Apache-2.0
/*
 * pack.h - log-probabilities of chosen tokens of many sequences, packed into
 * calls without padding. Private to the room.
 */
#ifndef BALDISTILL_STUDENT_PACK_H
#define BALDISTILL_STUDENT_PACK_H

#include "src/base/progress.h"
#include "src/model/forward.h"

/* One sequence; its first `head` tokens may come from somewhere else than the rest, so that none is copied. */
struct pack_sequence {
	const int32_t *head;  /* [head_n], the shared prefix left out */
	int64_t head_n;
	const int32_t *tail;  /* [tail_n]: the tokens whose log-probabilities are asked for */
	int64_t tail_n;
	float *logp;          /* [tail_n]; element 0 is left as it is where nothing precedes the tail */
};

/* Calls of at most `rows` tokens (a longer sequence is a call of its own); prefix: the one set is part of each. */
struct pack_options {
	int64_t rows;
	bool prefix;
};

/* The longest sequence, for limits. */
int64_t pack_longest(const struct pack_sequence *sequence, size_t n);

/* In order; progress (may be NULL) counts sequences. */
int pack_run(struct forward *f, const struct pack_sequence *sequence, size_t n, const struct pack_options *options,
	     int64_t prefix, struct progress *progress, struct err *err);

#endif
