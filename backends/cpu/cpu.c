// SPDX-License-Identifier: Apache-2.0
/* The device of this room and its table. */
#include "backends/cpu/cpu.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_THREADS = 4096 };

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Operations that no file of ours knows ask for what the reference needs; ours may hand odd storage types on to it. */
static size_t cpu_scratch_bytes(const struct device *dev, enum op op, const struct shape *shape)
{
	static size_t (*const files[])(const struct device *, enum op, const struct shape *) = {
		cpu_linear_scratch,   cpu_lora_scratch, cpu_pointwise_scratch, cpu_attn_in_scratch,
		cpu_attn_out_scratch, cpu_mlp_scratch,  cpu_attention_scratch, cpu_head_scratch,
	};
	bool composite = op >= OP_embed && op <= OP_sample;
	size_t bytes = 0;

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		bytes = larger(bytes, files[i](dev, op, shape));
	return composite && bytes ? bytes : larger(bytes, kernels_reference()->scratch_bytes(dev, op, shape));
}

static size_t cpu_saved_bytes(const struct device *dev, enum op op, const struct shape *shape)
{
	return cpu_attn_in_saved(dev, op, shape) + cpu_attn_out_saved(dev, op, shape) + cpu_mlp_saved(dev, op, shape);
}

void cpu_table(struct kernels *table, const char *name)
{
	*table = *kernels_reference();
	cpu_override_linear(table);
	cpu_override_lora(table);
	cpu_override_pointwise(table);
	cpu_override_rows(table);
	cpu_override_optim(table);
	cpu_override_attn_in(table);
	cpu_override_attn_out(table);
	cpu_override_mlp(table);
	cpu_override_attention(table);
	cpu_override_head(table);
	table->scratch_bytes = cpu_scratch_bytes;
	table->saved_bytes = cpu_saved_bytes;
	table->name = name;
}

/* OpenMP's own count may be what an earlier device left. */
static int threads_wanted(const struct device_options *options)
{
	const char *wanted = getenv("OMP_NUM_THREADS");
	int threads = wanted ? atoi(wanted) : 0;

	if (options && options->threads > 0)
		return options->threads;
	return threads > 0 && threads <= MOST_THREADS ? threads : omp_get_num_procs();
}

/*
 * What OpenMP gives, which OMP_THREAD_LIMIT and the like can make less: a library that has cut its work for more never
 * does the rest. As many every time, or results would follow the machine's load.
 */
static int threads_of(const struct device_options *options)
{
	int granted = 1;

	omp_set_dynamic(0);
#pragma omp parallel num_threads(threads_wanted(options))
#pragma omp single
	granted = omp_get_num_threads();
	return granted;
}

void cpu_init(struct cpu_device *cpu, const struct products *products, const char *name,
	      const struct device_options *options)
{
	cpu->vec = vec_choose();
	cpu->products = products;
	cpu->dev = (struct device){.name = name,
				   .threads = threads_of(options),
				   .resid_dtype = DTYPE_F32,
				   .act_dtype = DTYPE_F32,
				   .cache_dtype = DTYPE_F32,
				   .batch_invariant = options && options->batch_invariant};
}

void cpu_describe(struct backend_info *info)
{
	snprintf(info->level, sizeof info->level, "%s", vec_choose()->name);
	info->threads = threads_of(NULL);
}
