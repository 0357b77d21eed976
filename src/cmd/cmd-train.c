// SPDX-License-Identifier: Apache-2.0
/* train: fine-tune on rows, LoRA or full; the same command goes on after an interruption. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/cmd/card.h"
#include "src/cmd/job.h"
#include "src/model/directory.h"
#include "src/model/export.h"
#include "src/student/train_config.h"
#include "src/student/train_set.h"

enum { MAX_KEYS = 32, NAME_ROOM = 48 };

struct train_command {
	struct job job;
	const char *output, *config_file, *init, *init_adapter, *dump_gradients;
	uint64_t save_steps, tokens;
	bool no_shuffle;
	struct train_config config;
	const char *value[MAX_KEYS];      /* of each key given as an option */
	char name[MAX_KEYS][NAME_ROOM];   /* its option: dashes for underscores */
	struct train_set set;
	struct trainee trainee;
	struct train_result result;
};

/* ---- options ------------------------------------------------------------------------ */

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

static int read_config_file(struct train_command *c, struct err *err)
{
	struct yaml *doc = c->config_file ? yaml_load(c->config_file, err) : NULL;
	if (!c->config_file)
		return 0;
	int rc = doc ? train_config_read(&c->config, yaml_root(doc), err) : -1;
	if (doc)
		yaml_close(doc);
	return rc;
}

/* The file first, options over it. */
static int read_config(struct train_command *c, struct err *err)
{
	if (read_config_file(c, err))
		return -1;
	for (size_t i = 0; train_keys[i].name; i++)
		if (c->value[i] && train_config_set(&c->config, &train_keys[i], c->value[i], err))
			return -1;
	c->config.options.save_steps = (int64_t)c->save_steps;
	c->config.options.tokens = (int64_t)c->tokens;
	c->config.options.shuffle = !c->no_shuffle;
	c->config.options.seed = c->config.kind.seed = c->job.seed;
	c->config.options.memory = c->job.memory;
	c->config.kind.init_adapter = c->init_adapter;
	return train_config_check(&c->config, err);
}

static int check_words(struct train_command *c, struct err *err)
{
	if (!c->output)
		return err_set(err, ERR_USAGE, "'--output' is missing");
	if (c->init && strcmp(c->init, "random"))
		return err_set(err, ERR_CONFIG, "'--init' knows random only, not '%s'", c->init);
	c->job.random = c->init != NULL;
	if (c->job.random && !c->config.kind.full)
		return err_set(err, ERR_CONFIG, "'--init random' needs --finetuning-type full: adapters on random weights teach nothing");
	if (c->init_adapter && c->config.kind.full)
		return err_set(err, ERR_CONFIG, "'--init-adapter' and --finetuning-type full exclude each other");
	if (c->save_steps > 1000000000 || c->tokens > 1 << 24)
		return err_set(err, ERR_CONFIG, "'--save-steps' takes at most 1000000000, '--tokens' at most 16777216");
	return 0;
}

/* ---- the output directory ------------------------------------------------------------ */

static bool is_checkpoint(const char *directory)
{
	return directory_has(directory, "config.json") || directory_has(directory, "adapter_config.json");
}

/* It may be new, empty, or hold an unfinished training; a finished one is not overwritten. */
static int open_directory(const char *directory, struct err *err)
{
	bool made;
	if (job_make_directory(directory, &made, err))
		return -1;
	if (!made && is_checkpoint(directory) && !checkpoint_any(directory))
		return err_set(err, ERR_CANTCREATE, "'%s' holds a finished model or adapter; choose another --output or remove it",
			       directory);
	return 0;
}

/* ---- rows ------------------------------------------------------------------------------- */

/* {"text"} rows are completions without a prompt. */
static int read_row(struct train_command *c, size_t i, struct job_text *text, struct err *err)
{
	struct json_value plain = json_in(json_root(c->job.rows.row[i].doc), "text");
	if (json_kind(plain) == JSON_ABSENT)
		return job_text(&c->job.rows, i, true, text, err);
	*text = (struct job_text){.text = {.prompt = ""}};
	if (json_get_string(plain, &text->text.completion, &text->text.completion_n, err))
		return row_refuse(&c->job.rows, i, err);
	return 0;
}

static int add_row(struct train_command *c, size_t i, struct example_ids *example, struct err *err)
{
	const struct row *row = &c->job.rows.row[i];
	struct train_row_info info = {.key = (uint32_t)(row_key_of(&row->id) % UINT32_MAX), .line = row->line};
	struct job_text text;
	if (read_row(c, i, &text, err))
		return -1;
	int rc = json_opt_string(json_in(json_root(row->doc), "domain"), NULL, &info.domain, NULL, err) ||
				 example_encode(c->job.student, &text.text, example, err) ||
				 train_set_add(&c->set, example, &info, err)
			 ? -1 : 0;
	job_text_release(&text);
	return rc ? row_refuse(&c->job.rows, i, err) : 0;
}

