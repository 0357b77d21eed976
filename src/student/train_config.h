// SPDX-License-Identifier: Apache-2.0
/*
 * train_config.h - the keys of `training:`, one table for plan files, --config
 * files and command line options.
 *
 *     struct train_config config = train_config_defaults;
 *     train_config_read(&config, map, &err);                    // YAML: FILE:LINE in messages
 *     train_config_set(&config, &train_keys[i], "2e-4", &err);  // one key from a text
 *     train_config_check(&config, &err);
 *
 * Names are Hugging Face's (TrainingArguments, LoraConfig) and LLaMA-Factory's
 * finetuning_type; another project's name for a key is an error that gives
 * ours. ERR_CONFIG.
 */
#ifndef BALDISTILL_STUDENT_TRAIN_CONFIG_H
#define BALDISTILL_STUDENT_TRAIN_CONFIG_H

#include "src/base/yamlio.h"
#include "src/student/train.h"

#ifdef __cplusplus
extern "C" {
#endif

struct train_config {
	int64_t finetuning_type; /* index of "lora", "full" */
	struct train_kind kind;
	int64_t lr_scheduler_type; /* enum schedule */
	struct train_options options;
	int64_t max_length;
	bool completion_only_loss;
};

extern const struct train_config train_config_defaults;

struct train_key {
	const char *name;                 /* "learning_rate" */
	int kind;                         /* private */
	size_t at;                        /* offset in struct train_config */
	double min, max;                  /* inclusive, of numbers */
	const char *const *words;         /* of a choice, NULL-ended */
	const char *help;                 /* one line */
};

/* Ended by a row without a name. */
extern const struct train_key train_keys[];

int train_config_set(struct train_config *config, const struct train_key *key, const char *text, struct err *err);
int train_config_read(struct train_config *config, const struct yaml_node *map, struct err *err);

/* What single keys cannot say; also carries the choices into kind and options. */
int train_config_check(struct train_config *config, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
