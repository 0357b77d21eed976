// SPDX-License-Identifier: Apache-2.0
/* Names of tensors to fields of the model. */
#include <stdio.h>
#include <stdlib.h>

#include "src/base/mem.h"
#include "src/model/load.h"

/* ---- layers ------------------------------------------------------------------ */

/* "model.layers.L.PART.weight" */
static const char *layer_name(char *name, size_t size, int64_t layer, const char *part)
{
	snprintf(name, size, "model.layers.%lld.%s", (long long)layer, part);
	return name;
}

struct part {
	const char *name;
	int64_t rows, cols; /* cols 0: a vector */
	struct view *to;
};

static int load_parts(struct loader *l, int64_t layer, const struct part *part, size_t n)
{
	char name[128];
	for (; n; n--, part++) {
		layer_name(name, sizeof name, layer, part->name);
		int rc = part->cols ? load_matrix(l, part->to, part->rows, part->cols, name)
				    : load_vector(l, part->to, part->rows, name);
		if (rc)
			return -1;
	}
	return 0;
}

static int load_attention(struct loader *l, int64_t i, struct model_layer *layer)
{
	const struct model_config *c = &l->model->config;
	int64_t C = c->hidden_size, Q = c->num_attention_heads * c->head_dim, K = c->num_key_value_heads * c->head_dim;
	struct view qkv[3], o;
	const struct part always[] = {
		{"input_layernorm.weight", C, 0, &layer->in.norm_w}, {"self_attn.q_proj.weight", Q, C, &qkv[0]},
		{"self_attn.k_proj.weight", K, C, &qkv[1]},	     {"self_attn.v_proj.weight", K, C, &qkv[2]},
		{"self_attn.o_proj.weight", C, Q, &o},
	};
	const struct part bias[] = {{"self_attn.q_proj.bias", Q, 0, &layer->in.bias[0]},
				    {"self_attn.k_proj.bias", K, 0, &layer->in.bias[1]},
				    {"self_attn.v_proj.bias", K, 0, &layer->in.bias[2]}};
	const struct part o_bias[] = {{"self_attn.o_proj.bias", C, 0, &layer->out.bias}};
	const struct part norm[] = {{"self_attn.q_norm.weight", c->head_dim, 0, &layer->in.q_norm},
				    {"self_attn.k_norm.weight", c->head_dim, 0, &layer->in.k_norm}};
	if (load_parts(l, i, always, 5) || (c->qkv_bias && load_parts(l, i, bias, 3)) ||
	    (c->o_bias && load_parts(l, i, o_bias, 1)) || (c->qk_norm && load_parts(l, i, norm, 2)))
		return -1;
	return load_weight(l, &layer->wqkv, 3, qkv, WEIGHT_FORWARD | WEIGHT_DX) ||
		       load_weight(l, &layer->wo, 1, &o, WEIGHT_FORWARD | WEIGHT_DX)
		       ? -1 : 0;
}

static int load_mlp(struct loader *l, int64_t i, struct model_layer *layer)
{
	int64_t C = l->model->config.hidden_size, F = l->model->config.intermediate_size;
	struct view gu[2], down;
	const struct part parts[] = {
		{"post_attention_layernorm.weight", C, 0, &layer->mlp.norm_w}, {"mlp.gate_proj.weight", F, C, &gu[0]},
		{"mlp.up_proj.weight", F, C, &gu[1]}, {"mlp.down_proj.weight", C, F, &down},
	};
	if (load_parts(l, i, parts, 4))
		return -1;
	return load_weight(l, &layer->wgu, 2, gu, WEIGHT_FORWARD | WEIGHT_DX) ||
		       load_weight(l, &layer->wdown, 1, &down, WEIGHT_FORWARD | WEIGHT_DX)
		       ? -1 : 0;
}

static void set_params(struct model *model, struct model_layer *layer, struct rope rope)
{
	const struct model_config *c = &model->config;
	float eps = (float)c->rms_norm_eps;
	layer->in.dims = (struct attn_dims){(int)c->num_attention_heads, (int)c->num_key_value_heads,
					    (int)c->head_dim, 1.0f / __builtin_sqrtf((float)c->head_dim)};
	layer->in.eps = layer->mlp.eps = eps;
	layer->in.wqkv = &layer->wqkv;
	layer->in.rope = rope;
	layer->out.wo = &layer->wo;
	layer->mlp.wgu = &layer->wgu;
	layer->mlp.wdown = &layer->wdown;
}

/* ---- the ends ------------------------------------------------------------------ */

static const char embedding_name[] = "model.embed_tokens.weight", head_name[] = "lm_head.weight";

/* A head stored beside a tied embedding is passed over by transformers 4 and used by 5; good where it makes no odds. */
static int check_tied(struct loader *l)
{
	const int64_t shape[2] = {l->model->config.vocab_size, l->model->config.hidden_size};
	struct tensor_info embedding, head;
	bool same;
	if (l->options->random || !l->check || !shards_find(l->shards, head_name, &head))
		return 0;
	if (shards_expect(l->shards, embedding_name, 2, shape, &embedding, l->err) ||
	    tensor_expect(&head, 2, shape, l->err) || tensor_same(&same, &embedding, &head, l->err))
		return -1;
	return same ? 0
		    : err_set(l->err, ERR_DATA,
			      "%s: tensor '%s' differs from '%s', to which config.json ties it; set "
			      "tie_word_embeddings to false or remove %s",
			      safetensors_path(head.file), head_name, embedding_name, head_name);
}

static int load_ends(struct loader *l)
{
	struct model *m = l->model;
	struct view embedding, head;
	int64_t V = m->config.vocab_size, C = m->config.hidden_size;
	bool tied = m->config.tie_word_embeddings;
	unsigned uses = WEIGHT_GATHER | (tied ? WEIGHT_FORWARD | WEIGHT_DX : 0);
	if (load_matrix(l, &embedding, V, C, embedding_name) || load_weight(l, &m->embedding, 1, &embedding, uses) ||
	    load_vector(l, &m->head.norm_w, C, "model.norm.weight"))
		return -1;
	m->head.eps = (float)m->config.rms_norm_eps;
	m->head.w = tied ? &m->embedding : &m->lm_head;
	if (tied)
		return check_tied(l);
	return load_matrix(l, &head, V, C, head_name) ||
		       load_weight(l, &m->lm_head, 1, &head, WEIGHT_FORWARD | WEIGHT_DX)
		       ? -1 : 0;
}

static int load_rope(struct loader *l, struct rope *rope)
{
	struct model *m = l->model;
	int64_t half = m->config.head_dim / 2, n = m->positions * half;
	float *host = mem_array((size_t)n, 2 * sizeof *host, l->err);
	if (!host)
		return -1;
	rope_table(host, host + n, m->positions, (int)m->config.head_dim, &m->config.rope);
	int rc = load_array(l, &rope->cos, m->positions, half, host) ||
		 load_array(l, &rope->sin, m->positions, half, host + n);
	free(host);
	return rc ? -1 : 0;
}

int load_all(struct loader *l)
{
	struct model *m = l->model;
	struct rope rope = {0};
	if (load_ends(l) || (!l->check && load_rope(l, &rope)))
		return -1;
	for (int64_t i = 0; i < m->config.num_hidden_layers; i++) {
		if (load_attention(l, i, &m->layer[i]) || load_mlp(l, i, &m->layer[i]))
			return -1;
		set_params(m, &m->layer[i], rope);
	}
	return 0;
}
