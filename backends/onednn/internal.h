// SPDX-License-Identifier: Apache-2.0
/* internal.h - what matmul.c, tile.c and tile_pieces.c know of each other. */
#ifndef BALDISTILL_BACKENDS_ONEDNN_INTERNAL_H
#define BALDISTILL_BACKENDS_ONEDNN_INTERNAL_H

#include "backends/cpu/pieces.h"
#include "backends/onednn/library.h"
#include "backends/onednn/matmul.h"

struct tile {
	int64_t n, k;
	enum dtype dtype;
	layout layout;
	int64_t ld[2]; /* strides of a plain array, 0 where packed */
	void *data;    /* NULL: another's */
	size_t bytes;
	dnnl_memory_t memory; /* NULL: empty */
	const struct pieces *pieces; /* not NULL: data is theirs, and there is neither layout nor memory */
};

/* tile_pieces.c: as tile_fill and matmul_run, with threads side by side on columns. */
int tile_pieces_fill(struct tile *tile, int threads, const void *w, int64_t ld, bool transposed);
void tile_pieces_run(const struct tile *tile, int threads, float *y, int64_t ldy, const void *x, int64_t rows, bool add);

/* The library, and how it is called from outside parallel regions. */
dnnl_engine_t matmul_engine(const struct matmul *mm);
dnnl_stream_t matmul_stream(const struct matmul *mm);
int matmul_threads(const struct matmul *mm);

static inline dnnl_data_type_t library_type(enum dtype dtype)
{
	return dtype == DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* A product's description, f32 factors not rounded whatever the environment says; add: y += instead. */
static inline int product_of(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const layout *x, const layout *b,
			     const layout *y, bool add)
{
	dnnl_primitive_attr_t attr = NULL;
	dnnl_post_ops_t ops = NULL;
	int bad = dnnl_primitive_attr_create(&attr) || dnnl_post_ops_create(&ops);

	bad = bad || dnnl_primitive_attr_set_fpmath_mode(attr, dnnl_fpmath_mode_strict) || (add && product_adds(ops)) ||
	      dnnl_primitive_attr_set_post_ops(attr, ops) ||
	      product_describe(out, engine, x, b, y, attr);
	if (ops)
		dnnl_post_ops_destroy(ops);
	if (attr)
		dnnl_primitive_attr_destroy(attr);
	return bad;
}

#endif
