// SPDX-License-Identifier: Apache-2.0
/* The device, its table, and what it says of itself. */
#include "backends/openblas/openblas.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/mem.h"

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Operations that no file of ours knows ask for what the reference needs; ours may hand odd storage types on to it. */
static size_t blas_scratch_bytes(const struct device *dev, enum op op, const struct shape *shape)
{
	static size_t (*const files[])(const struct device *, enum op, const struct shape *) = {
		openblas_linear_scratch,   openblas_lora_scratch, openblas_pointwise_scratch, openblas_attn_in_scratch,
		openblas_attn_out_scratch, openblas_mlp_scratch,  openblas_attention_scratch, openblas_head_scratch,
	};
	bool composite = op >= OP_embed && op <= OP_sample;
	size_t bytes = 0;

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		bytes = larger(bytes, files[i](dev, op, shape));
	return composite && bytes ? bytes : larger(bytes, kernels_reference()->scratch_bytes(dev, op, shape));
}

static size_t blas_saved_bytes(const struct device *dev, enum op op, const struct shape *shape)
{
	return openblas_attn_in_saved(dev, op, shape) + openblas_attn_out_saved(dev, op, shape) +
	       openblas_mlp_saved(dev, op, shape);
}

static const struct kernels *table(void)
{
	static struct kernels kernels;

	if (kernels.name)
		return &kernels;
	kernels = *kernels_reference();
	openblas_override_linear(&kernels);
	openblas_override_lora(&kernels);
	openblas_override_pointwise(&kernels);
	openblas_override_optim(&kernels);
	openblas_override_attn_in(&kernels);
	openblas_override_attn_out(&kernels);
	openblas_override_mlp(&kernels);
	openblas_override_attention(&kernels);
	openblas_override_head(&kernels);
	kernels.scratch_bytes = blas_scratch_bytes;
	kernels.saved_bytes = blas_saved_bytes;
	kernels.name = "openblas";
	return &kernels;
}

static int threads_of(const struct device_options *options)
{
	return options && options->threads > 0 ? options->threads : omp_get_num_procs();
}

void openblas_probe(struct backend_info *info)
{
	blas_describe(info);
	info->usable = true;
	info->reason[0] = '\0';
	snprintf(info->level, sizeof info->level, "%s", vec_choose()->name);
	snprintf(info->dtypes, sizeof info->dtypes, "float32");
	info->threads = threads_of(NULL);
}

struct device *openblas_open(const struct device_options *options, struct err *err)
{
	struct openblas_device *blas = mem_array(1, sizeof *blas, err);

	if (!blas)
		return NULL;
	blas->vec = vec_choose();
	blas->dev = (struct device){.k = table(), .name = "openblas", .threads = threads_of(options),
				    .resid_dtype = DTYPE_F32, .act_dtype = DTYPE_F32,
				    .batch_invariant = options && options->batch_invariant,
				    .backend = &openblas_backend};
	return &blas->dev;
}

void openblas_close(struct device *dev)
{
	if (!dev)
		return;
	free(dev->scratch.data);
	free(dev);
}

int openblas_product(struct device *dev, int64_t n, float *c, const void *a, const void *b, enum dtype dtype)
{
	if (dtype != DTYPE_F32)
		return -1;
	blas_threads(dev->threads);
	blas_nt(n, n, n, 1, a, n, b, n, 0, c, n);
	return 0;
}

const struct backend openblas_backend = OPENBLAS_BACKEND;
