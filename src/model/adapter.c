// SPDX-License-Identifier: Apache-2.0
#include "src/model/adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/philox.h"
#include "src/base/mem.h"

const char *const module_names[MODULES] = {
	[MODULE_Q] = "q_proj", [MODULE_K] = "k_proj", [MODULE_V] = "v_proj", [MODULE_O] = "o_proj",
	[MODULE_GATE] = "gate_proj", [MODULE_UP] = "up_proj", [MODULE_DOWN] = "down_proj",
};

/* The matrix [N, M] that a module adapts. */
static void module_shape(const struct model_config *c, int module, int64_t *rows, int64_t *cols)
{
	int64_t Q = c->num_attention_heads * c->head_dim, K = c->num_key_value_heads * c->head_dim;
	const int64_t shape[MODULES][2] = {
		[MODULE_Q] = {Q, c->hidden_size}, [MODULE_K] = {K, c->hidden_size},
		[MODULE_V] = {K, c->hidden_size}, [MODULE_O] = {c->hidden_size, Q},
		[MODULE_GATE] = {c->intermediate_size, c->hidden_size},
		[MODULE_UP] = {c->intermediate_size, c->hidden_size},
		[MODULE_DOWN] = {c->hidden_size, c->intermediate_size},
	};
	*rows = shape[module][0];
	*cols = shape[module][1];
}

void module_path(char *out, size_t size, int64_t layer, int module)
{
	snprintf(out, size, "model.layers.%lld.%s.%s", (long long)layer, module <= MODULE_O ? "self_attn" : "mlp",
		 module_names[module]);
}

unsigned adapter_target(const char *name, size_t n)
{
	for (int i = 0; i < MODULES; i++)
		if (strlen(module_names[i]) == n && !memcmp(module_names[i], name, n))
			return 1u << i;
	return n == strlen("all-linear") && !memcmp(name, "all-linear", n) ? TARGETS_ALL_LINEAR : 0;
}

/* ---- arrays ------------------------------------------------------------------- */

static bool targeted(const struct adapter_config *config, int64_t i)
{
	return config->targets >> (i % MODULES) & 1;
}

static int64_t count(const struct adapter *a)
{
	return a->model->config.num_hidden_layers * MODULES;
}

/* Give every adapted matrix its part of the buffer; returns the numbers taken. */
static int64_t place(struct adapter *a, struct buffer *buffer)
{
	const struct adapter_config *c = &a->config;
	int64_t at = 0, rows, cols;
	for (int64_t i = 0; i < count(a); i++) {
		if (!targeted(c, i))
			continue;
		module_shape(&a->model->config, (int)(i % MODULES), &rows, &cols);
		struct lora *l = &a->lora[i];
		l->a = view_of(buffer, c->r, cols, DTYPE_F32);
		l->a.offset = at;
		l->b = view_of(buffer, rows, c->r, DTYPE_F32);
		l->b.offset = at + c->r * cols;
		l->scale = (float)(c->alpha / (c->use_rslora ? sqrt((double)c->r) : (double)c->r));
		l->p = (float)c->dropout;
		l->module = (uint32_t)(i % MODULES);
		at += c->r * (rows + cols);
	}
	return at;
}

static int check_config(const struct adapter_config *c, struct err *err)
{
	if (c->r < 1 || c->r > ADAPTER_MAX_RANK)
		return err_set(err, ERR_DATA, "'r' is %lld; ranks are 1 to %d", (long long)c->r, ADAPTER_MAX_RANK);
	if (!isfinite(c->alpha) || c->alpha <= 0)
		return err_set(err, ERR_DATA, "'lora_alpha' must be a positive number");
	if (!(c->dropout >= 0 && c->dropout < 1))
		return err_set(err, ERR_DATA, "'lora_dropout' is %g; it must be at least 0 and below 1", c->dropout);
	return c->targets ? 0 : err_set(err, ERR_DATA, "'target_modules' names no matrix");
}

