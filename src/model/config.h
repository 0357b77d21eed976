// SPDX-License-Identifier: Apache-2.0
/*
 * config.h - config.json of a Hugging Face model directory, checked.
 *
 * Read are the Llama family's architectures: LlamaForCausalLM (Llama 2 and 3,
 * SmolLM2, TinyLlama), MistralForCausalLM (sliding window), Qwen2ForCausalLM
 * (biases of q, k, v) and Qwen3ForCausalLM (norms of q and k). Keys may have
 * their old or new form: rope_theta and rope_scaling or rope_parameters (which
 * wins), torch_dtype or dtype (which wins), eos_token_id as number or list.
 * What a key means where it is absent is what the architecture's class in
 * transformers takes. Whatever would change the arithmetic and is not known
 * here is refused by name: another architecture, experts, quantised weights,
 * another kind of rope, layers of different kinds, another activation, a bias
 * in the MLP. Keys that do not (auto_map, dropouts, pretraining_tp, …) are
 * ignored, and kept in the text for whoever writes the file again.
 *
 *     struct model_config config;
 *     if (model_config_load(&config, directory, &err))
 *             return -1;                                // nothing to release
 *     use(config.hidden_size, …);
 *     model_config_release(&config);
 *
 * Failures: ERR_NOINPUT (no such directory), ERR_DATA with file, key and rule,
 * ERR_NOPERM, ERR_IO, ERR_MEMORY.
 */
#ifndef BALDISTILL_MODEL_CONFIG_H
#define BALDISTILL_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reference/kernel.h"
#include "src/base/err.h"
#include "src/model/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Ids after which generation ends; each in [0, vocab_size). */
struct stop_ids {
	int64_t id[LIMIT_STOP_IDS];
	size_t n;
};

/* Fields have the names of their keys where they have one. */
struct model_config {
	const char *architecture;  /* "LlamaForCausalLM", static */
	int64_t vocab_size;        /* V */
	int64_t hidden_size;       /* C */
	int64_t intermediate_size; /* F */
	int64_t num_hidden_layers;
	int64_t num_attention_heads; /* H */
	int64_t num_key_value_heads; /* K, a divisor of H */
	int64_t head_dim;            /* D, even; H * D need not be C */
	int64_t max_position_embeddings;
	int64_t sliding_window; /* keys that a query sees, its own included, in every layer; 0: all */
	double rms_norm_eps;
	struct rope_config rope;
	bool qkv_bias, o_bias;    /* biases of q, k, v; of o */
	bool qk_norm;             /* RMSNorm of each head of q and k before rope */
	bool tie_word_embeddings; /* the head is the embedding */
	bool has_dtype;           /* dtype is given: what the weights were saved as */
	enum dtype dtype;
	int64_t bos_token_id; /* -1: none */
	struct stop_ids eos;  /* of config.json */
	struct stop_ids stop; /* of generation_config.json where it has any, else eos */
	bool stop_added;      /* by model_config_stop_at */
	char *text;           /* config.json as it was read, NUL-terminated */
	size_t text_n;
};

/* Read DIRECTORY/config.json and, where there is one, generation_config.json. */
int model_config_load(struct model_config *config, const char *directory, struct err *err);

/* The same from the text of a config.json alone; messages name no file. */
int model_config_parse(struct model_config *config, const char *text, size_t n, struct err *err);

/* Let generation end after this id too, which no file names. */
void model_config_stop_at(struct model_config *config, int64_t id);

/* Only eos_token_id of a generation_config.json's text, into config->stop; unchanged where it has none. */
int model_config_parse_generation(struct model_config *config, const char *text, size_t n, struct err *err);

void model_config_release(struct model_config *config);

#ifdef __cplusplus
}
#endif
#endif
