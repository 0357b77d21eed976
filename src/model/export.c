// SPDX-License-Identifier: Apache-2.0
#include "src/model/export.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/jsonfile.h"
#include "src/base/mem.h"
#include "src/base/tree.h"
#include "src/model/directory.h"
#include "src/model/safetensors.h"
#include "src/model/shards.h"

static const uint64_t shard_bytes = (uint64_t)5 << 30;

/* What travels with the weights, where the base has it. */
static const char *const companions[] = {
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
	"merges.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json",
};

static int copy_file(const char *directory, const char *base, const char *name, struct err *err)
{
	enum { MAX_BYTES = 256 << 20 };
	size_t n;
	char *text = directory_read(base, name, MAX_BYTES, &n, err);
	char *path = text ? tree_join(directory, name, err) : NULL;
	int rc = path ? file_save(path, text, n, 0666, err) : -1;
	free(text);
	free(path);
	return rc;
}

static void put_members(struct json_writer *w, const struct json *doc, const struct stop_ids *stop, struct err *err)
{
	struct json_iter it;
	json_begin_object(w);
	if (doc && !json_members(json_root(doc), &it, err))
		while (json_next(&it)) {
			if (!strcmp(it.key, "eos_token_id"))
				continue;
			json_put_key(w, it.key);
			json_put_value(w, it.value);
		}
	json_put_key(w, "eos_token_id");
	json_begin_array(w);
	for (size_t i = 0; i < stop->n; i++)
		json_put_int(w, stop->id[i]);
	json_end_array(w);
	json_end_object(w);
}

/* A file of the base that goes with the weights, where it has one. */
static int copy_companion(const char *directory, const char *base, const char *name, struct err *err)
{
	bool there;
	if (directory_has(&there, base, name, err))
		return -1;
	return there ? copy_file(directory, base, name, err) : 0;
}

/* The base's generation_config.json with other ids to end at. */
static int save_generation(const char *directory, const char *base, const struct stop_ids *stop, struct err *err)
{
	static const char name[] = "generation_config.json";
	size_t n = 0;
	bool there;
	if (directory_has(&there, base, name, err))
		return -1;
	char *text = there ? directory_read(base, name, 1 << 20, &n, err) : NULL;
	struct json *doc = text ? json_parse(text, n, NULL, err) : NULL;
	char *path = doc || !there ? tree_join(directory, name, err) : NULL;
	struct json_writer w;
	int rc = -1;
	if (path) {
		json_writer_init(&w, 2);
		put_members(&w, doc, stop, err);
		rc = json_save(&w, path, 0666, err);
	}
	json_free(doc);
	free(path);
	free(text);
	return rc;
}

/* Before the weights. */
static int copy_companions(const char *directory, const char *base, const struct model_config *config, struct err *err)
{
	for (size_t i = 0; i < sizeof companions / sizeof *companions; i++)
		if (copy_companion(directory, base, companions[i], err))
			return -1;
	if (config->stop_added)
		return save_generation(directory, base, &config->stop, err);
	return copy_companion(directory, base, "generation_config.json", err);
}

/* ---- an adapter into its base ------------------------------------------------------ */

struct merging {
	struct shards *shards;
	const struct adapter *adapter;
	struct device *dev;
};

/* The adapter of a tensor "model.layers.L.PART.weight", or NULL. */
static const struct lora *adapter_of(const struct adapter *a, const char *name)
{
	char path[96];
	for (int64_t i = 0; i < a->model->config.num_hidden_layers * MODULES; i++) {
		module_path(path, sizeof path, i / MODULES, (int)(i % MODULES));
		size_t n = strlen(path);
		if (!strncmp(name, path, n) && !strcmp(name + n, ".weight"))
			return view_present(a->lora[i].a) ? &a->lora[i] : NULL;
	}
	return NULL;
}

/* rows of W and their part of B: out = W + scale B A. */
static int merge_rows(struct merging *m, const struct lora *lora, const struct tensor_spec *tensor, int64_t row,
		      int64_t rows, void *out, struct err *err)
{
	const struct kernels *k = m->dev->k;
	struct lora part = *lora;
	part.b = view_rows(lora->b, row, rows);
	struct buffer *buffer = k->alloc(m->dev, (size_t)(rows * tensor->shape[1]) * dtype_size(tensor->dtype));
	if (buffer) {
		struct view w = view_of(buffer, rows, tensor->shape[1], tensor->dtype);
		k->upload(m->dev, w, out);
		k->merge(m->dev, w, w, &part);
		k->download(m->dev, out, w);
	}
	int rc = device_finish(m->dev, ERR_MEMORY, err);
	if (buffer)
		k->free(m->dev, buffer);
	return rc;
}

