// SPDX-License-Identifier: Apache-2.0
/*
 * forward.h - rows of tokens through a model, without gradients.
 *
 * One struct forward holds the arrays of calls up to its limits. A shared
 * prefix (the instruction that all rows begin with) is computed once and kept
 * per layer; calls then carry only what follows it.
 *
 *     struct forward_limits limits = {.rows = 2048, .segments = 64, .targets = 2048};
 *     struct forward *f = forward_new(model, &limits, &err);
 *     forward_set_prefix(f, ids, n, &err);                   // or not at all
 *     forward_run(f, &rows, &err);
 *     forward_logp(f, row, target, n, logp, &err);           // log p(target[i] | row[i]'s tokens)
 *     forward_free(f);
 *
 * With limits.cache_rows the keys and values of every layer stay in a cache of
 * that many rows, for decoding: forward_rows names the cache row of each token
 * and the pages of each segment, and the prefix occupies the first rows, whole
 * pages of them.
 *
 * Arrays on the host are borrowed for the call. Failures: ERR_MEMORY where the
 * device has too little, ERR_INTERNAL for rows beyond the limits. What fails on
 * the device in forward_run is told by what is asked of it next: a call waits
 * for the device once, when it fetches.
 */
#ifndef BALDISTILL_MODEL_FORWARD_H
#define BALDISTILL_MODEL_FORWARD_H

#include "src/model/model.h"

#ifdef __cplusplus
extern "C" {
#endif

struct forward_limits {
	int64_t rows;       /* tokens of one call */
	int64_t segments;   /* of one call */
	int64_t targets;    /* rows of one forward_logp or forward_sample */
	int64_t keys;       /* most keys a query sees, the prefix included */
	int64_t prefix;     /* tokens of the shared prefix; 0: none */
	int64_t cache_rows; /* 0: no cache, keys live for one call */
	int64_t page_size;  /* with a cache */
	int64_t pages;      /* most pages of a segment */
};

/* The tokens of one call: segments one after the other. */
struct forward_rows {
	int64_t rows, segments;
	const int32_t *ids;      /* [rows] */
	const int32_t *pos;      /* [rows]: positions, the prefix counted */
	const int32_t *q_begin;  /* [segments + 1] */
	const int32_t *own_len;  /* [segments]: keys after the prefix; without a cache those of the call */
	bool no_prefix;          /* leave the prefix out of this call */
	const int32_t *kv_dst;   /* [rows]: cache rows; with a cache only */
	const int32_t *pages;    /* [segments, limits.pages]; with a cache only */
};

struct forward;

struct forward *forward_new(struct model *model, const struct forward_limits *limits, struct err *err);
void forward_free(struct forward *f);

/* Bytes on the device that forward_new would take: a bound to check before. */
uint64_t forward_bytes(const struct model *model, const struct forward_limits *limits);

/* Compute the prefix of all calls to come, n <= limits.prefix tokens at positions 0 … n - 1. */
int forward_set_prefix(struct forward *f, const int32_t *ids, int64_t n, struct err *err);

/* All layers over the rows; the last residual stays on the device. */
int forward_run(struct forward *f, const struct forward_rows *rows, struct err *err);

/* logp[i] = log p(target[i]) after row[i] of the last call; natural logarithm, temperature 1. */
int forward_logp(struct forward *f, const int32_t *row, const int32_t *target, int64_t n, float *logp,
		 struct err *err);

/* What forward_sample draws with; arrays of n. A greedy rule needs none of them. */
struct forward_draw {
	struct sample_rule rule;
	uint64_t seed;
	const uint64_t *row_id;
	const int32_t *position; /* of the token to come */
};

/*
 * forward_run, and one token for each of n rows of the call (n may be 0), with
 * its log-probability. With a cache, a call of one token for every segment is
 * captured when its shape comes again, and replayed from then on.
 */
int forward_sample(struct forward *f, const struct forward_rows *rows, const int32_t *row, int64_t n,
		   const struct forward_draw *draw, int32_t *id, float *logp, struct err *err);

/* The logits [n, V] of n rows of the last call, for tests and tools. */
int forward_logits(struct forward *f, const int32_t *row, int64_t n, float *logits, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
