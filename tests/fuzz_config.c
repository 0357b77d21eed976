// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target 4: any text as config.json, as generation_config.json and as the
 * index of shards. What is refused is refused as bad data in printable words;
 * what is accepted keeps the promises of the headers.
 */
#define _GNU_SOURCE /* fuzz_check.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/model/config.h"
#include "src/model/shards_index.h"
#include "tests/fuzz_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refused(const struct err *err)
{
	require(err->code == ERR_DATA && *err->message, "a refusal is of bad data", err);
	require_printable(err);
}

static void check_stop_ids(const struct stop_ids *ids, int64_t vocab)
{
	struct err err = {0};

	require(ids->n <= LIMIT_STOP_IDS, "stop ids have their limit", &err);
	for (size_t i = 0; i < ids->n; i++)
		require(ids->id[i] >= 0 && ids->id[i] < vocab, "a stop id is in the vocabulary", &err);
}

static void check_config(const struct model_config *c, const char *text, size_t n)
{
	struct err err = {0};

	require(c->num_key_value_heads > 0 && c->num_attention_heads % c->num_key_value_heads == 0, "heads divide",
		&err);
	require(c->head_dim > 0 && c->head_dim % 2 == 0 && c->head_dim <= LIMIT_HEAD_DIM, "head_dim is even", &err);
	require(c->vocab_size > 0 && c->vocab_size <= LIMIT_VOCAB && c->hidden_size > 0 &&
			c->hidden_size <= LIMIT_HIDDEN && c->num_hidden_layers > 0 &&
			c->num_hidden_layers <= LIMIT_LAYERS,
		"sizes have their limits", &err);
	require(c->rope.theta > 1 && c->rms_norm_eps > 0 && c->sliding_window >= 0, "numbers have their ranges", &err);
	require(c->text_n == n && !memcmp(c->text, text, n) && !c->text[n], "the text is kept", &err);
	check_stop_ids(&c->eos, c->vocab_size);
}

static void try_config(const char *text, size_t n)
{
	struct model_config config;
	struct err err = {0};

	if (model_config_parse(&config, text, n, &err)) {
		check_refused(&err);
		return;
	}
	check_config(&config, text, n);
	model_config_release(&config);
}

static void try_generation(const char *text, size_t n)
{
	struct model_config config = {.vocab_size = 32000};
	struct err err = {0};

	if (model_config_parse_generation(&config, text, n, &err))
		check_refused(&err);
	check_stop_ids(&config.stop, config.vocab_size);
}

static void try_index(const char *text, size_t n)
{
	struct shard_index index = {0};
	struct err err = {0};

	if (shard_index_parse(&index, text, n, &err))
		check_refused(&err);
	else
		for (size_t i = 0; i < index.n; i++) {
			const struct index_entry *e = &index.entries[i];
			require(!strcmp(index.shards[e->shard], index.text + e->file), "a shard is named", &err);
			require(!strchr(index.text + e->file, '/') && index.text[e->file] != '.', "a shard is no path",
				&err);
			require(!i || strcmp(index.text + e[-1].name, index.text + e->name) < 0, "names ascend", &err);
		}
	shard_index_release(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_config((const char *)data, size);
	try_generation((const char *)data, size);
	try_index((const char *)data, size);
	return 0;
}
