// SPDX-License-Identifier: Apache-2.0
/* config_parts.h - keys of config.json that need more than a range; private to config*.c. */
#ifndef BALDISTILL_MODEL_CONFIG_PARTS_H
#define BALDISTILL_MODEL_CONFIG_PARTS_H

#include "src/base/jsonio.h"
#include "src/model/config.h"

/* Which layers of an architecture have a sliding window. */
enum window_rule {
	WINDOW_NEVER,
	WINDOW_ALWAYS, /* Mistral: all, where sliding_window is a number */
	WINDOW_SWITCH, /* Qwen: where use_sliding_window is true, those from max_window_layers on */
};

/* What an architecture has and its config.json need not say. */
struct architecture {
	const char *name, *model_type;
	bool qkv_bias;       /* always has biases of q, k, v */
	bool attention_bias; /* has biases of q, k, v, o where that key is true */
	bool qk_norm;
	enum window_rule window;
	int64_t head_dim; /* where the key is absent; 0: hidden_size / num_attention_heads */
};

/* Neither absent nor null. */
static inline bool config_given(struct json_value value)
{
	return json_kind(value) != JSON_ABSENT && json_kind(value) != JSON_NULL;
}

/* An integer key within [min, max]; absent or null gives `fallback`, or fails where that is below min. */
int config_integer(struct json_value root, const char *key, int64_t min, int64_t max, int64_t fallback, int64_t *out,
		   struct err *err);

/* By architectures or model_type, which must agree; NULL where it is not supported, or a feature it has is not. */
const struct architecture *config_architecture(struct json_value root, struct err *err);

/* config->rope. */
int config_rope(struct model_config *config, struct json_value root, struct err *err);
/* config->sliding_window; needs num_hidden_layers. */
int config_window(struct model_config *config, struct json_value root, enum window_rule rule, struct err *err);

#endif
