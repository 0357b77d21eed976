// SPDX-License-Identifier: Apache-2.0
/*
 * Products for everybody. cuBLAS chooses its way by the shape, so a row's bits
 * depend on how many there are; a device that must not (batch_invariant) has
 * every product cut into blocks of the same number of rows, the last one
 * filled up with zeros. By the distance of rows and by alignment it may choose
 * as well, so the filled block has those of the rows it stands for.
 */
#include "backends/cuda/array.cuh"

enum { BLOCK_ROWS = 64, LINE = 128 };

/* Rows of v with zeros up to BLOCK_ROWS, in the device's own block from *at bytes on. */
static struct view product_filled(struct cuda_device *cuda, const char *op, struct view v, size_t *at)
{
	struct view full = view_of(&cuda->block, BLOCK_ROWS, v.cols, v.dtype);
	size_t skew = (uintptr_t)array_of(v).p % LINE;
	full.ld = v.ld;
	full.offset = (int64_t)((*at + skew) / dtype_size(v.dtype));
	*at += cuda_array_bytes(BLOCK_ROWS, v.ld, v.dtype) + 2 * LINE;
	if (*at > cuda->block.bytes) {
		device_fail(&cuda->dev, op, "rows of %lld columns are too long for batch-invariant products",
			    (long long)v.cols);
		return view_none();
	}
	cuda_fill(&cuda->dev, op, full, 0);
	cuda_convert(&cuda->dev, op, view_rows(full, 0, v.rows), v);
	return full;
}

/* Fewer than BLOCK_ROWS rows. */
static void product_rest(struct device *dev, const char *op, struct view c, struct view a, struct cuda_factor b,
			 float alpha, bool add)
{
	size_t at = 0;
	struct cuda_factor rows = {product_filled(cuda_of(dev), op, a, &at), false};
	struct view to = product_filled(cuda_of(dev), op, c, &at);
	if (dev->failure[0])
		return;
	cuda_blas_multiply(dev, op, to, rows, b, alpha, add);
	cuda_convert(dev, op, c, view_rows(to, 0, c.rows));
}

void cuda_multiply(struct device *dev, const char *op, struct view c, struct cuda_factor a, struct cuda_factor b,
		   float alpha, bool add)
{
	if (!dev->batch_invariant || a.transposed) {
		cuda_blas_multiply(dev, op, c, a, b, alpha, add);
		return;
	}
	for (int64_t row = 0; row < c.rows; row += BLOCK_ROWS) {
		int64_t n = c.rows - row < BLOCK_ROWS ? c.rows - row : (int64_t)BLOCK_ROWS;
		struct view to = view_rows(c, row, n), from = view_rows(a.v, row, n);
		struct cuda_factor rows = {from, false};
		if (n == BLOCK_ROWS)
			cuda_blas_multiply(dev, op, to, rows, b, alpha, add);
		else
			product_rest(dev, op, to, from, b, alpha, add);
	}
}