static int read_rows(struct train_command *c, struct err *err)
{
	struct example_ids example = {0};
	int rc = 0;
	c->set.max_length = c->config.max_length;
	if (c->set.max_length > c->job.student->model->positions)
		c->set.max_length = c->job.student->model->positions;
	c->set.completion_only = c->config.completion_only_loss;
	for (size_t i = 0; !rc && i < c->job.rows.n; i++)
		rc = add_row(c, i, &example, err);
	example_release(&example);
	train_set_finish(&c->set);
	return rc;
}

/* ---- results --------------------------------------------------------------------------- */

static void say(void *context, const char *message)
{
	const struct arguments *args = context;
	if (!args->quiet)
		fprintf(stderr, "baldistill: note: %s\n", message);
}

static void say_rows(const struct train_command *c, const struct arguments *args)
{
	if (args->quiet)
		return;
	fprintf(stderr, "%s: %zu rows, %lld tokens, %lld of them targets; %lld numbers to train\n", c->job.data, c->set.n,
		(long long)c->set.tokens, (long long)c->set.targets, (long long)c->trainee.params.total);
	if (c->set.cut)
		fprintf(stderr, "%zu rows are longer than %lld tokens and lose their last\n", c->set.cut,
			(long long)c->set.max_length);
}

static enum dtype stored_dtype(const struct train_command *c)
{
	const struct model_config *config = &c->job.student->model->config;
	return config->has_dtype ? config->dtype : DTYPE_F32;
}

static int save(struct train_command *c, struct err *err)
{
	struct card card = {.base = c->job.model, .data = c->job.data, .rows = c->set.n, .tokens = c->set.tokens,
			    .targets = c->set.targets, .steps = c->result.steps, .last_loss = c->result.last_loss,
			    .config = &c->config};
	if (card_save(c->output, &card, err))
		return -1;
	return c->config.kind.full
		       ? export_trained(c->output, c->job.model, &c->trainee.params, stored_dtype(c), err)
		       : adapter_save(c->trainee.adapter, c->output, c->job.model, err);
}

static int train(struct train_command *c, struct arguments *args, struct err *err)
{
	struct train_files files = {.directory = c->output, .dump_gradients = c->dump_gradients,
				    .progress = &c->job.progress, .note = say, .context = args};
	if (read_rows(c, err) || trainee_open(&c->trainee, c->job.student->model, &c->config.kind, err))
		return -1;
	say_rows(c, args);
	if (student_train(&c->trainee, c->set.rows, c->set.n, &c->config.options, &files, &c->result, err) ||
	    save(c, err))
		return -1;
	if (!args->quiet)
		fprintf(stderr, "%s: %lld steps, last loss %.4g\n", c->output, (long long)c->result.steps, c->result.last_loss);
	return train_finish(&files, err);
}

static int run(struct arguments *args, struct err *err)
{
	static struct train_command c; /* large; one command runs once */
	c = (struct train_command){.config = train_config_defaults};
	job_defaults(&c.job);
	struct option_row rows[MAX_KEYS + 24] = {
		JOB_INPUT(&c.job),
		{"output", OPTION_TEXT, &c.output, "DIR", "where the adapter or checkpoint goes"},
		{"config", OPTION_TEXT, &c.config_file, "FILE", "YAML with the keys below, underscores for dashes"},
		{"init", OPTION_TEXT, &c.init, "random", "train from random weights; DIR needs config.json and tokenizer only"},
		{"init-adapter", OPTION_TEXT, &c.init_adapter, "DIR", "start from this adapter"},
		{"no-shuffle", OPTION_FLAG, &c.no_shuffle, NULL, "keep the order of the file"},
		{"seed", OPTION_NUMBER, &c.job.seed, "N", "of order, dropout and first values (1)"},
		{"save-steps", OPTION_NUMBER, &c.save_steps, "N", "a checkpoint every N steps (every epoch)"},
		{"tokens", OPTION_NUMBER, &c.tokens, "N", "tokens computed together at most (2048)"},
		{"dump-gradients", OPTION_TEXT, &c.dump_gradients, "FILE", "the first step's gradients as safetensors"},
		JOB_COMPUTE(&c.job),
	};
	add_keys(&c, rows);
	int go = options_parse(&cmd_train, rows, args, err);
	if (go <= 0)
		return go;
	int rc = options_expect(&cmd_train, args, 0, 0, err) || read_config(&c, err) || check_words(&c, err) ||
				 open_directory(c.output, err) || job_open(&c.job, args, false, err) || train(&c, args, err)
			 ? -1 : 0;
	trainee_close(&c.trainee);
	train_set_release(&c.set);
	return job_close(&c.job, rc, err);
}

const struct command cmd_train = {"train", "fine-tune a model on rows: LoRA or full, resumable", NULL, run, 0};
