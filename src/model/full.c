// SPDX-License-Identifier: Apache-2.0
#include "src/model/full.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/base/mem.h"

/* One tensor of the model: where it lies, and where its gradient is wanted. */
struct slot {
	char name[PARAMETER_NAME];
	struct view at;
	struct view *grad;
	struct weight *group; /* NULL: a vector */
};

typedef int visit_fn(void *context, const struct slot *slot);

/* Visit a tensor; one that the model does not have is passed over. */
static int visit_one(visit_fn *visit, void *context, int64_t layer, const char *part, struct view at,
		     struct view *grad, struct weight *group)
{
	struct slot slot = {.at = at, .grad = grad, .group = group};
	if (!view_present(at))
		return 0;
	if (layer < 0)
		snprintf(slot.name, sizeof slot.name, "%s.weight", part);
	else
		snprintf(slot.name, sizeof slot.name, "model.layers.%lld.%s", (long long)layer, part);
	return visit(context, &slot);
}

static int visit_attention(struct full *f, int64_t i, visit_fn *visit, void *context)
{
	struct model_layer *l = &f->model->layer[i];
	struct full_layer *g = &f->layer[i];
	static const char *const weights[] = {"self_attn.q_proj.weight", "self_attn.k_proj.weight",
					      "self_attn.v_proj.weight"};
	static const char *const biases[] = {"self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"};
	int rc = visit_one(visit, context, i, "input_layernorm.weight", l->in.norm_w, &g->in.norm_w, NULL);
	for (int j = 0; !rc && j < 3; j++)
		rc = visit_one(visit, context, i, weights[j], l->wqkv.w[j], &g->in.w[j], &l->wqkv);
	for (int j = 0; !rc && j < 3; j++)
		rc = visit_one(visit, context, i, biases[j], l->in.bias[j], &g->in.bias[j], NULL);
	return rc || visit_one(visit, context, i, "self_attn.q_norm.weight", l->in.q_norm, &g->in.q_norm, NULL) ||
			       visit_one(visit, context, i, "self_attn.k_norm.weight", l->in.k_norm, &g->in.k_norm, NULL) ||
			       visit_one(visit, context, i, "self_attn.o_proj.weight", l->wo.w[0], &g->out.w, &l->wo) ||
			       visit_one(visit, context, i, "self_attn.o_proj.bias", l->out.bias, &g->out.bias, NULL)
		       ? -1 : 0;
}

static int visit_mlp(struct full *f, int64_t i, visit_fn *visit, void *context)
{
	struct model_layer *l = &f->model->layer[i];
	struct full_layer *g = &f->layer[i];
	return visit_one(visit, context, i, "post_attention_layernorm.weight", l->mlp.norm_w, &g->mlp.norm_w, NULL) ||
			       visit_one(visit, context, i, "mlp.gate_proj.weight", l->wgu.w[0], &g->mlp.gate, &l->wgu) ||
			       visit_one(visit, context, i, "mlp.up_proj.weight", l->wgu.w[1], &g->mlp.up, &l->wgu) ||
			       visit_one(visit, context, i, "mlp.down_proj.weight", l->wdown.w[0], &g->mlp.down, &l->wdown)
		       ? -1 : 0;
}

/* Every tensor, always in the same order. */
static int visit_all(struct full *f, visit_fn *visit, void *context)
{
	struct model *m = f->model;
	bool tied = m->config.tie_word_embeddings;
	if (visit_one(visit, context, -1, "model.embed_tokens", m->embedding.w[0], &f->embedding, &m->embedding))
		return -1;
	for (int64_t i = 0; i < m->config.num_hidden_layers; i++)
		if (visit_attention(f, i, visit, context) || visit_mlp(f, i, visit, context))
			return -1;
	if (visit_one(visit, context, -1, "model.norm", m->head.norm_w, &f->head.norm_w, NULL))
		return -1;
	return tied ? 0 : visit_one(visit, context, -1, "lm_head", m->lm_head.w[0], &f->head.w, &m->lm_head);
}

/* ---- adding ----------------------------------------------------------------------- */

struct adding {
	struct full *full;
	struct parameters *params;
	struct err *err;
};

/* A copy in f32 of a matrix stored in less. */
static int make_master(struct adding *a, struct parameter *x)
{
	struct full *f = a->full;
	struct device *dev = f->model->dev;
	struct buffer *buffer = dev->k->alloc(dev, (size_t)(x->p.rows * x->p.cols) * sizeof(float));
	if (!buffer)
		return device_finish(dev, ERR_MEMORY, a->err);
	f->master[f->masters++] = buffer;
	x->shadow = x->p;
	x->p = view_of(buffer, x->shadow.rows, x->shadow.cols, DTYPE_F32);
	dev->k->copy(dev, x->p, x->shadow);
	return 0;
}

static int add_slot(void *context, const struct slot *slot)
{
	struct adding *a = context;
	struct parameter x = {.p = slot->at, .decay = slot->group != NULL, .vector = slot->group == NULL,
			      .group = slot->group};
	snprintf(x.name, sizeof x.name, "%s", slot->name);
	if (slot->at.dtype != DTYPE_F32 && make_master(a, &x))
		return -1;
	return parameters_add(a->params, &x, a->err);
}

struct full *full_new(struct model *model, struct parameters *params, struct err *err)
{
	size_t layers = (size_t)model->config.num_hidden_layers;
	struct full *f = mem_array(1, sizeof *f, err);
	if (!f)
		return NULL;
	*f = (struct full){.model = model, .first = params->n, .layer = mem_array(layers, sizeof *f->layer, err),
			   .master = mem_array(7 * layers + 2, sizeof(struct buffer *), err)};
	struct adding adding = {f, params, err};
	if (f->layer && f->master && !visit_all(f, add_slot, &adding))
		return f;
	full_free(f);
	return NULL;
}

static int add_bytes(void *context, const struct slot *slot)
{
	uint64_t *bytes = context, n = (uint64_t)(slot->at.rows * slot->at.cols);
	*bytes += parameters_bytes(n) + (slot->at.dtype == DTYPE_F32 ? 0 : n * sizeof(float));
	return 0;
}

uint64_t full_bytes(struct model *model)
{
	size_t layers = (size_t)model->config.num_hidden_layers;
	uint64_t bytes = 0;
	struct full f = {.model = model, .layer = mem_array(layers, sizeof *f.layer, NULL)};
	if (f.layer)
		visit_all(&f, add_bytes, &bytes);
	else
		bytes = UINT64_MAX / 4;
	free(f.layer);
	return bytes;
}

/* ---- binding ------------------------------------------------------------------------ */

struct binding {
	const struct parameters *params;
	size_t at;
};

static int bind_slot(void *context, const struct slot *slot)
{
	struct binding *b = context;
	*slot->grad = b->params->list[b->at++].g;
	return 0;
}

void full_bind(struct full *full, const struct parameters *params)
{
	struct binding binding = {params, full->first};
	visit_all(full, bind_slot, &binding);
	if (full->model->config.tie_word_embeddings)
		full->head.w = full->embedding;
}

void full_free(struct full *f)
{
	if (!f)
		return;
	while (f->masters > 0)
		f->model->dev->k->free(f->model->dev, f->master[--f->masters]);
	free(f->master);
	free(f->layer);
	free(f);
}
