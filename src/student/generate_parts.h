// SPDX-License-Identifier: Apache-2.0
/* generate_parts.h - what a generation holds. Private to generate.c and generate_begin.c. */
#ifndef BALDISTILL_STUDENT_GENERATE_PARTS_H
#define BALDISTILL_STUDENT_GENERATE_PARTS_H

#include "src/model/forward.h"
#include "src/student/generate.h"

enum { GENERATION_PAGE = 32 /* tokens */ };

/* A row being worked on. */
struct slot {
	const struct generate_row *row; /* NULL: free */
	struct generated *out;
	int64_t done;                   /* tokens after the prefix that are in the cache, or will be by this call */
	int64_t most;                   /* tokens to generate at the most */
	int64_t asked;                  /* where its token is asked for in this call, -1: not */
};

struct generation {
	struct model *model;
	struct forward *f;
	const struct generate_row *rows;
	size_t n, next, finished;      /* rows; first not begun; done */
	const struct generate_options *options;
	struct generated *out;
	struct slot *slot;
	int64_t slots, call_rows, prefix;
	int64_t own_pages, pages; /* of a slot; of a row of `table`, which the prefix's may make longer */
	int64_t piece;                 /* tokens of a prompt in a call, with batch_invariant; 0: what fits */
	int32_t *ids, *pos, *kv_dst;   /* [call_rows] of a call */
	int32_t *q_begin, *own_len, *table; /* [slots + 1], [slots], [slots, pages] */
	int32_t *row, *position, *id;  /* [slots]: tokens asked for */
	uint64_t *row_id;
	float *logp;
	int64_t count, segments, asked;/* of the call */
};

/* Pages that n tokens take. */
static inline int64_t generation_pages(int64_t n)
{
	return (n + GENERATION_PAGE - 1) / GENERATION_PAGE;
}

/*
 * Slots, arrays and the shared prefix for model, rows, n and options; ERR_DATA for a row that cannot be generated for,
 * ERR_MEMORY where options.memory or the device has too little for one row. Released in every case.
 */
int generation_begin(struct generation *g, struct err *err);
void generation_release(struct generation *g);

#endif
