// SPDX-License-Identifier: Apache-2.0
/* PEFT directories: adapter_config.json and adapter_model.safetensors. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonfile.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/base/tree.h"
#include "src/model/adapter.h"
#include "src/model/directory.h"
#include "src/model/safetensors.h"

static const char config_name[] = "adapter_config.json", tensors_name[] = "adapter_model.safetensors";

/* ---- adapter_config.json, read ------------------------------------------------------ */

/* Keys that say nothing about the arithmetic of a trained adapter, and those read below. */
static const char *const harmless[] = {
	"task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision",
	"inference_mode", "r", "target_modules", "lora_alpha", "lora_dropout", "use_rslora", "bias",
	"init_lora_weights", "megatron_core", "qalora_group_size", "layers_pattern", NULL,
};

static bool listed(const char *const list[], const char *word)
{
	while (*list && strcmp(*list, word))
		list++;
	return *list != NULL;
}

/* null, false, [] and {} switch nothing on. */
static bool is_off(struct json_value value)
{
	bool on = true;
	size_t n = 1;
	struct json_iter it;
	struct err ignored;
	switch (json_kind(value)) {
	case JSON_ABSENT:
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return !json_get_bool(value, &on, &ignored) && !on;
	case JSON_ARRAY:
		return !json_get_length(value, &n, &ignored) && n == 0;
	case JSON_OBJECT:
		return !json_members(value, &it, &ignored) && !json_next(&it);
	default:
		return false;
	}
}

static int check_members(struct json_value root, struct err *err)
{
	struct json_iter it;
	char shown[128];
	if (json_members(root, &it, err))
		return -1;
	while (json_next(&it))
		if (!listed(harmless, it.key) && !is_off(it.value))
			return err_set(err, ERR_DATA, "'%s' is set; this program runs plain LoRA adapters only",
				       text_escape(shown, sizeof shown, it.key, strlen(it.key)));
	return 0;
}

/* A word that must be one of at most two. */
static int expect_word(struct json_value root, const char *key, const char *wanted, struct err *err)
{
	const char *word;
	char shown[128];
	if (json_opt_string(json_in(root, key), wanted, &word, NULL, err))
		return -1;
	return !strcmp(word, wanted) ? 0
				     : err_set(err, ERR_DATA, "'%s' is '%s'; only '%s' is known", key,
					       text_escape(shown, sizeof shown, word, strlen(word)), wanted);
}

bool adapter_keeps_base(const char *init)
{
	static const char *const kinds[] = {"gaussian", "eva", "orthogonal", NULL};
	return listed(kinds, init);
}

/* PEFT writes true, false or a kind. */
static int check_init(struct json_value init, struct err *err)
{
	const char *word;
	if (json_kind(init) != JSON_STRING)
		return 0;
	if (json_get_string(init, &word, NULL, err))
		return -1;
	return adapter_keeps_base(word) ? 0
					: err_set(err, ERR_DATA,
						  "'init_lora_weights' names a kind that changes the base weights");
}

/* target_modules: modules of all layers by their names, and of single layers by their paths. */
struct targets {
	unsigned all, of[LIMIT_LAYERS]; /* as in adapter_config */
	int64_t layers;                 /* one more than the last that a path names */
};

/* "model.layers.1.mlp.down_proj" */
static bool add_path(struct targets *targets, const char *path, size_t n)
{
	char known[128];
	long long layer = -1;
	if (sscanf(path, "model.layers.%4lld", &layer) != 1 || layer < 0 || layer >= LIMIT_LAYERS)
		return false;
	for (int module = 0; module < MODULES; module++) {
		module_path(known, sizeof known, layer, module);
		if (strlen(known) != n || memcmp(known, path, n))
			continue;
		targets->of[layer] |= 1u << module;
		targets->layers = layer < targets->layers ? targets->layers : layer + 1;
		return true;
	}
	return false;
}

/* Paths are fine where they name the same modules in every layer. */
static int take_targets(struct adapter_config *c, const struct targets *targets, struct err *err)
{
	c->targets = targets->all | targets->of[0];
	c->layers = targets->layers;
	for (int64_t layer = 1; layer < c->layers; layer++)
		if ((targets->all | targets->of[layer]) != c->targets)
			return err_set(err, ERR_DATA,
				       "'target_modules' names other modules of layer %lld than of layer 0; "
				       "only adapters that are the same in all layers are run", (long long)layer);
	return 0;
}

static int check_layers(const struct adapter_config *c, const struct model *model, struct err *err)
{
	int64_t layers = model->config.num_hidden_layers;
	return !c->layers || c->layers == layers
		       ? 0 : err_set(err, ERR_DATA,
				     "'target_modules' names modules of %lld of the model's %lld layers; "
				     "only adapters that are the same in all layers are run", (long long)c->layers, (long long)layers);
}

