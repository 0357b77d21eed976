// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/train_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/tree.h"
#include "src/model/export.h"
#include "src/pipeline/card.h"
#include "src/student/train_set.h"

struct training {
	struct job *job;
	const struct train_rows_options *o;
	struct train_config config;
	struct train_set set;
	struct trainee trainee;
	struct train_result result;
	int lock;               /* of the output, until all is in it; -1: not taken */
};

/* ---- options ------------------------------------------------------------------------ */

static int read_config_file(struct training *c, struct err *err)
{
	struct yaml *doc = c->o->config_file ? yaml_load(c->o->config_file, err) : NULL;
	if (!c->o->config_file)
		return 0;
	int rc = doc ? train_config_read(&c->config, yaml_root(doc), err) : -1;
	if (doc)
		yaml_close(doc);
	return rc;
}

/* The file first, options over it. */
static int read_config(struct training *c, struct err *err)
{
	if (read_config_file(c, err))
		return -1;
	for (size_t i = 0; train_keys[i].name; i++)
		if (c->o->value[i] && train_config_set(&c->config, &train_keys[i], c->o->value[i], err))
			return -1;
	c->config.options.save_steps = (int64_t)c->o->save_steps;
	c->config.options.tokens = (int64_t)c->o->tokens;
	c->config.options.shuffle = !c->o->no_shuffle;
	c->config.options.seed = c->config.kind.seed = c->job->seed;
	c->config.kind.memory = c->config.options.memory = c->job->memory;
	c->config.kind.init_adapter = c->o->init_adapter;
	return train_config_check(&c->config, err);
}

static int check_words(struct training *c, struct err *err)
{
	if (!c->o->output)
		return err_set(err, ERR_USAGE, "'--output' is missing");
	if (c->o->init && strcmp(c->o->init, "random"))
		return err_set(err, ERR_CONFIG, "'--init' knows random only, not '%s'", c->o->init);
	c->job->random = c->o->init != NULL;
	if (c->job->random && !c->config.kind.full)
		return err_set(err, ERR_CONFIG, "'--init random' needs --finetuning-type full: adapters on random weights teach nothing");
	if (c->o->init_adapter && c->config.kind.full)
		return err_set(err, ERR_CONFIG, "'--init-adapter' and --finetuning-type full exclude each other");
	if (c->o->save_steps > 1000000000 || c->o->tokens > 1 << 24)
		return err_set(err, ERR_CONFIG, "'--save-steps' takes at most 1000000000, '--tokens' at most 16777216");
	return 0;
}

/* ---- the output directory ------------------------------------------------------------ */

/* A file in it that a training would replace at its end; NULL: there is none. */
static int find_result(const char **found, const char *directory, struct err *err)
{
	static const char *const names[] = {"config.json", "adapter_config.json", "README.md", "tokenizer.json",
					    "model.safetensors", "adapter_model.safetensors", "tokenizer_config.json",
					    "generation_config.json", "chat_template.jinja"};
	*found = NULL;
	for (size_t i = 0; i < sizeof names / sizeof *names && !*found; i++) {
		enum tree_kind kind;
		char *path = tree_join(directory, names[i], err);
		int rc = path ? tree_find(path, &kind, err) : -1;
		free(path);
		if (rc)
			return -1;
		*found = kind == TREE_FILE ? names[i] : NULL;
	}
	return 0;
}

/* It may be new, hold an unfinished training, or nothing that this one writes; looked at once no other can finish in it. */
static int open_directory(struct training *c, struct err *err)
{
	const char *directory = c->o->output;
	const struct train_files files = {.directory = directory};
	struct err ignored;
	bool made;
	if (job_make_directory(directory, &made, err) || (c->lock = train_lock(directory, err)) < 0 ||
	    tree_remove_asides(directory, false, err))
		return -1;
	const char *there = NULL;
	if (!made && !checkpoint_any(directory) && find_result(&there, directory, err))
		return -1;
	if (!there)
		return 0;
	train_finish(&files, &ignored); /* what a kill left of its last removal */
	return err_set(err, ERR_CANTCREATE, "'%s' holds a finished model or adapter, or another's %s; choose another --output or remove it",
		       directory, there);
}

/* ---- rows ------------------------------------------------------------------------------- */

/* {"text"} rows are completions without a prompt; beside one, "text" is a member that somebody left there. */
static bool is_plain(struct json_value row)
{
	return json_is_there(json_in(row, "text")) && !json_is_there(json_in(row, "prompt")) &&
	       !json_is_there(json_in(row, "messages"));
}

