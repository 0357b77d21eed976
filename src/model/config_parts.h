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

/* An integer key within [min, max]; absent or null gives `fallback`, or fails where that is below min. */
int config_integer(struct json_value root, const char *key, int64_t min, int64_t max, int64_t fallback, int64_t *out,
		   struct err *err);

/* config->rope. */
int config_rope(struct model_config *config, struct json_value root, struct err *err);
/* config->sliding_window; needs num_hidden_layers. */
int config_window(struct model_config *config, struct json_value root, enum window_rule rule, struct err *err);

#endif
