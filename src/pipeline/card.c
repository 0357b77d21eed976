// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/card.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/grown.h"
#include "src/base/text.h"
#include "src/base/tree.h"
#include "src/model/adapter.h"

/* The hub reads the part between the dashes; names come from the command line, so line ends and quotes leave them. */
static void put_head(struct grown *out, const struct card *card, const char *base)
{
	grown_putf(out, "---\nlibrary_name: %s\nbase_model: \"%s\"\ntags:\n- baldistill\n%s---\n\n",
		   card->config->kind.full ? "transformers" : "peft", base, card->config->kind.full ? "" : "- lora\n");
}

static void put_row(struct grown *out, const char *key, double value)
{
	grown_putf(out, "| %s | %.10g |\n", key, value);
}

static void put_settings(struct grown *out, const struct train_config *c)
{
	const struct train_options *o = &c->options;
	grown_putf(out, "| setting | value |\n|---|---|\n| finetuning_type | %s |\n", c->kind.full ? "full" : "lora");
	if (!c->kind.full) {
		put_row(out, "lora_r", (double)c->kind.lora.r);
		put_row(out, "lora_alpha", adapter_plain_alpha(&c->kind.lora));
		put_row(out, "lora_dropout", c->kind.lora.dropout);
	}
	put_row(out, "learning_rate", o->learning_rate);
	put_row(out, "weight_decay", o->weight_decay);
	put_row(out, "num_train_epochs", (double)o->num_train_epochs);
	put_row(out, "rows of a step", (double)(o->per_device_train_batch_size * o->gradient_accumulation_steps));
	put_row(out, "max_length", (double)c->max_length);
	put_row(out, "seed", (double)o->seed);
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

static void put_card(struct grown *out, const struct card *card)
{
	char base[512], data[512];
	put_head(out, card, plain(base, sizeof base, card->base));
	grown_putf(out, "# %s of %s\n\nTrained by baldistill on %zu rows of %s: %lld tokens, %lld of them targets, %lld steps, last loss %.4g.\n\n",
		   card->config->kind.full ? "Fine-tuned checkpoint" : "LoRA adapter", base, card->rows,
		   plain(data, sizeof data, card->data), (long long)card->tokens, (long long)card->targets,
		   (long long)card->steps, card->last_loss);
	put_settings(out, card->config);
}

int card_save(const char *directory, const struct card *card, struct err *err)
{
	struct grown out = {0};
	put_card(&out, card);
	char *text = grown_take(&out, err), *path = text ? tree_join(directory, "README.md", err) : NULL;
	int rc = path ? file_save(path, text, strlen(text), 0666, err) : -1;
	free(path);
	free(text);
	return rc;
}