static int read_row(struct training *c, size_t i, struct job_text *text, struct err *err)
{
	struct json_value row = json_root(c->job->rows.row[i].doc);
	if (!is_plain(row))
		return job_text(&c->job->rows, i, true, text, err);
	*text = (struct job_text){.text = {.prompt = ""}};
	if (json_get_string(json_in(row, "text"), &text->text.completion, &text->text.completion_n, err))
		return row_refuse(&c->job->rows, i, err);
	return 0;
}

static int add_row(struct training *c, size_t i, struct example_ids *example, struct err *err)
{
	const struct row *row = &c->job->rows.row[i];
	struct train_row_info info = {.key = (uint32_t)(row_key_of(&row->id) % UINT32_MAX), .line = row->line};
	struct job_text text;
	if (read_row(c, i, &text, err))
		return -1;
	int rc = json_opt_string(json_in(json_root(row->doc), "domain"), NULL, &info.domain, NULL, err) ||
				 example_encode(c->job->student, &text.text, example, err) ||
				 train_set_add(&c->set, example, &info, err)
			 ? -1 : 0;
	job_text_release(&text);
	return rc ? row_refuse(&c->job->rows, i, err) : 0;
}

static int read_rows(struct training *c, struct err *err)
{
	struct example_ids example = {0};
	int rc = 0;
	c->set.max_length = c->config.max_length;
	if (c->set.max_length > c->job->student->model->positions)
		c->set.max_length = c->job->student->model->positions;
	c->set.completion_only = c->config.completion_only_loss;
	for (size_t i = 0; !rc && i < c->job->rows.n; i++)
		rc = add_row(c, i, &example, err);
	example_release(&example);
	train_set_finish(&c->set);
	return rc;
}

/* ---- results --------------------------------------------------------------------------- */

static void say_note(void *context, const char *message)
{
	voice_say(context, "baldistill: note: %s", message);
}

static void say_rows(const struct training *c)
{
	const struct voice *voice = &c->job->voice;
	voice_say(voice, "%s: %zu rows, %lld tokens, %lld of them targets; %lld numbers to train", c->job->data, c->set.n,
		  (long long)c->set.tokens, (long long)c->set.targets, (long long)c->trainee.params.total);
	if (c->set.cut)
		voice_say(voice, "%zu rows are longer than %lld tokens and lose their last", c->set.cut,
			  (long long)c->set.max_length);
}

static enum dtype stored_dtype(const struct training *c)
{
	const struct model_config *config = &c->job->student->model->config;
	return config->has_dtype ? config->dtype : DTYPE_F32;
}

static int save(struct training *c, struct err *err)
{
	const struct adapter *adapter = c->trainee.adapter;
	struct train_config made = c->config;
	if (adapter) { /* with --init-adapter they are that one's */
		made.kind.lora.r = adapter->config.r;
		made.kind.lora.alpha = adapter->config.alpha;
		made.kind.lora.use_rslora = adapter->config.use_rslora;
	}
	struct card card = {.base = c->job->model, .data = c->job->data, .rows = c->set.n, .tokens = c->set.tokens,
			    .targets = c->set.targets, .steps = c->result.steps, .last_loss = c->result.last_loss,
			    .config = &made};
	if (card_save(c->o->output, &card, err))
		return -1;
	return c->config.kind.full
		       ? export_trained(c->o->output, c->job->model, &c->job->student->model->config, &c->trainee.params, stored_dtype(c), err)
		       : adapter_save(c->trainee.adapter, c->o->output, c->job->model, err);
}

static int train(struct training *c, struct err *err)
{
	struct voice *voice = &c->job->voice;
	struct train_files files = {.directory = c->o->output, .dump_gradients = c->o->dump_gradients,
				    .progress = voice->progress, .note = say_note, .context = voice};
	if (read_rows(c, err) || trainee_open(&c->trainee, c->job->student->model, &c->config.kind, err))
		return -1;
	say_rows(c);
	if (student_train(&c->trainee, c->set.rows, c->set.n, &c->config.options, &files, &c->result, err) ||
	    save(c, err))
		return -1;
	voice_say(voice, "%s: %lld steps, last loss %.4g", c->o->output, (long long)c->result.steps, c->result.last_loss);
	return train_finish(&files, err);
}

int train_rows(struct job *job, const struct train_rows_options *options, struct err *err)
{
	struct training c = {.job = job, .o = options, .config = train_config_defaults, .lock = -1};
	int rc = read_config(&c, err) || check_words(&c, err) || open_directory(&c, err) ||
				 job_begin(job, false, err) || train(&c, err)
			 ? -1 : 0;
	if (c.lock >= 0)
		close(c.lock);
	trainee_close(&c.trainee);
	train_set_release(&c.set);
	return rc;
}
