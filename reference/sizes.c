// SPDX-License-Identifier: Apache-2.0
/* Bytes of scratch and of saved areas of every operation; the layouts are those of the files named. */
#include "reference/internal.h"

static size_t doubles(int64_t n)
{
	return ref_bytes(n * (int64_t)(sizeof(double) / sizeof(real)));
}

/* lora.c: drop(x) and g; the wider of a layer's inputs */
static size_t lora_bytes(const struct shape *s)
{
	int64_t attn = s->heads * s->head_dim, wide = s->hidden;
	wide = attn > wide ? attn : wide;
	wide = s->ffn > wide ? s->ffn : wide;
	return ref_bytes(s->rows * wide) + 2 * ref_bytes(s->rows * s->rank);
}

static size_t attn_in_scratch(const struct shape *s)
{
	size_t q = ref_bytes(s->rows * s->heads * s->head_dim), k = ref_bytes(s->rows * s->kv_heads * s->head_dim);
	return ref_bytes(s->rows * s->hidden) + q + 2 * k + lora_bytes(s);
}

static size_t attn_in_backward_scratch(const struct shape *s)
{
	return 2 * ref_bytes(s->rows * s->hidden) + ref_bytes(s->rows * s->head_dim) + doubles(s->rows) + lora_bytes(s);
}

static size_t attn_out_scratch(const struct shape *s)
{
	return ref_bytes(s->rows * s->hidden) + lora_bytes(s);
}

static size_t mlp_scratch(const struct shape *s)
{
	return 2 * ref_bytes(s->rows * s->hidden) + 3 * ref_bytes(s->rows * s->ffn) + doubles(s->rows) + lora_bytes(s);
}

static size_t head_scratch(const struct shape *s)
{
	return 2 * ref_bytes(s->rows * s->hidden) + 2 * doubles(s->rows) +
	       doubles(s->rows > s->vocab ? s->rows : s->vocab);
}

static size_t rows_scratch(const struct shape *s)
{
	return doubles(s->rows);
}

static size_t attention_scratch(const struct shape *s)
{
	return doubles(s->keys) + doubles(s->head_dim);
}

static size_t attention_backward_scratch(const struct shape *s)
{
	return doubles(2 * s->head_dim);
}

static size_t logits_scratch(const struct shape *s)
{
	return ref_bytes(s->rows * s->hidden);
}

static size_t vocab_scratch(const struct shape *s)
{
	return doubles(3 * s->vocab); /* sample.c: struct token */
}

static size_t (*const scratch[OP_COUNT])(const struct shape *) = {
	[OP_rmsnorm_backward] = rows_scratch,
	[OP_lora] = lora_bytes,
	[OP_lora_backward] = lora_bytes,
	[OP_log_softmax] = vocab_scratch,
	[OP_attn_in] = attn_in_scratch,
	[OP_attn_in_backward] = attn_in_backward_scratch,
	[OP_attention] = attention_scratch,
	[OP_attention_backward] = attention_backward_scratch,
	[OP_attn_out] = attn_out_scratch,
	[OP_attn_out_backward] = lora_bytes,
	[OP_mlp] = mlp_scratch,
	[OP_mlp_backward] = mlp_scratch,
	[OP_head_loss] = head_scratch,
	[OP_logits] = logits_scratch,
	[OP_sample] = vocab_scratch,
};

static size_t attn_in_saved(const struct shape *s)
{
	size_t raw = ref_bytes(s->rows * s->heads * s->head_dim) + ref_bytes(s->rows * s->kv_heads * s->head_dim);
	return ref_bytes(s->rows * s->hidden) + 3 * ref_bytes(s->rows * s->rank) + (s->qk_norm ? raw : 0);
}

static size_t attn_out_saved(const struct shape *s)
{
	return ref_bytes(s->rows * s->rank);
}

static size_t mlp_saved(const struct shape *s)
{
	return ref_bytes(s->rows * s->hidden) + 2 * ref_bytes(s->rows * s->ffn) + 3 * ref_bytes(s->rows * s->rank);
}

static size_t (*const saved[OP_COUNT])(const struct shape *) = {
	[OP_attn_in] = attn_in_saved,
	[OP_attn_out] = attn_out_saved,
	[OP_mlp] = mlp_saved,
};

static size_t ref_scratch_bytes(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev;
	return scratch[op] ? scratch[op](shape) : 0;
}

static size_t ref_saved_bytes(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev;
	return saved[op] ? saved[op](shape) : 0;
}

void ref_table_sizes(struct kernels *table)
{
	table->scratch_bytes = ref_scratch_bytes;
	table->saved_bytes = ref_saved_bytes;
}
