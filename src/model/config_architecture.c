// SPDX-License-Identifier: Apache-2.0
/* Which architecture a config.json is of, and what no student here may have. */
#include <string.h>

#include "src/base/text.h"
#include "src/model/config_parts.h"

static const struct architecture architectures[] = {
	{"LlamaForCausalLM", "llama", false, true, false, WINDOW_NEVER, 0},
	{"MistralForCausalLM", "mistral", false, false, false, WINDOW_ALWAYS, 0},
	{"Qwen2ForCausalLM", "qwen2", true, false, false, WINDOW_SWITCH, 0},
	{"Qwen3ForCausalLM", "qwen3", false, true, true, WINDOW_SWITCH, 128},
};
enum { ARCHITECTURES = sizeof architectures / sizeof architectures[0] };

static const struct architecture *find_architecture(const char *name, size_t n, bool by_type)
{
	for (size_t i = 0; i < ARCHITECTURES; i++) {
		const char *known = by_type ? architectures[i].model_type : architectures[i].name;
		if (strlen(known) == n && !memcmp(known, name, n))
			return &architectures[i];
	}
	return NULL;
}

/* architectures: ["LlamaForCausalLM"], or only model_type: "llama". */
static const struct architecture *read_architecture(struct json_value root, struct err *err)
{
	struct json_value list = json_in(root, "architectures"), value = json_in(root, "model_type");
	const struct architecture *found;
	bool by_type = !config_given(list);
	const char *name;
	char shown[80];
	size_t n;

	if (!by_type) {
		if (json_get_length(list, &n, err))
			return NULL;
		if (n != 1) {
			err_set(err, ERR_DATA, "'architectures' has %zu items; it must have one", n);
			return NULL;
		}
		value = json_at(list, 0);
	}
	if (json_get_string(value, &name, &n, err))
		return NULL;
	found = find_architecture(name, n, by_type);
	if (!found)
		err_set(err, ERR_DATA,
			"%s '%s' is not supported; known are Llama, Mistral, Qwen2 and Qwen3 ForCausalLM",
			by_type ? "model type" : "architecture", text_escape(shown, sizeof shown, name, n));
	return found;
}

static int check_model_type(const struct architecture *a, struct json_value root, struct err *err)
{
	const char *name;
	char shown[80];
	size_t n;

	if (json_opt_string(json_in(root, "model_type"), a->model_type, &name, &n, err))
		return -1;
	if (strlen(a->model_type) == n && !memcmp(a->model_type, name, n))
		return 0;
	return err_set(err, ERR_DATA, "'model_type' is '%s', which is not that of %s, '%s'",
		       text_escape(shown, sizeof shown, name, n), a->name, a->model_type);
}

/* Absent, null, false and 0 switch a feature off. */
static bool is_off(struct json_value value)
{
	struct err err;
	int64_t number = 0;
	bool on = false;

	if (!config_given(value))
		return true;
	if (json_kind(value) == JSON_BOOL)
		return !json_get_bool(value, &on, &err) && !on;
	return json_kind(value) == JSON_INTEGER && !json_get_int64(value, &number, &err) && !number;
}

static int refuse_features(struct json_value root, struct err *err)
{
	static const struct {
		const char *key, *what;
	} refused[] = {
		{"quantization_config", "quantised weights are"}, {"compression_config", "quantised weights are"},
		{"num_local_experts", "a mixture of experts is"}, {"num_experts", "a mixture of experts is"},
		{"n_routed_experts", "a mixture of experts is"},  {"mlp_bias", "a bias in the MLP is"},
		{"is_encoder_decoder", "an encoder is"},          {"add_cross_attention", "cross attention is"},
	};

	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		if (!is_off(json_in(root, refused[i].key)))
			return err_set(err, ERR_DATA, "'%s' is set; %s not supported", refused[i].key, refused[i].what);
	return 0;
}

const struct architecture *config_architecture(struct json_value root, struct err *err)
{
	const struct architecture *a = read_architecture(root, err);

	return a && !check_model_type(a, root, err) && !refuse_features(root, err) ? a : NULL;
}
