// SPDX-License-Identifier: Apache-2.0
#include <threads.h>

#include "reference/internal.h"

static void (*const files[])(struct kernels *) = {
	ref_table_memory,    ref_table_sizes,	  ref_table_norm,  ref_table_linear, ref_table_lora,   ref_table_rope,
	ref_table_pointwise, ref_table_attention, ref_table_layer, ref_table_loss,   ref_table_sample, ref_table_optim,
};

static struct kernels table = {.name = "reference"};

static void fill_table(void)
{
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		files[i](&table);
}

const struct kernels *kernels_reference(void)
{
	static once_flag once = ONCE_FLAG_INIT;
	call_once(&once, fill_table);
	return &table;
}
