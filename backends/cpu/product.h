// SPDX-License-Identifier: Apache-2.0
/*
 * product.h - products of f32 rows with stored weights, the part in which the
 * backends on this room differ: each brings one struct products.
 *
 *     struct lanes panels = lanes_take(dev, op, dev->threads, panel_of(dev));
 *     struct product list[] = {{y, ldy, x, ldx, weight->w[0], false, weight, 0}, …};
 *     product_nt(dev, list, n, rows, lane, &panels);
 *
 * A product of few rows is the same in all of them: it reads every weight once,
 * packs nothing, and its rows do not depend on their neighbours.
 */
#ifndef BALDISTILL_BACKENDS_CPU_PRODUCT_H
#define BALDISTILL_BACKENDS_CPU_PRODUCT_H

#include "backends/cpu/team.h"

struct product {
	float *y;
	int64_t ldy;
	const float *x;
	int64_t ldx;
	struct view w;             /* rows and columns of the matrix below */
	bool add;                  /* to y */
	const struct weight *from; /* its group, and its number there */
	int matrix;
};

/* Products of a list; lane as in team.h. */
typedef void product_fn(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
			const struct lanes *panels);

/*
 * C[m,n] = alpha * A B + beta * C of plain f32 arrays, row-major. A is [m,k], B [k,n]; nt: B is [n,k] and transposed;
 * tn: A is [k,m] and transposed. A library that refuses is a failure of the device.
 */
typedef void gemm_fn(const struct device *dev, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
		     int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

/* Rows of blocks in f32: where the library lays weights out in each call, more rows pay for it. */
enum { PACKING_BLOCK_ROWS = 1024, PACKING_LEAST_ROWS = 320 };

struct products {
	int64_t panel;      /* floats of scratch of a lane */
	int64_t few;        /* most rows of a product without packing */
	int64_t block_rows; /* most rows of a block that one thread runs (team.h) */
	int64_t least_rows; /* and the least: below, the team runs it */
	product_fn *nt, *nn;
	gemm_fn *gemm_nt, *gemm_nn, *gemm_tn;
	void (*threads)(int threads); /* of products outside parallel regions, for the calling thread */
};

/* y[rows, N] = x[rows, M] W[N, M]^T for each of the list */
void product_nt(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
		const struct lanes *panels);
/* y[rows, M] = sum over the list of x[rows, N] W[N, M]; y, ldy, add are the first's, M is common */
void product_nn(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
		const struct lanes *panels);

/* Product i of a list that adds up to the first's y: what nn does with each. */
static inline struct product product_common(const struct product *list, int i)
{
	struct product p = list[i];

	p.y = list[0].y;
	p.ldy = list[0].ldy;
	p.add = list[0].add || i;
	return p;
}

/* linear.c, by the team: dw[N, M] += dy[rows, N]^T x[rows, M], dbias[1, N] += columns of dy; each may be absent */
void product_dw(const struct device *dev, struct view dw, struct view dbias, const float *dy, int64_t ldy,
		const float *x, int64_t ldx, int64_t rows);

static inline int64_t panel_of(const struct device *dev)
{
	return cpu_of(dev)->products->panel;
}

/* Every operation that multiplies says so first. OpenMP gives the device's team whole, whatever thread opened it. */
void product_threads(const struct device *dev);

/* panel.c: nt and nn over gemm_nt and gemm_nn, for weights that no backend has laid out. */
product_fn panel_nt, panel_nn;

/*
 * For nt and nn, on one lane or split over the team in multiples of 16: columns
 * [begin, end) of one product's output; of all outputs of a list, counted
 * through it; and of the one output that all of a list add up to.
 */
typedef void columns_fn(const struct device *dev, const struct product *p, int64_t rows, int64_t begin, int64_t end,
			float *panel);
void product_columns(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
		     const struct lanes *panels, columns_fn *fn);
void product_common_columns(const struct device *dev, const struct product *list, int n, int64_t rows, int lane,
			    const struct lanes *panels, columns_fn *fn);

#endif
