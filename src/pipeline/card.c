// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/card.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/base/tree.h"
#include "src/model/adapter.h"

/* The hub reads the part between the dashes; names come from the command line, so line ends and quotes leave them. */
static void put_head(FILE *f, const struct card *card, const char *base)
{
	fprintf(f, "---\nlibrary_name: %s\nbase_model: \"%s\"\ntags:\n- baldistill\n%s---\n\n",
		card->config->kind.full ? "transformers" : "peft", base, card->config->kind.full ? "" : "- lora\n");
}

static void put_row(FILE *f, const char *key, double value)
{
	fprintf(f, "| %s | %.10g |\n", key, value);
}

static void put_settings(FILE *f, const struct train_config *c)
{
	const struct train_options *o = &c->options;
	fprintf(f, "| setting | value |\n|---|---|\n| finetuning_type | %s |\n", c->kind.full ? "full" : "lora");
	if (!c->kind.full) {
		put_row(f, "lora_r", (double)c->kind.lora.r);
		put_row(f, "lora_alpha", adapter_plain_alpha(&c->kind.lora));
		put_row(f, "lora_dropout", c->kind.lora.dropout);
	}
	put_row(f, "learning_rate", o->learning_rate);
	put_row(f, "weight_decay", o->weight_decay);
	put_row(f, "num_train_epochs", (double)o->num_train_epochs);
	put_row(f, "rows of a step", (double)(o->per_device_train_batch_size * o->gradient_accumulation_steps));
	put_row(f, "max_length", (double)c->max_length);
	put_row(f, "seed", (double)o->seed);
}

/* A name for Markdown and YAML: escaped, without quotes and bars. */
static char *plain(char *out, size_t room, const char *name)
{
	text_escape(out, room, name, strlen(name));
	for (char *at = out; *at; at++)
		if (strchr("\"\\|<>\n\t", *at))
			*at = '_';
	return out;
}

static void put_card(FILE *f, const struct card *card)
{
	char base[512], data[512];
	put_head(f, card, plain(base, sizeof base, card->base));
	fprintf(f, "# %s of %s\n\nTrained by baldistill on %zu rows of %s: %lld tokens, %lld of them targets, %lld steps, last loss %.4g.\n\n",
		card->config->kind.full ? "Fine-tuned checkpoint" : "LoRA adapter", base, card->rows,
		plain(data, sizeof data, card->data), (long long)card->tokens, (long long)card->targets,
		(long long)card->steps, card->last_loss);
	put_settings(f, card->config);
}

int card_save(const char *directory, const struct card *card, struct err *err)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	if (f)
		put_card(f, card);
	if (!f || fclose(f)) {
		free(text);
		return err_set(err, ERR_MEMORY, "out of memory for README.md");
	}
	char *path = tree_join(directory, "README.md", err);
	int rc = path ? file_save(path, text, n, 0666, err) : -1;
	free(path);
	free(text);
	return rc;
}