static int read_targets(struct json_value list, struct adapter_config *c, struct err *err)
{
	struct targets targets = {0};
	size_t n, bytes;
	const char *name;
	char shown[128];
	if (json_get_length(list, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (json_get_string(json_at(list, i), &name, &bytes, err))
			return -1;
		unsigned bit = adapter_target(name, bytes);
		if (bit == TARGETS_ALL_LINEAR || (!bit && !add_path(&targets, name, bytes)))
			return err_set(err, ERR_DATA, "'target_modules' holds '%s'; known are the seven of a layer, q_proj to down_proj",
				       text_escape(shown, sizeof shown, name, bytes));
		targets.all |= bit;
	}
	return take_targets(c, &targets, err);
}

static int read_config(struct adapter_config *c, struct json_value root, struct err *err)
{
	*c = (struct adapter_config){0};
	return check_members(root, err) || json_expect(json_in(root, "peft_type"), JSON_STRING, err) ||
			       expect_word(root, "peft_type", "LORA", err) || expect_word(root, "bias", "none", err) ||
			       expect_word(root, "task_type", "CAUSAL_LM", err) ||
			       check_init(json_in(root, "init_lora_weights"), err) ||
			       json_get_int64(json_in(root, "r"), &c->r, err) ||
			       json_get_double(json_in(root, "lora_alpha"), &c->alpha, err) ||
			       json_opt_double(json_in(root, "lora_dropout"), 0, &c->dropout, err) ||
			       json_opt_bool(json_in(root, "use_rslora"), false, &c->use_rslora, err) ||
			       read_targets(json_in(root, "target_modules"), c, err)
		       ? -1 : 0;
}

/* Keys that change the arithmetic are refused. */
static int load_config(struct adapter_config *config, const char *directory, struct err *err)
{
	size_t n;
	char *text = directory_check(directory, err) ? NULL
						     : directory_read(directory, config_name, LIMIT_CONFIG_BYTES, &n, err);
	if (!text)
		return -1;
	struct json *doc = json_parse(text, n, NULL, err);
	int rc = doc ? read_config(config, json_root(doc), err) : -1;
	json_free(doc);
	free(text);
	return rc ? err_prefix(err, "%s/%s", directory, config_name) : 0;
}

/* ---- tensors, read -------------------------------------------------------------------- */

struct adapter *adapter_load(struct model *model, const char *directory, struct err *err)
{
	struct adapter_config config;
	if (load_config(&config, directory, err))
		return NULL;
	struct adapter *a = check_layers(&config, model, err) ? NULL : adapter_new(model, &config, err);
	if (!a) {
		err_prefix(err, "%s/%s", directory, config_name);
		return NULL;
	}
	struct parameters names;
	parameters_init(&names, model->dev);
	char *path = tree_join(directory, tensors_name, err);
	int rc = !path || adapter_add(a, &names, err) || parameters_load(&names, PARAMETER_VALUES, path, err) ? -1 : 0;
	parameters_release(&names);
	free(path);
	if (!rc)
		return a;
	directory_blame(err);
	adapter_free(a);
	return NULL;
}

/* ---- both, written ------------------------------------------------------------------------ */

static void put_none(struct json_writer *w, const char *key)
{
	json_put_key(w, key);
	json_put_null(w);
}

static void put_targets(struct json_writer *w, unsigned targets)
{
	json_put_key(w, "target_modules");
	json_begin_array(w);
	for (int i = 0; i < MODULES; i++)
		if (targets >> i & 1)
			json_put_string(w, module_names[i], strlen(module_names[i]));
	json_end_array(w);
}

/*
 * Loaders that know no rsLoRA (llama.cpp) divide alpha by r whatever
 * use_rslora says, so an rsLoRA adapter is written as the plain one of
 * alpha * sqrt(r), which has the same scale.
 */
double adapter_plain_alpha(const struct adapter_config *c)
{
	return c->use_rslora ? c->alpha * sqrt((double)c->r) : c->alpha;
}

/* The keys every loader knows. */
static void put_config(struct json_writer *w, const struct adapter_config *c, const char *base)
{
	json_begin_object(w);
	json_member_text(w, "peft_type", "LORA");
	json_member_text(w, "task_type", "CAUSAL_LM");
	json_member_text(w, "base_model_name_or_path", base);
	put_none(w, "revision");
	json_put_key(w, "r");
	json_put_int(w, c->r);
	json_put_key(w, "lora_alpha");
	double alpha = adapter_plain_alpha(c);
	if (alpha == floor(alpha) && alpha < 1e15)
		json_put_int(w, (int64_t)alpha);
	else
		json_put_double(w, alpha);
	json_put_key(w, "lora_dropout");
	json_put_double(w, c->dropout);
	put_targets(w, c->targets);
	json_member_text(w, "bias", "none");
	json_member_bool(w, "fan_in_fan_out", false);
	json_member_bool(w, "inference_mode", true);
	json_member_bool(w, "init_lora_weights", true);
	put_none(w, "modules_to_save");
	json_end_object(w);
}

static int save_config(const struct adapter_config *config, const char *path, const char *base, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 2);
	put_config(&w, config, base);
	return json_save(&w, path, 0666, err);
}

/* By its full path, where that can stand in JSON. */
static const char *base_name(const char *full, const char *given)
{
	if (full && text_utf8_valid(full, strlen(full)) == strlen(full))
		return full;
	return text_utf8_valid(given, strlen(given)) == strlen(given) ? given : "";
}

int adapter_save(const struct adapter *a, const char *directory, const char *base, struct err *err)
{
	struct parameters names;
	char found[PATH_MAX];
	parameters_init(&names, a->model->dev);
	char *tensors = tree_join(directory, tensors_name, err);
	char *config = tensors ? tree_join(directory, config_name, err) : NULL;
	int rc = !config || adapter_add((struct adapter *)a, &names, err) || parameters_save(&names, PARAMETER_VALUES, tensors, err) ||
				 save_config(&a->config, config, base_name(realpath(base, found), base), err)
			 ? -1 : 0;
	parameters_release(&names);
	free(tensors);
	free(config);
	return rc;
}