static int give_merged(void *context, const struct tensor_spec *tensor, int64_t row, int64_t rows, void *out,
		       struct err *err)
{
	struct merging *m = context;
	struct tensor_info info;
	const struct lora *lora = adapter_of(m->adapter, tensor->name);
	if (!shards_find(m->shards, tensor->name, &info))
		return err_set(err, ERR_INTERNAL, "no tensor '%s'", tensor->name);
	if (!info.weight)
		return tensor_read_bytes(&info, row, rows, out, err);
	if (tensor_read(&info, row, rows, out, err))
		return -1;
	return lora ? merge_rows(m, lora, tensor, row, rows, out, err) : 0;
}

static void list_tensors(struct shards *shards, struct tensor_spec *specs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct tensor_info info;
		shards_get(shards, i, &info);
		specs[i] = (struct tensor_spec){.name = info.name, .dtype = info.dtype, .rank = info.rank,
						.type = info.weight ? NULL : info.type};
		memcpy(specs[i].shape, info.shape, sizeof info.shape);
	}
}

/* Merging takes scratch by the width of the widest matrix. */
static void reserve_scratch(const struct model *model)
{
	const struct model_config *c = &model->config;
	const struct shape shape = {.rows = 1, .hidden = c->hidden_size, .heads = c->num_attention_heads,
				    .kv_heads = c->num_key_value_heads, .head_dim = c->head_dim,
				    .ffn = c->intermediate_size, .vocab = c->vocab_size, .rank = model_rank(model)};
	const struct kernels *k = model->dev->k;
	k->reserve(model->dev, k->scratch_bytes(model->dev, OP_merge, &shape));
}

int export_merged(const char *directory, const char *base, const struct adapter *adapter, struct err *err)
{
	struct merging m = {shards_open(base, err), adapter, adapter->model->dev};
	if (!m.shards)
		return -1;
	reserve_scratch(adapter->model);
	size_t n = shards_count(m.shards);
	struct tensor_spec *specs = mem_array(n, sizeof *specs, err);
	if (specs)
		list_tensors(m.shards, specs, n);
	int rc = !specs || copy_companions(directory, base, &adapter->model->config, err) ||
				 safetensors_save_shards(directory, specs, n, shard_bytes, give_merged, &m, err) ||
				 copy_file(directory, base, "config.json", err)
			 ? -1 : 0;
	free(specs);
	shards_close(m.shards);
	return rc;
}

/* ---- trained weights ------------------------------------------------------------------ */

/* Rows of the parameter rounded to the tensor's dtype, on the device. */
static int give_trained(void *context, const struct tensor_spec *tensor, int64_t row, int64_t rows, void *out,
			struct err *err)
{
	const struct parameters *params = context;
	struct device *dev = params->dev;
	size_t i = 0;
	while (strcmp(params->list[i].name, tensor->name))
		i++;
	const struct parameter *x = &params->list[i];
	struct view from = x->vector ? view_cols(x->p, row, rows) : view_rows(x->p, row, rows);
	struct buffer *buffer = dev->k->alloc(dev, (size_t)(from.rows * from.cols) * dtype_size(tensor->dtype));
	if (buffer) {
		struct view to = view_of(buffer, from.rows, from.cols, tensor->dtype);
		dev->k->copy(dev, to, from);
		dev->k->download(dev, out, to);
	}
	int rc = device_finish(dev, ERR_MEMORY, err);
	if (buffer)
		dev->k->free(dev, buffer);
	return rc;
}

int export_trained(const char *directory, const char *base, const struct model_config *config,
		   const struct parameters *params, enum dtype dtype, struct err *err)
{
	struct tensor_spec *specs = mem_array(params->n, sizeof *specs, err);
	if (!specs)
		return -1;
	for (size_t i = 0; i < params->n; i++) {
		const struct parameter *x = &params->list[i];
		specs[i] = (struct tensor_spec){.name = x->name, .dtype = dtype, .rank = x->vector ? 1 : 2,
						.shape = {x->p.rows, x->p.cols}};
		if (x->vector)
			specs[i].shape[0] = x->p.cols;
	}
	int rc = copy_companions(directory, base, config, err) ||
				 safetensors_save_shards(directory, specs, params->n, shard_bytes, give_trained,
							 (void *)params, err) ||
				 copy_file(directory, base, "config.json", err)
			 ? -1 : 0;
	free(specs);
	return rc;
}
