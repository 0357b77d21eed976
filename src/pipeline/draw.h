// SPDX-License-Identifier: Apache-2.0
/*
 * draw.h - seeded orders. What is drawn depends on the seed, on what it is for
 * and on the ids, never on the order of rows.
 */
#ifndef BALDISTILL_PIPELINE_DRAW_H
#define BALDISTILL_PIPELINE_DRAW_H

#include <stddef.h>
#include <stdint.h>

#include "reference/ifd.h"
#include "src/dataset/examples.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers of the streams: each use has its own. */
enum draw_what { DRAW_HEAD = 1, DRAW_CANDIDATES = 2, DRAW_DEMONSTRATIONS = 3, DRAW_REPEATS = 4 };

/* Sort the n rows of the pool named in row[] into a drawn order; a and b number the occasion (stage, query). */
int draw_order(size_t *row, size_t n, const struct examples *pool, uint64_t seed, enum draw_what what, uint32_t a,
	       uint32_t b, struct err *err);

/* Sort them by domain, then id: query order. */
void draw_query_order(size_t *row, size_t n, const struct examples *pool);

#ifdef __cplusplus
}
#endif
#endif
