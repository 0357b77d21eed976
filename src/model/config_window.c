// SPDX-License-Identifier: Apache-2.0
/* Which keys a query may see: everywhere all, or everywhere the latest so many. */
#include <string.h>

#include "src/base/text.h"
#include "src/model/config_parts.h"

enum {
	DEFAULT_WINDOW = 4096, /* of transformers' Mistral and Qwen configurations */
	DEFAULT_WINDOW_LAYERS = 28,
};

/* sliding_window: null is none. */
static int read_size(struct json_value root, int64_t *window, struct err *err)
{
	if (json_kind(json_in(root, "sliding_window")) != JSON_NULL)
		return config_integer(root, "sliding_window", 1, LIMIT_POSITIONS, DEFAULT_WINDOW, window, err);
	*window = 0;
	return 0;
}

/* Qwen without layer_types: layers from max_window_layers on have the window. */
static int read_switch(struct json_value root, int64_t layers, bool by_layer, int64_t *window, struct err *err)
{
	int64_t first;
	bool on;

	*window = 0;
	if (json_opt_bool(json_in(root, "use_sliding_window"), false, &on, err))
		return -1;
	if (!on)
		return 0;
	if (read_size(root, window, err) ||
	    config_integer(root, "max_window_layers", 0, INT64_MAX, DEFAULT_WINDOW_LAYERS, &first, err))
		return -1;
	if (by_layer || !*window || !first)
		return 0;
	if (first >= layers) {
		*window = 0;
		return 0;
	}
	return err_set(err, ERR_DATA,
		       "'use_sliding_window' is true for layers %lld to %lld alone; layers of different kinds "
		       "are not supported",
		       (long long)first, (long long)layers - 1);
}

static int read_layer_type(struct json_value type, bool *sliding, struct err *err)
{
	char shown[60];
	const char *name;
	size_t n;

	if (json_get_string(type, &name, &n, err))
		return -1;
	*sliding = n == strlen("sliding_attention") && !memcmp(name, "sliding_attention", n);
	if (*sliding || (n == strlen("full_attention") && !memcmp(name, "full_attention", n)))
		return 0;
	return err_set(err, ERR_DATA, "'layer_types' has '%s'; supported are full_attention and sliding_attention",
		       text_escape(shown, sizeof shown, name, n));
}

/* All layers must be of one kind; *sliding says which. */
static int read_layer_types(struct json_value types, int64_t layers, bool *sliding, struct err *err)
{
	bool one;
	size_t n;

	if (json_get_length(types, &n, err))
		return -1;
	if (n != (size_t)layers)
		return err_set(err, ERR_DATA, "'layer_types' has %zu items; 'num_hidden_layers' is %lld", n,
			       (long long)layers);
	for (size_t i = 0; i < n; i++) {
		if (read_layer_type(json_at(types, i), i ? &one : sliding, err))
			return -1;
		if (i && one != *sliding)
			return err_set(err, ERR_DATA,
				       "'layer_types' is mixed; layers of different kinds are not supported");
	}
	return 0;
}

static int refuse_window(struct json_value root, struct err *err)
{
	if (!json_is_there(json_in(root, "sliding_window")))
		return 0;
	return err_set(err, ERR_DATA, "'sliding_window' is set; this architecture has none, set it to null");
}

int config_window(struct model_config *config, struct json_value root, enum window_rule rule, struct err *err)
{
	struct json_value types = json_in(root, "layer_types");
	bool by_layer = json_is_there(types), sliding = false;
	int64_t *window = &config->sliding_window, layers = config->num_hidden_layers;

	*window = 0;
	if (rule == WINDOW_NEVER && refuse_window(root, err))
		return -1;
	if (rule == WINDOW_ALWAYS && read_size(root, window, err))
		return -1;
	if (rule == WINDOW_SWITCH && read_switch(root, layers, by_layer, window, err))
		return -1;
	if (!by_layer)
		return 0;
	if (read_layer_types(types, layers, &sliding, err))
		return -1;
	if (sliding && !*window)
		return err_set(err, ERR_DATA,
			       "'layer_types' asks for sliding_attention, but no 'sliding_window' is in force");
	if (!sliding && *window && rule == WINDOW_ALWAYS)
		return err_set(err, ERR_DATA, "'layer_types' asks for full_attention, but 'sliding_window' is %lld",
			       (long long)*window);
	if (!sliding)
		*window = 0;
	return 0;
}
