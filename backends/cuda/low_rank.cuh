// SPDX-License-Identifier: Apache-2.0
/*
 * low_rank.cuh - private to dropout.cu, low_rank.cu, low_rank_backward.cu and
 * lora.cu: low-rank adapters (Hu et al. 2021) and the masks on their input.
 */
#ifndef BALDISTILL_BACKENDS_CUDA_LOW_RANK_CUH
#define BALDISTILL_BACKENDS_CUDA_LOW_RANK_CUH

#include "backends/cuda/array.cuh"

/* dropout.cu. Is anything dropped? */
static inline bool drops(const struct lora *lora, const struct dropout *drop)
{
	return drop && lora->p > 0;
}
/* y = mask / (1 - p) * x, or y += that; only where drops(). */
void cuda_drop(struct device *dev, const char *op, struct view y, struct view x, const struct lora *lora,
	       const struct dropout *drop, bool add);
/* drop(x) of one adapter: x itself, or in `room`. */
struct view cuda_dropped(struct device *dev, const char *op, struct view x, struct view room, const struct lora *lora,
			 const struct dropout *drop);

/* The adapters of a group: where in it each matrix begins, and in `width` columns each adapter, and the ends. */
struct adapters {
	struct array a[3], b[3]; /* p NULL: no adapter */
	float scale[3];
	int64_t row[4], col[4];
};
struct adapters cuda_adapters(const struct weight *w, const struct lora *const lora[]);

/*
 * What the products of both directions work on; in scratch: the As below each
 * other, rows for drop(x), and B where it has no room beside the weights.
 */
struct adapted {
	struct device *dev;
	const char *op;
	const struct weight *w;
	const struct lora *const *lora;
	const struct dropout *drop;
	int64_t width;
	struct adapters at;
	bool beside;                 /* B fits into the weights' own array */
	struct view group, a, room, b; /* [sum N, M]; [width, M]; [R, M]; [sum N, width] */
};
/* Converts As and Bs; false where the device fails. */
bool cuda_adapted_init(struct adapted *l, struct device *dev, const char *op, const struct weight *w,
		       const struct lora *const lora[], const struct dropout *drop, int64_t rows);

#endif
