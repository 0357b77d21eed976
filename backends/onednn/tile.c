// SPDX-License-Identifier: Apache-2.0
/* Weights in the library's layout. */
#include <omp.h>
#include <stdlib.h>

#include "backends/onednn/internal.h"

enum { MANY_ROWS = 512 /* of the product whose favourite layout is taken */ };

/* The layout of B that a product of many rows likes best, and is it a plain array? */
static int favourite(layout *out, bool *plain, dnnl_engine_t engine, int64_t n, int64_t k, enum dtype dtype)
{
	const dnnl_dims_t dims = {k, n};
	layout x = {0}, b = {0}, y = {0}, rows = {0};
	dnnl_primitive_desc_t desc = NULL;
	int threads = omp_get_max_threads();

	omp_set_num_threads(1); /* as on the lanes: for many threads narrower strips may be its favourite */
	int bad = layout_plain(&x, MANY_ROWS, k, library_type(dtype), k, 1) ||
		  layout_any(&b, dims, library_type(dtype)) || layout_plain(&y, MANY_ROWS, n, dnnl_f32, n, 1) ||
		  layout_plain(&rows, k, n, library_type(dtype), n, 1) ||
		  product_of(&desc, engine, &x, &b, &y, false) ||
		  layout_copy(out, dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0));

	omp_set_num_threads(threads);
	*plain = !bad && dnnl_memory_desc_equal(LAYOUT(*out), LAYOUT(rows));
	if (desc)
		dnnl_primitive_desc_destroy(desc);
	layout_release(&x);
	layout_release(&b);
	layout_release(&y);
	layout_release(&rows);
	return bad ? -1 : 0;
}

struct tile *tile_new(struct matmul *mm, int64_t n, int64_t k, enum dtype dtype, const struct pieces *pieces)
{
	struct tile *tile = calloc(1, sizeof *tile);
	bool plain;

	if (!tile)
		return NULL;
	*tile = (struct tile){.n = n, .k = k, .dtype = dtype, .pieces = pieces};
	if (pieces)
		return tile;
	if (favourite(&tile->layout, &plain, matmul_engine(mm), n, k, dtype)) {
		tile_free(tile);
		return NULL;
	}
	tile->ld[0] = plain ? n : 0;
	tile->ld[1] = plain;
	return tile;
}

void tile_free(struct tile *tile)
{
	if (!tile)
		return;
	if (tile->memory)
		dnnl_memory_destroy(tile->memory);
	if (!tile->pieces)
		layout_release(&tile->layout);
	free(tile->data);
	free(tile);
}

size_t tile_bytes(const struct tile *tile)
{
	return tile->bytes;
}

/* The array itself, as it lies. */
static int lend(struct matmul *mm, struct tile *tile, const void *w, int64_t ld, bool transposed)
{
	int64_t strides[2] = {transposed ? 1 : ld, transposed ? ld : 1};

	layout_release(&tile->layout);
	tile->layout = (layout){0};
	tile->ld[0] = strides[0];
	tile->ld[1] = strides[1];
	return layout_plain(&tile->layout, tile->k, tile->n, library_type(tile->dtype), strides[0], strides[1]) ||
	       dnnl_memory_create(&tile->memory, LAYOUT(tile->layout), matmul_engine(mm), (void *)(uintptr_t)w);
}

static int allocate(struct matmul *mm, struct tile *tile)
{
	size_t bytes = dnnl_memory_desc_get_size(LAYOUT(tile->layout));

	tile->data = aligned_alloc(64, (bytes + 63) / 64 * 64);
	if (!tile->data || dnnl_memory_create(&tile->memory, LAYOUT(tile->layout), matmul_engine(mm), tile->data))
		return -1;
	tile->bytes = bytes;
	return 0;
}

/* The library's copy from one layout to another. */
static int reorder(struct matmul *mm, dnnl_memory_t to, const layout *to_layout, dnnl_memory_t from,
		   const layout *from_layout)
{
	dnnl_engine_t engine = matmul_engine(mm);
	dnnl_primitive_desc_t desc = NULL;
	dnnl_primitive_t copy = NULL;
	dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
	int bad = dnnl_reorder_primitive_desc_create(&desc, LAYOUT(*from_layout), engine, LAYOUT(*to_layout), engine,
						     NULL) ||
		  dnnl_primitive_create(&copy, desc) || dnnl_primitive_execute(copy, matmul_stream(mm), 2, args) ||
		  dnnl_stream_wait(matmul_stream(mm));

	if (copy)
		dnnl_primitive_destroy(copy);
	if (desc)
		dnnl_primitive_desc_destroy(desc);
	return bad;
}

int tile_fill(struct matmul *mm, struct tile *tile, const void *w, int64_t ld, bool transposed, bool lasting)
{
	bool plain = tile->ld[1] != 0;
	layout from = {0};
	dnnl_memory_t source = NULL;

	if (tile->pieces)
		return tile_pieces_fill(tile, matmul_threads(mm), w, ld, transposed);
	if (tile->memory && !tile->data)
		return 0; /* lent: it sees every change */
	if (plain && lasting)
		return lend(mm, tile, w, ld, transposed) ? -1 : 0;
	if (!tile->memory && allocate(mm, tile))
		return -1;
	int bad = layout_plain(&from, tile->k, tile->n, library_type(tile->dtype), transposed ? 1 : ld,
			       transposed ? ld : 1) ||
		  dnnl_memory_create(&source, LAYOUT(from), matmul_engine(mm), (void *)(uintptr_t)w) ||
		  reorder(mm, tile->memory, &tile->layout, source, &from);

	if (source)
		dnnl_memory_destroy(source);
	layout_release(&from);
	return bad ? -1 : 0;
}
