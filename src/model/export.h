// SPDX-License-Identifier: Apache-2.0
/*
 * export.h - Hugging Face checkpoints out.
 *
 *     export_merged(directory, base, adapter, &err);                    // W + scale B A
 *     export_trained(directory, base, &config, &params, dtype, &err);   // full fine-tuning
 *
 * `directory` exists. Weights keep the dtype they have in the base, are summed
 * in f32 and rounded once; tensors without an adapter are the base's bytes.
 * config.json, generation_config.json and every file of the tokenizer and the
 * chat template are the base's, byte for byte, but that eos_token_id of the
 * generation_config.json has every id after which the model ends (config.stop).
 * config.json is written last, so that a directory with one is whole.
 *
 * Failures: those of shards.h, safetensors.h and file.h.
 */
#ifndef BALDISTILL_MODEL_EXPORT_H
#define BALDISTILL_MODEL_EXPORT_H

#include "src/model/adapter.h"
#include "src/model/parameters.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Shards of at most 5 GiB, as transformers writes them. */

int export_merged(const char *directory, const char *base, const struct adapter *adapter, struct err *err);

/* All tensors are in params; `base` may have no weights: dtype is then what they are stored as. */
int export_trained(const char *directory, const char *base, const struct model_config *config,
		   const struct parameters *params, enum dtype dtype, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
