// SPDX-License-Identifier: Apache-2.0
/* The device, and what it says of itself. */
#include "backends/openblas/openblas.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/base/mem.h"

enum { PANEL = 512 * 384 /* floats of an expanded block: with what the library packs, in the second-level cache */ };

static const struct products products = {
	.panel = PANEL,
	.few = 64,
	.block_rows = PACKING_BLOCK_ROWS,
	.least_rows = PACKING_LEAST_ROWS,
	.nt = panel_nt,
	.nn = panel_nn,
	.gemm_nt = blas_nt,
	.gemm_nn = blas_nn,
	.gemm_tn = blas_tn,
	.threads = blas_threads,
};

static const struct kernels *table(void)
{
	static struct kernels kernels;

	if (!kernels.name)
		cpu_table(&kernels, "openblas");
	return &kernels;
}

void openblas_probe(struct backend_info *info)
{
	blas_describe(info);
	cpu_describe(info);
	info->usable = true;
	info->reason[0] = '\0';
	snprintf(info->dtypes, sizeof info->dtypes, "float32");
}

struct device *openblas_open(const struct device_options *options, struct err *err)
{
	struct cpu_device *blas = mem_array(1, sizeof *blas, err);

	if (!blas)
		return NULL;
	cpu_init(blas, &products, "openblas", options);
	blas->dev.k = table();
	blas->dev.backend = &openblas_backend;
	return &blas->dev;
}

void openblas_close(struct device *dev)
{
	if (!dev)
		return;
	device_scratch_free(dev);
	free(dev);
}

int openblas_product(struct device *dev, int64_t n, float *c, const void *a, const void *b, enum dtype dtype)
{
	if (dtype != DTYPE_F32)
		return -1;
	blas_threads(dev->threads);
	blas_nt(dev, n, n, n, 1, a, n, b, n, 0, c, n);
	return 0;
}

const struct backend openblas_backend = OPENBLAS_BACKEND;