struct adapter *adapter_new(struct model *model, const struct adapter_config *config, struct err *err)
{
	if (check_config(config, err))
		return NULL;
	struct adapter *a = mem_array(1, sizeof *a, err);
	if (!a)
		return NULL;
	*a = (struct adapter){.config = *config, .model = model};
	a->lora = mem_array((size_t)count(a), sizeof *a->lora, err);
	if (a->lora) {
		a->numbers = place(a, NULL);
		a->buffer = model->dev->k->alloc(model->dev, (size_t)a->numbers * sizeof(float));
		if (!a->buffer)
			device_finish(model->dev, ERR_MEMORY, err);
	}
	if (!a->lora || !a->buffer) {
		adapter_free(a);
		return NULL;
	}
	place(a, a->buffer);
	return a;
}

void adapter_free(struct adapter *a)
{
	if (!a)
		return;
	adapter_detach(a);
	if (a->buffer)
		a->model->dev->k->free(a->model->dev, a->buffer);
	free(a->lora);
	free(a);
}

int64_t adapter_rank(const struct adapter *adapter)
{
	return adapter ? adapter->config.r : 0;
}

/* ---- first values ---------------------------------------------------------------- */

/* n numbers uniform in [-bound, bound). */
static void fill_uniform(float *out, int64_t n, struct philox_key key, double bound)
{
	for (int64_t i = 0; i < n; i++)
		out[i] = (float)(bound * (2 * philox_uniform(philox_at(key, (uint32_t)i, 0)) - 1));
}

int adapter_init(struct adapter *a, uint64_t seed, struct err *err)
{
	struct device *dev = a->model->dev;
	for (int64_t i = 0; i < count(a); i++) {
		struct view v = a->lora[i].a;
		if (!targeted(&a->config, i))
			continue;
		float *host = mem_array((size_t)(v.rows * v.cols), sizeof *host, err);
		if (!host)
			return -1;
		fill_uniform(host, v.rows * v.cols,
			     philox_stream(seed, PHILOX_INIT, (uint32_t)(i / MODULES), (uint32_t)(i % MODULES), 0),
			     1 / sqrt((double)v.cols));
		dev->k->upload(dev, v, host);
		dev->k->fill(dev, a->lora[i].b, 0);
		free(host);
	}
	return device_finish(dev, ERR_MEMORY, err);
}

void adapter_set_dropout(struct adapter *a, double dropout)
{
	a->config.dropout = dropout;
	for (int64_t i = 0; i < count(a); i++)
		a->lora[i].p = (float)dropout;
}

/* ---- in the model ------------------------------------------------------------------- */

static void set_pointers(struct adapter *a, bool on)
{
	for (int64_t i = 0; a->lora && i < a->model->config.num_hidden_layers; i++) {
		struct model_layer *l = &a->model->layer[i];
		const struct lora **slot[MODULES] = {&l->in.lora[0], &l->in.lora[1], &l->in.lora[2], &l->out.lora,
						     &l->mlp.lora[0], &l->mlp.lora[1], &l->mlp.lora[2]};
		for (int m = 0; m < MODULES; m++)
			if (targeted(&a->config, m))
				*slot[m] = on ? &a->lora[i * MODULES + m] : NULL;
	}
}

void adapter_attach(struct adapter *adapter)
{
	set_pointers(adapter, true);
}

void adapter_detach(struct adapter *adapter)
{
	set_pointers(adapter, false);
}

/* ---- to be trained -------------------------------------------------------------------- */

int adapter_add(struct adapter *a, struct parameters *params, struct err *err)
{
	char path[96];
	for (int64_t i = 0; i < count(a); i++) {
		if (!targeted(&a->config, i))
			continue;
		module_path(path, sizeof path, i / MODULES, (int)(i % MODULES));
		for (int b = 0; b < 2; b++) {
			struct parameter x = {.p = b ? a->lora[i].b : a->lora[i].a, .decay = true};
			snprintf(x.name, sizeof x.name, "base_model.model.%s.lora_%c.weight", path, "AB"[b]);
			if (parameters_add(params, &x, err))
				return -1;
		}
	}
	return 0;
}

void adapter_bind(struct adapter *a, const struct parameters *params)
{
	size_t at = 0;
	for (int64_t i = 0; i < count(a); i++) {
		if (!targeted(&a->config, i))
			continue;
		while (params->list[at].p.buffer != a->buffer)
			at++;
		a->lora[i].da = params->list[at++].g;
		a->lora[i].db = params->list[at++].g;
	}
}
