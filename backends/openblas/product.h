// SPDX-License-Identifier: Apache-2.0
/*
 * product.h - products of f32 rows with weights stored in f32, bf16 or f16.
 *
 * 16-bit weights are expanded block by block into a panel that stays in the
 * cache. A product of few rows reads every weight once and packs nothing; its
 * rows do not depend on their neighbours.
 */
#ifndef BALDISTILL_BACKENDS_OPENBLAS_PRODUCT_H
#define BALDISTILL_BACKENDS_OPENBLAS_PRODUCT_H

#include "backends/openblas/team.h"

enum {
	PANEL = 512 * 384, /* floats of an expanded block: with what the product packs, in the second-level cache */
	FEW_ROWS = 64       /* most rows of a product without packing */
};

struct product {
	float *y;
	int64_t ldy;
	const float *x;
	int64_t ldx;
	struct view w;
	bool add; /* to y */
};

/* y[rows, N] = x[rows, M] W[N, M]^T for each of the list */
void product_nt(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
		const struct lanes *panels);
/* y[rows, M] = sum over the list of x[rows, N] W[N, M]; y, ldy, add are the first's, M is common */
void product_nn(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
		const struct lanes *panels);

/* linear.c, by the team: dw[N, M] += dy[rows, N]^T x[rows, M], dbias[1, N] += columns of dy; each may be absent */
void product_dw(const struct device *dev, struct view dw, struct view dbias, const float *dy, int64_t ldy,
		const float *x, int64_t ldx, int64_t rows);

/* Is a product of so many rows done without packing? */
static inline bool product_few(const struct device *dev, int64_t rows)
{
	return rows <= FEW_ROWS || dev->batch_invariant;
}

/* On the caller's thread: y[rows, n] (+)= x[rows, m] w[n, m]^T of a few rows; panel may be NULL: w is f32. */
void product_rows(const struct vec *vec, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows,
		  struct view w, bool add, float *panel);

#endif
