// SPDX-License-Identifier: Apache-2.0
/* The device, and what it says of itself. */
#include "backends/onednn/onednn.h"

#include <stdio.h>
#include <stdlib.h>

#include "backends/cpu/vec_attention.h"
#include "src/base/mem.h"

static const struct kernels *table(void)
{
	static struct kernels kernels;

	if (!kernels.name) {
		cpu_table(&kernels, "onednn");
		onednn_override_pack(&kernels);
	}
	return &kernels;
}

void onednn_probe(struct backend_info *info)
{
	bool bf16 = matmul_has_bf16();

	cpu_describe(info);
	matmul_version(info->library, sizeof info->library);
	snprintf(info->core, sizeof info->core, "%s", matmul_isa());
	snprintf(info->threading, sizeof info->threading, "openmp");
	snprintf(info->dtypes, sizeof info->dtypes, bf16 ? "float32 bfloat16" : "float32");
	info->usable = true;
	info->reason[0] = '\0';
}

struct device *onednn_open(const struct device_options *options, struct err *err)
{
	bool bf16 = options && options->dtype == DTYPE_BF16;

	if (bf16 && !matmul_has_bf16()) {
		err_set(err, ERR_CONFIG,
			"backend 'onednn' multiplies bfloat16 where the CPU does (AVX512-BF16, AMX), and its kernels "
			"here are %s; use float32, or backend 'openblas', which stores bfloat16 and computes in "
			"float32",
			matmul_isa());
		return NULL;
	}
	struct onednn_device *own = mem_array(1, sizeof *own, err);

	if (!own)
		return NULL;
	cpu_init(&own->cpu, bf16 ? &onednn_products_bf16 : &onednn_products_f32, "onednn", options);
	own->cpu.dev.k = table();
	own->cpu.dev.backend = &onednn_backend;
	own->cpu.attention = bf16 ? vec_attention_bf16() : NULL;
	own->arithmetic = bf16 ? DTYPE_BF16 : DTYPE_F32;
	own->pieces = bf16 ? pieces_bf16() : NULL;
	if (own->cpu.attention && own->cpu.attention->reads_half)
		own->cpu.dev.cache_dtype = DTYPE_BF16;
	own->matmul = matmul_new(own->cpu.dev.threads, err);
	if (own->matmul)
		return &own->cpu.dev;
	free(own);
	return NULL;
}

void onednn_close(struct device *dev)
{
	if (!dev)
		return;
	matmul_free(onednn_of(dev)->matmul);
	device_scratch_free(dev);
	free(dev);
}

int onednn_product(struct device *dev, int64_t n, float *c, const void *a, const void *b, enum dtype dtype)
{
	if (dtype != DTYPE_F32 && (dtype != DTYPE_BF16 || !matmul_has_bf16()))
		return -1;
	product_threads(dev);
	return matmul_square(onednn_of(dev)->matmul, n, c, a, b, dtype);
}

const struct backend onednn_backend = ONEDNN_BACKEND;
