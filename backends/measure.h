// SPDX-License-Identifier: Apache-2.0
/*
 * measure.h - how fast a device runs every operation, beside the machine's roofs.
 *
 *     struct measure measure;
 *     if (measure_init(&measure, dev, backend, dtype, &err))
 *             …
 *     for (const struct measure_model *m = measure_models; m->name; m++)
 *             measure_run(&measure, m, NULL, visit, context, &err);
 *     measure_release(&measure);
 *
 * A row is the median of several runs, each taken right after one run of the
 * roof it is judged by, so that a machine whose speed drifts slows both: the
 * library's own product of 2048^3 for what multiplies, reading or copying
 * arrays of at least four times the last cache for what moves bytes. The roofs
 * of a device whose memory the host cannot read are its own linear, norm2 and
 * copy (measure_far.c); 2048^3 is too small to fill a large GPU, whose product
 * roof is therefore low and the shares of it too high.
 * Operations run on arrays that stay where the last run left them, as in a
 * train step, so what fits the caches may move more than the copy.
 *
 * FLOPs counted: a product 2 R N M; attention its causal half, 2 T^2 D H
 * forward and twice that backward; head_loss 2 R C V forward, as much again
 * for the gradient; the low-rank products 2 R r (N + M); what works element by
 * element is judged by the bytes it must read and write once.
 */
#ifndef BALDISTILL_BACKENDS_MEASURE_H
#define BALDISTILL_BACKENDS_MEASURE_H

#include "backends/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Layer shapes of a student; the table ends with a NULL name. */
struct measure_model {
	const char *name;
	int64_t hidden;           /* C */
	int heads, kv_heads, head_dim;
	int64_t ffn, vocab;
};
extern const struct measure_model measure_models[];

struct measure_row {
	const char *model, *name;
	char shape[48];
	bool by_bytes;        /* judged by bytes, else by FLOPs */
	double seconds;       /* one run, median */
	double flops, bytes;  /* of one run */
	double roof;          /* FLOP/s or bytes/s of its roof, median over the same moments */
	double share;         /* rate / roof */
};

struct measure {
	struct device *dev;
	const struct backend *backend;
	size_t n;             /* floats in each of the two arrays of the bandwidth roofs */
	float *from, *to;
	float *a, *b, *c;     /* the product roof's matrices; a and b stored as dtype */
	enum dtype dtype;     /* what the product multiplies */
	struct measure_far *far; /* the same on a remote device; NULL: the host's */
};

/* The product's factors are `dtype` where the backend multiplies that, else f32. */
int measure_init(struct measure *measure, struct device *dev, const struct backend *backend, enum dtype dtype,
		 struct err *err);
void measure_release(struct measure *measure);

enum { MEASURE_PRODUCT = 2048 };

/* One run each: FLOP/s of the library's own product, bytes/s read, bytes/s read and written by a copy. */
double measure_product(struct measure *measure);
double measure_read(struct measure *measure);
double measure_copy(struct measure *measure);

/* The moment in seconds, and the median of n values, which are sorted. */
double measure_now(void);
double measure_middle(double *values, int n);

/* The median of `runs` calls of one of the three. */
double measure_median(struct measure *measure, double (*roof)(struct measure *), int runs);

/*
 * Measure the operations of one model whose names contain `only` (NULL: all),
 * calling visit for each. 0, or -1 with the device's failure.
 */
int measure_run(struct measure *measure, const struct measure_model *model, const char *only,
		void (*visit)(void *context, const struct measure_row *row), void *context, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
