// SPDX-License-Identifier: Apache-2.0
/*
 * backends/cuda compiled for the host: every file but blas.cu, whose products
 * are plain loops here. Linked into cuda_host_test, which runs the
 * differential tests on it without a GPU, and cuda_graph_test.
 */
#include "tests/cuda_host.h"

#include <numeric>
#include <vector>

/* The stand-ins are C++; what the backend offers is C. */
#include "backends/cuda/array.cuh"

#include "backends/cuda/attention.cu"
#include "backends/cuda/attention_mma.cu"
#include "backends/cuda/attention_mma_backward.cu"
#include "backends/cuda/attn.cu"
#include "backends/cuda/check.cu"
#include "backends/cuda/cuda.cu"
#include "backends/cuda/dropout.cu"
#include "backends/cuda/head.cu"
#include "backends/cuda/lora.cu"
#include "backends/cuda/low_rank.cu"
#include "backends/cuda/low_rank_backward.cu"
#include "backends/cuda/memory.cu"
#include "backends/cuda/mlp.cu"
#include "backends/cuda/norm.cu"
#include "backends/cuda/optim.cu"
#include "backends/cuda/product.cu"
#include "backends/cuda/rope.cu"
#include "backends/cuda/rows.cu"
#include "backends/cuda/sample.cu"
#include "backends/cuda/swiglu.cu"
#include "backends/cuda/weights.cu"

bool cuda_blas_open(struct cuda_device *)
{
	return true;
}

void cuda_blas_close(struct cuda_device *)
{
}

const char *cuda_blas_version(void)
{
	return "loops";
}

/* Element (i, j) of op(f). */
static float factor_at(const struct cuda_factor &f, const struct array &a, int64_t i, int64_t j)
{
	return f.transposed ? element(a, j, i) : element(a, i, j);
}

void cuda_blas_multiply(struct device *dev, const char *op, struct view c, struct cuda_factor a, struct cuda_factor b,
			float alpha, bool add)
{
	const struct array x = array_of(a.v), y = array_of(b.v), to = array_of(c);
	const int64_t k = a.transposed ? a.v.rows : a.v.cols;
	bool types = a.v.dtype == b.v.dtype && a.v.dtype == dev->act_dtype &&
		     (c.dtype == DTYPE_F32 || c.dtype == dev->act_dtype);
	bool shapes = (b.transposed ? b.v.cols : b.v.rows) == k && (a.transposed ? a.v.cols : a.v.rows) == c.rows &&
		      (b.transposed ? b.v.rows : b.v.cols) == c.cols;
	if (dev->failure[0])
		return;
	if (!types || !shapes)
		return device_fail(dev, op, "a product that cuBLAS would not do");
	cuda_host_do([=] {
		std::vector<double> row((size_t)k), columns((size_t)(k * c.cols)); /* read once, not for each sum */
		for (int64_t at = 0; at < k * c.cols; at++)
			columns[(size_t)at] = (double)factor_at(b, y, at % k, at / k);
		for (int64_t i = 0; i < c.rows; i++) {
			for (int64_t l = 0; l < k; l++)
				row[(size_t)l] = (double)factor_at(a, x, i, l);
			for (int64_t j = 0; j < c.cols; j++) {
				double sum = std::inner_product(row.begin(), row.end(), columns.begin() + j * k, 0.0);
				put(to, i, j, (float)(alpha * sum + (add ? (double)element(to, i, j) : 0)));
			}
		}
	});
}
