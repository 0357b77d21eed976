// SPDX-License-Identifier: Apache-2.0
#include "src/cmd/adapter_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/base/tree.h"
#include "src/model/adapter.h"
#include "src/model/directory.h"
#include "src/model/safetensors.h"

static void keep_first(char *room, size_t size, const char *name)
{
	if (!*room)
		text_escape_line(room, size, name, strlen(name));
}

/* ---- names ---------------------------------------------------------------------------- */

static const char prefix[] = "base_model.model.";

static bool ends_with(const char *name, size_t n, const char *end)
{
	size_t length = strlen(end);
	return n >= length && !memcmp(name + n - length, end, length);
}

/* "base_model.model.PATH.lora_A.weight": the letter, and PATH; or 0. */
static char letter_of(const char *name, const char **path, size_t *path_n)
{
	static const char end[] = ".lora_A.weight";
	size_t n = strlen(name);
	if (strncmp(name, prefix, sizeof prefix - 1) || n < sizeof prefix + sizeof end)
		return 0;
	const char *tail = name + n - (sizeof end - 1);
	char letter = tail[6];
	*path = name + sizeof prefix - 1;
	*path_n = (size_t)(tail - *path);
	return !strncmp(tail, ".lora_", 6) && (letter == 'A' || letter == 'B') && !strcmp(tail + 7, ".weight") ? letter : 0;
}

/* Whether a module is one of those that a list names: by its path, or by the end of it after a dot. */
static bool is_named(struct json_value list, const char *path, size_t path_n)
{
	const char *name;
	size_t n = 0, items = 0;
	if (json_get_length(list, &items, NULL))
		return false;
	for (size_t i = 0; i < items; i++)
		if (!json_get_string(json_at(list, i), &name, &n, NULL) && ends_with(path, path_n, name) &&
		    (n == path_n || path[path_n - n - 1] == '.'))
			return true;
	return false;
}

/* The last number of a path, which PEFT takes for the layer's; -1: none. */
static int64_t layer_of(const char *path, size_t path_n)
{
	int64_t layer = -1;
	for (size_t at = 0, n; at < path_n; at += n + 1) {
		n = strcspn(path + at, ".");
		if (n && n < 10 && strspn(path + at, "0123456789") == n)
			layer = strtoll(path + at, NULL, 10);
	}
	return layer;
}

/* layers_to_transform, a number or a list; an empty one, or none, stands for all layers. */
static bool in_layers(struct json_value layers, int64_t layer)
{
	int64_t number;
	size_t items = 0;
	if (!json_get_int64(layers, &number, NULL))
		return number == layer;
	if (json_get_length(layers, &items, NULL))
		return true;
	for (size_t i = 0; i < items; i++)
		if (!json_get_int64(json_at(layers, i), &number, NULL) && number == layer)
			return true;
	return items == 0;
}

/*
 * Why PEFT would make no pair for a module, or NULL: it passes over its tensors then, and others do not. An expression
 * in Python's syntax, or all-linear, is not tried.
 */
static const char *left_out(const struct adapter_facts *f, const char *path, size_t path_n)
{
	if (json_kind(f->targets) != JSON_STRING && !is_named(f->targets, path, path_n))
		return "of a module that target_modules does not name";
	if (is_named(f->excluded, path, path_n))
		return "of a module that exclude_modules names";
	return in_layers(f->layers, layer_of(path, path_n)) ? NULL : "of a layer that layers_to_transform does not name";
}

/* modules_to_save names a module by any end of its path, also within a word: "norm" is every layer's input_layernorm. */
static bool is_saved(const struct adapter_facts *f, const char *path, size_t path_n)
{
	const char *end;
	size_t items = 0;
	if (json_get_length(f->saved, &items, NULL))
		return false;
	for (size_t i = 0; i < items; i++)
		if (!json_get_string(json_at(f->saved, i), &end, NULL, NULL) && ends_with(path, path_n, end))
			return true;
	return false;
}

/* What PEFT writes beside A and B: biases, magnitudes, whole modules, and embeddings that have grown or are targets. */
static bool is_listed(const struct adapter_facts *f, const char *name)
{
	if (strncmp(name, prefix, sizeof prefix - 1))
		return false;
	for (const char *dot = name; (dot = strchr(dot, '.')); dot++)
		if (is_saved(f, name, (size_t)(dot - name)))
			return true;
	return (f->biases && ends_with(name, strlen(name), ".bias")) ||
	       (f->lora_biases && ends_with(name, strlen(name), ".lora_B.bias")) ||
	       (f->dora && strstr(name, ".lora_magnitude_vector")) || strstr(name, ".embed_tokens.") ||
	       strstr(name, ".lm_head.");
}

/* ---- reading ------------------------------------------------------------------------- */

static bool has_pair(const struct safetensors *file, const char *name, char letter)
{
	char other[LIMIT_NAME_BYTES + 1];
	struct tensor_info info;
	size_t n = strlen(name);
	snprintf(other, sizeof other, "%s", name);
	other[n - sizeof "A.weight" + 1] = letter == 'A' ? 'B' : 'A';
	return safetensors_find(file, other, &info);
}

