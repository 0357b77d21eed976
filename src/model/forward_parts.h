// SPDX-License-Identifier: Apache-2.0
/*
 * forward_parts.h - the arrays of a forward and what its files share. Private to
 * forward.c, forward_arrays.c and forward_head.c.
 */
#ifndef BALDISTILL_MODEL_FORWARD_PARTS_H
#define BALDISTILL_MODEL_FORWARD_PARTS_H

#include "src/model/forward.h"
#include "src/model/graphs.h"

enum { FORWARD_BUFFERS = 32, FORWARD_ALIGNMENT = 16 /* numbers: where an array of a call begins */ };

struct forward {
	struct model *model;
	struct device *dev;
	const struct kernels *k;
	struct forward_limits limits;
	struct buffer *buffer[FORWARD_BUFFERS];
	int buffers;
	int64_t prefix;                  /* tokens kept now */
	int64_t rows;                    /* of the last call */
	struct view x, q, o;             /* [rows, C], [rows, H D] */
	struct view key, value;          /* without a cache: [prefix + rows, K D] of one layer */
	struct view kept_key, kept_value;/* prefix, or cache, of all layers: [layers * kept, K D] */
	int64_t kept;                    /* rows of a layer in them */
	struct view call;                /* all of a call's i32 arrays, sent at once: the views below lie in it */
	struct view ids, pos, kv_dst, q_begin, own_begin, own_len, prefix_begin, prefix_len, pages;
	int32_t *host;                   /* what `call` is sent from, and `answer` fetched to */
	int64_t laid;                    /* numbers of it in use */
	struct view answer, sampled, logp; /* i32 [2, targets]: ids, and log-probabilities as f32 */
	struct view row, target, y, logits, seed, row_id, position;
	struct graphs graphs;            /* of decoding */
};

struct forward_plan {
	size_t at; /* offset of the view in struct forward */
	int64_t rows, cols;
	enum dtype dtype;
};

static inline int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The array into its view of f; where there is no memory the device keeps the failure. */
void forward_array(struct forward *f, const struct forward_plan *plan);

/* The device's failure, if there is one: -1. */
int forward_failed(const struct forward *f, struct err *err);

/* The first n numbers of an array, from the host. */
void forward_put(struct forward *f, struct view v, const void *host, int64_t n);

/* Tokens of the prefix that these rows see. */
int64_t forward_prefix_of(const struct forward *f, const struct forward_rows *rows);

/* Queries of the longest segment. */
int64_t forward_longest(const struct forward_rows *rows);

/* Check a call and send its rows; then all layers over them, keys and values kept as the prefix's where asked. */
int forward_begin(struct forward *f, const struct forward_rows *rows, int64_t prefix, struct err *err);
void forward_layers(struct forward *f, const struct forward_rows *rows, int64_t prefix, bool keep);

#endif
