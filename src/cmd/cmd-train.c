// SPDX-License-Identifier: Apache-2.0
/* train: fine-tune on rows, LoRA or full; the same command goes on after an interruption. */
#include <stdio.h>

#include "src/cmd/job.h"
#include "src/pipeline/train_rows.h"

enum { NAME_ROOM = 48 };

struct train_command {
	struct job job;
	struct train_rows_options o;
	const char *value[TRAIN_ROWS_KEYS];    /* of each key given as an option */
	char name[TRAIN_ROWS_KEYS][NAME_ROOM]; /* its option: dashes for underscores */
};

/* One option for each key of train_config.h, behind the command's own rows. */
static void add_keys(struct train_command *c, struct option_row *rows)
{
	while (rows->kind != OPTION_END)
		rows++;
	for (size_t i = 0; train_keys[i].name; i++) {
		snprintf(c->name[i], NAME_ROOM, "%s", train_keys[i].name);
		for (char *at = c->name[i]; *at; at++)
			*at = *at == '_' ? '-' : *at;
		*rows++ = (struct option_row){c->name[i], OPTION_TEXT, &c->value[i], "VALUE", train_keys[i].help};
	}
	*rows = (struct option_row){0};
}

static int run(struct arguments *args, struct err *err)
{
	struct train_command c = {.o = {.value = c.value}};
	job_defaults(&c.job);
	struct option_row rows[TRAIN_ROWS_KEYS + 24] = {
		JOB_INPUT(&c.job),
		{"output", OPTION_TEXT, &c.o.output, "DIR", "where the adapter or checkpoint goes"},
		{"config", OPTION_TEXT, &c.o.config_file, "FILE", "YAML with the keys below, underscores for dashes"},
		{"init", OPTION_TEXT, &c.o.init, "random", "train from random weights; DIR needs config.json and tokenizer only"},
		{"init-adapter", OPTION_TEXT, &c.o.init_adapter, "DIR", "start from this adapter"},
		{"no-shuffle", OPTION_FLAG, &c.o.no_shuffle, NULL, "keep the order of the file"},
		{"seed", OPTION_NUMBER, &c.job.seed, "N", "of order, dropout and first values (1)"},
		{"save-steps", OPTION_NUMBER, &c.o.save_steps, "N", "a checkpoint every N steps (every epoch)"},
		{"tokens", OPTION_NUMBER, &c.o.tokens, "N", "tokens computed together at most (2048; on a GPU 8192)"},
		{"dump-gradients", OPTION_TEXT, &c.o.dump_gradients, "FILE", "the first step's gradients as safetensors"},
		JOB_COMPUTE(&c.job),
	};
	add_keys(&c, rows);
	int go = options_parse(&cmd_train, rows, args, err);
	if (go <= 0)
		return go;
	int rc = options_expect(&cmd_train, args, 0, 0, err);
	job_connect(&c.job, args);
	return job_close(&c.job, rc ? rc : train_rows(&c.job, &c.o, err), err);
}

const struct command cmd_train = {"train", "fine-tune a model on rows: LoRA or full, resumable", NULL, run, 0};