static void look_at_pair(struct adapter_facts *f, const struct safetensors *file, const char *name, char letter, const char *why)
{
	struct tensor_info info;
	char shown[200];
	safetensors_find(file, name, &info);
	int64_t rank = info.rank == 2 ? info.shape[letter == 'A' ? 0 : 1] : -1;
	f->pairs++;
	if (f->fault[0])
		return;
	text_escape_line(shown, sizeof shown, name, strlen(name));
	if (!has_pair(file, name, letter))
		snprintf(f->fault, sizeof f->fault, "tensor '%s' has no partner", shown);
	else if (why)
		snprintf(f->fault, sizeof f->fault, "tensor '%s' is %s", shown, why);
	else if (rank != f->r && !f->ranks)
		snprintf(f->fault, sizeof f->fault, "tensor '%s' has rank %lld, adapter_config.json says %lld", shown,
			 (long long)rank, (long long)f->r);
}

static void look_at(struct adapter_facts *f, const struct safetensors *file, const char *name)
{
	static const char layers[] = "model.layers.";
	const char *path;
	size_t path_n;
	char letter = letter_of(name, &path, &path_n);
	if (!letter || strncmp(path, layers, sizeof layers - 1))
		keep_first(f->outside, sizeof f->outside, name);
	if (letter) {
		look_at_pair(f, file, name, letter, left_out(f, path, path_n));
		return;
	}
	keep_first(f->unpaired, sizeof f->unpaired, name);
	if (!is_listed(f, name))
		keep_first(f->unlisted, sizeof f->unlisted, name);
}

static bool is_on(struct json_value root, const char *key)
{
	bool on = false;
	return !json_opt_bool(json_in(root, key), false, &on, NULL) && on;
}

static bool has_members(struct json_value object)
{
	struct json_iter it;
	return json_kind(object) == JSON_OBJECT && !json_members(object, &it, NULL) && json_next(&it);
}

/* peft_type, and target_modules, without which there is nothing to load. */
static int read_kind(struct adapter_facts *f, struct json_value root, struct err *err)
{
	const char *kind;
	size_t n;
	char shown[60];
	if (json_opt_string(json_in(root, "peft_type"), "", &kind, &n, err))
		return -1;
	f->targets = json_in(root, "target_modules");
	f->excluded = json_in(root, "exclude_modules");
	f->layers = json_in(root, "layers_to_transform");
	f->saved = json_in(root, "modules_to_save");
	if (strcmp(kind, "LORA"))
		snprintf(f->fault, sizeof f->fault, "peft_type is '%s', not 'LORA'",
			 text_escape_line(shown, sizeof shown, kind, n));
	else if (json_kind(f->targets) != JSON_STRING && json_kind(f->targets) != JSON_ARRAY)
		snprintf(f->fault, sizeof f->fault, "target_modules is missing");
	return 0;
}

static bool has_items(struct json_value list)
{
	size_t n = 0;
	return !json_get_length(list, &n, NULL) && n;
}

/* PEFT changes the base as it makes such an adapter, and again as it loads it; for others it is one of another base. */
static void read_init(struct adapter_facts *f, struct json_value init)
{
	const char *kind;
	size_t n;
	if (json_kind(init) == JSON_STRING && !json_get_string(init, &kind, &n, NULL) && !adapter_keeps_base(kind))
		text_escape_line(f->init, sizeof f->init, kind, n);
}

static int read_config(struct adapter_facts *f, struct json_value root, struct err *err)
{
	const char *bias = "none";
	double alpha;
	if (read_kind(f, root, err) || json_get_int64(json_in(root, "r"), &f->r, err) ||
	    json_opt_string(json_in(root, "bias"), "none", &bias, NULL, err))
		return -1;
	f->alpha = !json_get_double(json_in(root, "lora_alpha"), &alpha, NULL);
	f->base = json_kind(json_in(root, "base_model_name_or_path")) == JSON_STRING;
	f->rslora = is_on(root, "use_rslora");
	f->dora = is_on(root, "use_dora");
	f->ranks = has_members(json_in(root, "rank_pattern"));
	f->alphas = has_members(json_in(root, "alpha_pattern"));
	f->saves_modules = has_items(f->saved);
	f->biases = strcmp(bias, "none") != 0;
	f->lora_biases = is_on(root, "lora_bias");
	f->replicates = has_items(json_in(root, "layer_replication"));
	read_init(f, json_in(root, "init_lora_weights"));
	return 0;
}

static struct json *open_config(const char *directory, struct err *err)
{
	size_t n;
	char *text = directory_check(directory, err) ? NULL
						     : directory_read(directory, "adapter_config.json", LIMIT_CONFIG_BYTES, &n, err);
	struct json *doc = text ? json_parse(text, n, NULL, err) : NULL;
	free(text);
	return doc;
}

static int read_tensors(struct adapter_facts *f, const char *directory, struct err *err)
{
	char *path = tree_join(directory, "adapter_model.safetensors", err);
	struct safetensors *file = path ? safetensors_open(path, err) : NULL;
	free(path);
	if (!file)
		return directory_blame(err);
	for (size_t i = 0; i < safetensors_count(file); i++)
		look_at(f, file, safetensors_name(file, i));
	safetensors_close(file);
	if (!f->pairs && !f->fault[0])
		snprintf(f->fault, sizeof f->fault, "no tensor is named as '%sPATH.lora_A.weight'", prefix);
	return 0;
}

int adapter_facts_read(struct adapter_facts *f, const char *directory, struct err *err)
{
	*f = (struct adapter_facts){0};
	struct json *doc = open_config(directory, err);
	int rc = !doc || read_config(f, json_root(doc), err) ? err_prefix(err, "%s/adapter_config.json", directory)
							     : read_tensors(f, directory, err);
	json_free(doc);
	return rc;
}
