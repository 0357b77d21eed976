// SPDX-License-Identifier: Apache-2.0
/* models.c - shapes, and the FLOPs they cost. */
#include <string.h>

#include "bench/gpu/gpu_bench.h"

static const struct model models[] = {
	{"llama-3-8b", 32, 4096, 32, 8, 128, 14336, 128256, false, 8192},
	{"tinyllama-1.1b", 22, 2048, 32, 4, 64, 5632, 32000, false, 8192},
	{"smollm2-135m", 30, 576, 9, 3, 64, 1536, 49152, true, 8192},
	{"tiny", 2, 128, 2, 1, 64, 256, 512, true, 128},
};

const struct model *model_find(const char *name)
{
	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		if (!strcmp(models[i].name, name))
			return &models[i];
	return NULL;
}

int64_t model_query(const struct model *m)
{
	return m->heads * m->head_dim;
}

int64_t model_key(const struct model *m)
{
	return m->kv_heads * m->head_dim;
}

/* L (2 C Q + 2 C K + 3 C F) + V C */
double model_weights(const struct model *m)
{
	int64_t layer = m->hidden * (2 * model_query(m) + 2 * model_key(m) + 3 * m->ffn);
	return (double)(m->layers * layer + m->vocab * m->hidden);
}

/* 4 L Q keys: a product with k and one with v */
double model_attention(const struct model *m, double keys)
{
	return 4 * (double)(m->layers * model_query(m)) * keys;
}
