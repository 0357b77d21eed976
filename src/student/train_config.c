// SPDX-License-Identifier: Apache-2.0
#include "src/student/train_config.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REAL, WHOLE, FLAG, CHOICE, TARGETS };

const struct train_config train_config_defaults = {
	.kind = {.lora = {.r = 8, .alpha = 16, .dropout = 0.1, .targets = 1u << MODULE_Q | 1u << MODULE_V}},
	.options = TRAIN_DEFAULTS,
	.max_length = 1024, .completion_only_loss = true,
};

static const char *const types[] = {"lora", "full", NULL};
static const char *const schedules[] = {"linear", "cosine", "constant", NULL}; /* enum schedule */

#define AT(field) offsetof(struct train_config, field)
static const double any = 1e18;

const struct train_key train_keys[] = {
	{"finetuning_type", CHOICE, AT(finetuning_type), 0, 0, types, "lora or full (lora)"},
	{"lora_r", WHOLE, AT(kind.lora.r), 1, ADAPTER_MAX_RANK, NULL, "rank of the adapters (8)"},
	{"lora_alpha", REAL, AT(kind.lora.alpha), 1e-6, 1e6, NULL, "their scale is alpha / rank (16)"},
	{"lora_dropout", REAL, AT(kind.lora.dropout), 0, 0.999, NULL, "dropout in front of them (0.1)"},
	{"lora_target_modules", TARGETS, AT(kind.lora.targets), 0, 0, NULL, "q_proj,v_proj,… or all-linear (q_proj,v_proj)"},
	{"use_rslora", FLAG, AT(kind.lora.use_rslora), 0, 0, NULL, "scale alpha / sqrt(rank) (false)"},
	{"learning_rate", REAL, AT(options.learning_rate), 0, 1e3, NULL, "of AdamW (2e-4)"},
	{"weight_decay", REAL, AT(options.weight_decay), 0, 1e3, NULL, "not on norms and biases (0.03)"},
	{"lr_scheduler_type", CHOICE, AT(lr_scheduler_type), 0, 0, schedules, "linear, cosine or constant (linear)"},
	{"warmup_ratio", REAL, AT(options.warmup_ratio), 0, 1, NULL, "share of the steps that warm up (0)"},
	{"max_grad_norm", REAL, AT(options.max_grad_norm), 0, any, NULL, "clip gradients to this norm, 0: never (1)"},
	{"num_train_epochs", WHOLE, AT(options.num_train_epochs), 1, 1e6, NULL, "times over the rows (8)"},
	{"per_device_train_batch_size", WHOLE, AT(options.per_device_train_batch_size), 1, 1e6, NULL,
	 "rows computed together at most (16)"},
	{"gradient_accumulation_steps", WHOLE, AT(options.gradient_accumulation_steps), 1, 1e6, NULL,
	 "batches of a step (1)"},
	{"max_length", WHOLE, AT(max_length), 2, 1e7, NULL, "tokens of a row; its last are cut (1024)"},
	{"completion_only_loss", FLAG, AT(completion_only_loss), 0, 0, NULL, "false: prompts are targets, too (true)"},
	{"gradient_checkpointing", FLAG, AT(options.gradient_checkpointing), 0, 0, NULL, "less memory, more time (false)"},
	{0},
};

/* Names other programs use for the same. */
static const struct {
	const char *theirs, *ours;
} aliases[] = {
	{"lora_rank", "lora_r"}, {"lora_target", "lora_target_modules"}, {"lora_target_linear", "lora_target_modules"},
	{"cutoff_len", "max_length"}, {"sequence_len", "max_length"}, {"max_seq_length", "max_length"},
	{"micro_batch_size", "per_device_train_batch_size"}, {"batch_size", "per_device_train_batch_size"},
	{"grad_accumulation_steps", "gradient_accumulation_steps"}, {"num_epochs", "num_train_epochs"},
	{"lr", "learning_rate"}, {"lr_scheduler", "lr_scheduler_type"}, {"train_on_prompt", "completion_only_loss"},
	{"train_on_inputs", "completion_only_loss"}, {"mask_prompt", "completion_only_loss"},
};

static const struct train_key *find_key(const char *name)
{
	const struct train_key *key = train_keys;
	while (key->name && strcmp(key->name, name))
		key++;
	return key->name ? key : NULL;
}

static int set_number(const struct train_key *key, void *to, const char *text, struct err *err)
{
	char *end;
	errno = 0;
	double value = strtod(text, &end);
	if (end == text || *end || errno || !isfinite(value) || value < key->min || value > key->max ||
	    (key->kind == WHOLE && value != floor(value)))
		return err_set(err, ERR_CONFIG, "'%s' takes a%s number from %g to %g, not '%s'", key->name,
			       key->kind == WHOLE ? " whole" : "", key->min, key->max, text);
	if (key->kind == WHOLE)
		*(int64_t *)to = (int64_t)value;
	else
		*(double *)to = value;
	return 0;
}

