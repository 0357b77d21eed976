// SPDX-License-Identifier: Apache-2.0
/*
 * adapter.h - low-rank adapters (Hu et al. 2021) of a model, and their PEFT
 * directories.
 *
 * An adapted matrix W [N, M] gets A [r, M] and B [N, r], both f32:
 * y = x W^T + scale * dropout(x) A^T B^T, scale = alpha / r, or alpha / sqrt(r)
 * with use_rslora.
 *
 *     struct adapter *adapter = adapter_new(model, &config, &err);   // A, B are 0
 *     adapter_init(adapter, seed, &err);                             // A as PEFT draws it, B stays 0
 *     or
 *     struct adapter *adapter = adapter_load(model, directory, &err);
 *
 *     adapter_attach(adapter);              // forward.h and pass.h now use it
 *     adapter_add(adapter, &params, &err);  // to train it: parameters.h
 *     parameters_make(&params, &err);
 *     adapter_bind(adapter, &params);
 *     adapter_save(adapter, directory, base, &err);
 *     adapter_free(adapter);                // detaches it
 *
 * A directory holds adapter_config.json and adapter_model.safetensors with
 * PEFT's names (huggingface/peft, docs/source/developer_guides/checkpoint.md):
 * base_model.model.model.layers.L.self_attn.q_proj.lora_A.weight [r, M] and
 * lora_B.weight [N, r]. Read is what this program can run: LoRA on the seven
 * matrices of a layer, the same rank everywhere; all else (DoRA, rank_pattern,
 * biases, embeddings, targets as a pattern) is refused by name.
 *
 * Failures: ERR_DATA with file, key or tensor; those of directory.h and
 * safetensors.h; ERR_MEMORY.
 */
#ifndef BALDISTILL_MODEL_ADAPTER_H
#define BALDISTILL_MODEL_ADAPTER_H

#include "src/model/model.h"
#include "src/model/parameters.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MODULES = 7, ADAPTER_MAX_RANK = 1024 };

/* "q_proj", …, by enum module_id. */
extern const char *const module_names[MODULES];

/* "model.layers.L.self_attn.q_proj", which PEFT puts "base_model.model." in front of. */
void module_path(char *out, size_t size, int64_t layer, int module);

struct adapter_config {
	int64_t r;
	double alpha, dropout;
	bool use_rslora;
	unsigned targets; /* 1 << module_id, or-ed */
	int64_t layers;   /* that a file names one by one, from 0 on; 0: none */
};

enum { TARGETS_ALL_LINEAR = (1 << MODULES) - 1 };

struct adapter {
	struct adapter_config config;
	struct model *model;
	struct lora *lora;     /* [layers * MODULES]; a is absent where the module has no adapter */
	struct buffer *buffer; /* all A and B */
	int64_t numbers;       /* in all of them */
};

/* A target's bit from its name ("q_proj", "all-linear" for all); 0: unknown. */
unsigned adapter_target(const char *name, size_t n);

struct adapter *adapter_new(struct model *model, const struct adapter_config *config, struct err *err);
void adapter_free(struct adapter *adapter);

/* A uniform in ± 1 / sqrt(M), which is Kaiming's with a = sqrt(5); the same numbers for the same seed, layer and module. */
int adapter_init(struct adapter *adapter, uint64_t seed, struct err *err);

/* Another dropout than the one it was trained with; 0 <= dropout < 1. */
void adapter_set_dropout(struct adapter *adapter, double dropout);

void adapter_attach(struct adapter *adapter);
void adapter_detach(struct adapter *adapter);

/* Every A and B under PEFT's name; afterwards (parameters_make) where their gradients are summed. */
int adapter_add(struct adapter *adapter, struct parameters *params, struct err *err);
void adapter_bind(struct adapter *adapter, const struct parameters *params);

/* Scratch that operations with this adapter need is asked for with its rank; 0 for NULL. */
int64_t adapter_rank(const struct adapter *adapter);

/* Whether adapters of this init_lora_weights are of the base as it is; other kinds of PEFT's change its weights. */
bool adapter_keeps_base(const char *init);

struct adapter *adapter_load(struct model *model, const char *directory, struct err *err);

/* alpha of the plain adapter of the same scale, which is what files and cards tell of an rsLoRA adapter. */
double adapter_plain_alpha(const struct adapter_config *config);

/*
 * Both files into a directory that exists; `base` is written as base_model_name_or_path, a path that exists as the one
 * that holds wherever the adapter is loaded from.
 */
int adapter_save(const struct adapter *adapter, const char *directory, const char *base, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
