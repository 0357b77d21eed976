// SPDX-License-Identifier: Apache-2.0
#include "src/model/config.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/config_parts.h"
#include "src/model/directory.h"

/* A text has its own tree, a value of which may take 800 bytes. */
static const struct json_limits limits = {LIMIT_CONFIG_BYTES, 16, 1 << 16};

int config_integer(struct json_value root, const char *key, int64_t min, int64_t max, int64_t fallback, int64_t *out,
		   struct err *err)
{
	struct json_value value = json_in(root, key);

	if (fallback < min ? json_get_int64(value, out, err) : json_opt_int64(value, fallback, out, err))
		return -1;
	if (*out >= min && *out <= max)
		return 0;
	return err_set(err, ERR_DATA, "'%s' is %lld; it must be %lld to %lld", key, (long long)*out, (long long)min,
		       (long long)max);
}

static int read_sizes(struct model_config *c, struct json_value root, struct err *err)
{
	const struct {
		const char *key;
		int64_t *out, max;
	} sizes[] = {
		{"vocab_size", &c->vocab_size, LIMIT_VOCAB},
		{"hidden_size", &c->hidden_size, LIMIT_HIDDEN},
		{"intermediate_size", &c->intermediate_size, LIMIT_FFN},
		{"num_hidden_layers", &c->num_hidden_layers, LIMIT_LAYERS},
		{"num_attention_heads", &c->num_attention_heads, LIMIT_HEADS},
		{"max_position_embeddings", &c->max_position_embeddings, LIMIT_POSITIONS},
	};

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		if (config_integer(root, sizes[i].key, 1, sizes[i].max, 0, sizes[i].out, err))
			return -1;
	return 0;
}

static int read_heads(struct model_config *c, const struct architecture *a, struct json_value root, struct err *err)
{
	int64_t heads = c->num_attention_heads, head_dim = a->head_dim;

	if (config_integer(root, "num_key_value_heads", 1, LIMIT_HEADS, heads, &c->num_key_value_heads, err))
		return -1;
	if (heads % c->num_key_value_heads)
		return err_set(err, ERR_DATA,
			       "'num_key_value_heads' is %lld; it must divide 'num_attention_heads', %lld",
			       (long long)c->num_key_value_heads, (long long)heads);
	if (!head_dim) {
		if (!config_given(json_in(root, "head_dim")) && c->hidden_size % heads)
			return err_set(err, ERR_DATA,
				       "'num_attention_heads' is %lld; without 'head_dim' it must divide "
				       "'hidden_size', %lld",
				       (long long)heads, (long long)c->hidden_size);
		head_dim = c->hidden_size / heads;
	}
	if (config_integer(root, "head_dim", 1, LIMIT_HEAD_DIM, head_dim, &c->head_dim, err))
		return -1;
	return c->head_dim % 2 ? err_set(err, ERR_DATA, "'head_dim' is %lld; it must be even", (long long)c->head_dim)
			       : 0;
}

static int read_norm(struct model_config *c, struct json_value root, struct err *err)
{
	if (json_opt_double(json_in(root, "rms_norm_eps"), 1e-6, &c->rms_norm_eps, err))
		return -1;
	if (c->rms_norm_eps > 0 && c->rms_norm_eps < 1)
		return 0;
	return err_set(err, ERR_DATA, "'rms_norm_eps' is %g; it must be above 0 and below 1", c->rms_norm_eps);
}

static int check_activation(struct json_value root, struct err *err)
{
	const char *name;
	char shown[60];
	size_t n;

	if (json_opt_string(json_in(root, "hidden_act"), "silu", &name, &n, err))
		return -1;
	if (n == 4 && !memcmp(name, "silu", 4))
		return 0;
	return err_set(err, ERR_DATA, "'hidden_act' is '%s'; only silu is supported",
		       text_escape(shown, sizeof shown, name, n));
}

static int read_switches(struct model_config *c, const struct architecture *a, struct json_value root, struct err *err)
{
	bool bias;

	if (json_opt_bool(json_in(root, "attention_bias"), false, &bias, err) ||
	    json_opt_bool(json_in(root, "tie_word_embeddings"), false, &c->tie_word_embeddings, err))
		return -1;
	if (bias && !a->attention_bias)
		return err_set(err, ERR_DATA, "'attention_bias' is true; %s has no such key", a->name);
	c->qkv_bias = a->qkv_bias || bias;
	c->o_bias = bias;
	c->qk_norm = a->qk_norm;
	return 0;
}

static int read_dtype(struct model_config *c, struct json_value root, struct err *err)
{
	static const struct {
		const char *name;
		enum dtype dtype;
	} known[] = {{"float32", DTYPE_F32}, {"bfloat16", DTYPE_BF16}, {"float16", DTYPE_F16}};
	struct json_value value = json_in(root, config_given(json_in(root, "dtype")) ? "dtype" : "torch_dtype");
	const char *name;
	char shown[60];
	size_t n;

	if (!config_given(value))
		return 0;
	if (json_get_string(value, &name, &n, err))
		return -1;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strlen(known[i].name) == n && !memcmp(known[i].name, name, n)) {
			c->has_dtype = true;
			c->dtype = known[i].dtype;
			return 0;
		}
	return err_set(err, ERR_DATA, "dtype '%s' is not supported; known are float32, bfloat16 and float16",
		       text_escape(shown, sizeof shown, name, n));
}