static int set_flag(const struct train_key *key, bool *to, const char *text, struct err *err)
{
	*to = !strcmp(text, "true");
	return *to || !strcmp(text, "false") ? 0
					     : err_set(err, ERR_CONFIG, "'%s' takes true or false, not '%s'", key->name, text);
}

static int set_choice(const struct train_key *key, int64_t *to, const char *text, struct err *err)
{
	for (*to = 0; key->words[*to]; ++*to)
		if (!strcmp(key->words[*to], text))
			return 0;
	return err_set(err, ERR_CONFIG, "'%s' is %s, not '%s'", key->name, key->help, text);
}

/* Names with commas between them. */
static int set_targets(const struct train_key *key, unsigned *to, const char *text, struct err *err)
{
	unsigned targets = 0;
	for (const char *at = text; *at || at == text;) {
		size_t n = strcspn(at, ",");
		unsigned bit = adapter_target(at, n);
		if (!bit)
			return err_set(err, ERR_CONFIG, "'%s' knows q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj and all-linear, not '%.*s'",
				       key->name, (int)(n < 64 ? n : 64), at);
		targets |= bit;
		at += n + (at[n] == ',');
	}
	*to = targets;
	return 0;
}

int train_config_set(struct train_config *config, const struct train_key *key, const char *text, struct err *err)
{
	void *to = (char *)config + key->at;
	switch (key->kind) {
	case FLAG:
		return set_flag(key, to, text, err);
	case CHOICE:
		return set_choice(key, to, text, err);
	case TARGETS:
		return set_targets(key, to, text, err);
	default:
		return set_number(key, to, text, err);
	}
}

/* The message already there, with file and line in front; it shows the value, which a variable may hold as a secret. */
static int refuse(const struct yaml_node *node, const struct train_key *key, struct err *err)
{
	const struct err why = *err;
	if (strcmp(node->text, node->verbatim))
		return yaml_refuse(node, err, "'%s' takes no such value as '%s' stands for", key->name, node->verbatim);
	return yaml_refuse(node, err, "%s", why.message);
}

/* A list of names is read as the names with commas. */
static int read_list(struct train_config *config, const struct train_key *key, const struct yaml_node *node,
		     struct err *err)
{
	unsigned all = 0;
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		unsigned one;
		if (item->kind != YAML_SCALAR)
			return yaml_refuse(item, err, "'%s' holds names", key->name);
		if (set_targets(key, &one, item->text, err))
			return refuse(item, key, err);
		all |= one;
	}
	if (!all)
		return yaml_refuse(node, err, "'%s' is empty", key->name);
	config->kind.lora.targets = all;
	return 0;
}

static int read_key(struct train_config *config, const struct yaml_node *node, struct err *err)
{
	const struct train_key *key = find_key(node->name);
	if (!key) {
		for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
			if (!strcmp(aliases[i].theirs, node->name))
				return yaml_refuse(node, err, "'%s' is called '%s' here", node->name, aliases[i].ours);
		return yaml_refuse(node, err, "unknown key '%s'", node->name);
	}
	if (node->kind == YAML_LIST && key->kind == TARGETS)
		return read_list(config, key, node, err);
	if (node->kind != YAML_SCALAR)
		return yaml_refuse(node, err, "'%s' takes one value", key->name);
	if (node->quoted && (key->kind == REAL || key->kind == WHOLE || key->kind == FLAG))
		return yaml_refuse(node, err, "'%s' takes a value without quotes, found %s", key->name, node->verbatim);
	if (!train_config_set(config, key, node->text, err))
		return 0;
	return refuse(node, key, err);
}

int train_config_read(struct train_config *config, const struct yaml_node *map, struct err *err)
{
	if (map->kind == YAML_NULL)
		return 0;
	if (map->kind != YAML_MAP)
		return yaml_refuse(map, err, "keys of training are expected");
	for (const struct yaml_node *node = map->first; node; node = node->next)
		if (node->kind != YAML_NULL && read_key(config, node, err))
			return -1;
	return 0;
}

int train_config_check(struct train_config *c, struct err *err)
{
	c->kind.full = c->finetuning_type == 1;
	c->options.lr_scheduler_type = (enum schedule)c->lr_scheduler_type;
	if (c->options.per_device_train_batch_size * c->options.gradient_accumulation_steps > 1000000)
		return err_set(err, ERR_CONFIG, "a step of more than 1000000 rows");
	return 0;
}
