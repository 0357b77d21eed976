// SPDX-License-Identifier: Apache-2.0
/* The kind of rotary embedding, in its old form (rope_theta, rope_scaling) and its new one (rope_parameters). */
#include <string.h>

#include "src/base/text.h"
#include "src/model/config_parts.h"

/* A number in (low, high]; absent or null fails where fallback is not. */
static int number(struct json_value value, const char *key, double low, double high, double fallback, double *out,
		  struct err *err)
{
	if (fallback > low ? json_opt_double(value, fallback, out, err) : json_get_double(value, out, err))
		return -1;
	if (*out > low && *out <= high)
		return 0;
	return err_set(err, ERR_DATA, "'%s' is %g; it must be above %g and at most %g", key, *out, low, high);
}

static int read_linear(struct rope_config *rope, struct json_value from, struct err *err)
{
	return number(json_in(from, "factor"), "factor", 0, 1e6, 0, &rope->factor, err);
}

static int read_llama3(struct rope_config *rope, struct json_value from, struct err *err)
{
	static const char original[] = "original_max_position_embeddings";

	if (read_linear(rope, from, err) ||
	    number(json_in(from, "low_freq_factor"), "low_freq_factor", 0, 1e6, 0, &rope->low_freq_factor, err) ||
	    number(json_in(from, "high_freq_factor"), "high_freq_factor", 0, 1e6, 0, &rope->high_freq_factor, err) ||
	    number(json_in(from, original), original, 0, LIMIT_POSITIONS, 0, &rope->original_max_position_embeddings,
		   err))
		return -1;
	if (rope->high_freq_factor > rope->low_freq_factor)
		return 0;
	return err_set(err, ERR_DATA, "'high_freq_factor' is %g; it must be above 'low_freq_factor', %g",
		       rope->high_freq_factor, rope->low_freq_factor);
}

static int read_default(struct rope_config *rope, struct json_value from, struct err *err)
{
	(void)rope, (void)from, (void)err;
	return 0;
}

static int read_kind(struct rope_config *rope, struct json_value from, struct err *err)
{
	static const struct {
		const char *name;
		enum rope_kind kind;
		int (*read)(struct rope_config *rope, struct json_value from, struct err *err);
	} kinds[] = {
		{"default", ROPE_DEFAULT, read_default},
		{"linear", ROPE_LINEAR, read_linear},
		{"llama3", ROPE_LLAMA3, read_llama3},
	};
	const char *name;
	char shown[60];
	size_t n;

	if (json_opt_string(json_in(from, json_is_there(json_in(from, "rope_type")) ? "rope_type" : "type"), "default", &name,
			    &n, err))
		return -1;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strlen(kinds[i].name) == n && !memcmp(kinds[i].name, name, n)) {
			rope->kind = kinds[i].kind;
			return kinds[i].read(rope, from, err);
		}
	return err_set(err, ERR_DATA, "rope kind '%s' is not supported; known are default, linear and llama3",
		       text_escape(shown, sizeof shown, name, n));
}

/* rope_parameters may be a table of tables, one for each kind of layer. */
static int refuse_nested(struct json_value from, struct err *err)
{
	struct json_iter it;

	if (json_members(from, &it, err))
		return -1;
	while (json_next(&it))
		if (json_kind(it.value) == JSON_OBJECT)
			return err_set(err, ERR_DATA,
				       "'rope_parameters' has a table for some layers; layers of different "
				       "kinds are not supported");
	return 0;
}

static int refuse_partial(struct json_value from, struct err *err)
{
	double factor;

	if (json_opt_double(json_in(from, "partial_rotary_factor"), 1, &factor, err))
		return -1;
	return factor == 1 ? 0 : err_set(err, ERR_DATA, "'partial_rotary_factor' is %g; only 1 is supported", factor);
}

static bool is_empty(struct json_value table)
{
	struct json_iter it;

	return !json_is_there(table) ||
	       (json_kind(table) == JSON_OBJECT && !json_members(table, &it, NULL) && !json_next(&it));
}

/* What a table says, or none, and the file around it; a theta in the table goes before one beside it. */
static int read_table(struct rope_config *rope, struct json_value from, struct json_value root, struct err *err)
{
	struct json_value theta;

	*rope = (struct rope_config){.kind = ROPE_DEFAULT};
	if (json_is_there(from) && refuse_nested(from, err))
		return -1;
	theta = json_in(from, "rope_theta");
	if (json_kind(theta) == JSON_ABSENT)
		theta = json_in(root, "rope_theta");
	if (number(theta, "rope_theta", 1, 1e15, 10000, &rope->theta, err) || refuse_partial(root, err))
		return -1;
	return json_is_there(from) && (refuse_partial(from, err) || read_kind(rope, from, err)) ? -1 : 0;
}

static bool is_same(const struct rope_config *a, const struct rope_config *b)
{
	return a->kind == b->kind && a->theta == b->theta && a->factor == b->factor &&
	       a->low_freq_factor == b->low_freq_factor && a->high_freq_factor == b->high_freq_factor &&
	       a->original_max_position_embeddings == b->original_max_position_embeddings;
}

/* Of two tables transformers takes the old one whole, the other's theta lost: where they differ none is sure. */
int config_rope(struct model_config *config, struct json_value root, struct err *err)
{
	struct json_value old = json_in(root, "rope_scaling"), new = json_in(root, "rope_parameters");
	struct rope_config other;

	if (is_empty(old) || is_empty(new))
		return read_table(&config->rope, is_empty(old) ? new : old, root, err);
	if (read_table(&config->rope, old, root, err) || read_table(&other, new, root, err))
		return -1;
	return is_same(&config->rope, &other)
		       ? 0
		       : err_set(err, ERR_DATA,
				 "'rope_scaling' and 'rope_parameters' differ; remove the one that the model was not "
				 "trained with");
}