static int read_stop_id(struct stop_ids *ids, struct json_value value, int64_t vocab, struct err *err)
{
	int64_t id;

	if (json_get_int64(value, &id, err))
		return -1;
	if (id < 0 || id >= vocab)
		return err_set(err, ERR_DATA, "'eos_token_id' holds %lld; ids must be 0 to %lld", (long long)id,
			       (long long)vocab - 1);
	ids->id[ids->n++] = id;
	return 0;
}

/* eos_token_id: absent, null, a number, or a list of them. */
static int read_stop_ids(struct stop_ids *ids, struct json_value root, int64_t vocab, struct err *err)
{
	struct json_value value = json_in(root, "eos_token_id");
	size_t n;

	ids->n = 0;
	if (!config_given(value))
		return 0;
	if (json_kind(value) != JSON_ARRAY)
		return read_stop_id(ids, value, vocab, err);
	if (json_get_length(value, &n, err))
		return -1;
	if (n > LIMIT_STOP_IDS)
		return err_set(err, ERR_DATA, "'eos_token_id' has %zu items; the limit is %d", n, LIMIT_STOP_IDS);
	for (size_t i = 0; i < n; i++)
		if (read_stop_id(ids, json_at(value, i), vocab, err))
			return -1;
	return 0;
}

static int read_ids(struct model_config *c, struct json_value root, struct err *err)
{
	if (read_stop_ids(&c->eos, root, c->vocab_size, err))
		return -1;
	c->stop = c->eos;
	return config_integer(root, "bos_token_id", -1, c->vocab_size - 1, -1, &c->bos_token_id, err);
}

static int read_all(struct model_config *c, struct json_value root, struct err *err)
{
	const struct architecture *a;

	if (json_expect(root, JSON_OBJECT, err))
		return -1;
	a = config_architecture(root, err);
	if (!a)
		return -1;
	c->architecture = a->name;
	if (read_sizes(c, root, err) || read_heads(c, a, root, err) || read_norm(c, root, err) ||
	    check_activation(root, err) || read_switches(c, a, root, err) || config_rope(c, root, err) ||
	    config_window(c, root, a->window, err) || read_dtype(c, root, err))
		return -1;
	return read_ids(c, root, err);
}

int model_config_parse(struct model_config *config, const char *text, size_t n, struct err *err)
{
	struct json *doc = json_parse(text, n, &limits, err);
	int result;

	*config = (struct model_config){0};
	if (!doc)
		return -1;
	result = read_all(config, json_root(doc), err);
	json_free(doc);
	if (result)
		return -1;
	config->text = mem_array(n + 1, 1, err);
	if (!config->text)
		return -1;
	memcpy(config->text, text, n);
	config->text_n = n;
	return 0;
}

int model_config_parse_generation(struct model_config *config, const char *text, size_t n, struct err *err)
{
	struct json *doc = json_parse(text, n, &limits, err);
	struct stop_ids ids = {.n = 0};
	int result;

	if (!doc)
		return -1;
	result = json_expect(json_root(doc), JSON_OBJECT, err);
	if (!result)
		result = read_stop_ids(&ids, json_root(doc), config->vocab_size, err);
	json_free(doc);
	if (!result && ids.n)
		config->stop = ids;
	return result;
}

void model_config_stop_at(struct model_config *config, int64_t id)
{
	struct stop_ids *stop = &config->stop;

	for (size_t i = 0; i < stop->n; i++)
		if (stop->id[i] == id)
			return;
	if (stop->n == LIMIT_STOP_IDS)
		return;
	stop->id[stop->n++] = id;
	config->stop_added = true;
}

/* Read one file and hand its text to `parse`. */
static int load(struct model_config *config, const char *directory, const char *name,
		int (*parse)(struct model_config *config, const char *text, size_t n, struct err *err), struct err *err)
{
	size_t n;
	char *text = directory_read(directory, name, LIMIT_CONFIG_BYTES, &n, err);
	int result;

	if (!text)
		return -1;
	result = parse(config, text, n, err);
	free(text);
	return result ? err_prefix(err, "%s/%s", directory, name) : 0;
}

int model_config_load(struct model_config *config, const char *directory, struct err *err)
{
	static const char generation[] = "generation_config.json";
	bool has;

	*config = (struct model_config){0};
	if (directory_check(directory, err) || load(config, directory, "config.json", model_config_parse, err))
		return -1;
	if (!directory_has(&has, directory, generation, err) &&
	    (!has || !load(config, directory, generation, model_config_parse_generation, err)))
		return 0;
	model_config_release(config);
	return -1;
}

void model_config_release(struct model_config *config)
{
	free(config->text);
	*config = (struct model_config){0};
}
