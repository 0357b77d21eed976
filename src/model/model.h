// SPDX-License-Identifier: Apache-2.0
/*
 * model.h - a Llama-family network over a kernel table: its weights on a device.
 *
 *     struct model_options options = {.dtype = DTYPE_BF16};
 *     struct model *model = model_load(directory, dev, &options, &err);
 *     if (!model)
 *             return -1;
 *     print(model->notes);                  // warnings, one a line; may be ""
 *     …                                     // forward.h
 *     model_free(model);
 *
 * The device is the caller's and outlives the model. Matrices lie in host
 * memory, stored as options.dtype, for as long as the device's prepared weights
 * refer to them; a device that keeps its own copies frees them at once. Loading
 * needs that memory and at most 64 MiB beside it.
 *
 * Failures: those of model_config_load and shards_open, all before any weight
 * is read; ERR_DATA for a tensor that is missing or of another shape;
 * ERR_MEMORY, also where weights would exceed options.memory, with the sizes.
 */
#ifndef BALDISTILL_MODEL_MODEL_H
#define BALDISTILL_MODEL_MODEL_H

#include "reference/kernel.h"
#include "src/base/err.h"
#include "src/model/config.h"

#ifdef __cplusplus
extern "C" {
#endif

struct model_options {
	enum dtype dtype;      /* what matrices are stored as: DTYPE_F32 or DTYPE_BF16 */
	int64_t positions;     /* rotary tables for so many; 0: the config's max_position_embeddings, at most 131072 */
	uint64_t memory;       /* bound of stored and prepared weights in bytes; 0: none */
	bool random;           /* no weights are read: matrices are drawn, normal with deviation 0.02, norms 1, biases 0 */
	uint64_t seed;         /* of these */
};

/* One layer: groups of weights, and the parameters of its three operations, which refer to them. */
struct model_layer {
	struct weight wqkv, wo, wgu, wdown;
	struct attn_in_params in;
	struct attn_out_params out;
	struct mlp_params mlp;
};

struct model {
	struct model_config config;
	struct device *dev;
	struct model_layer *layer;     /* [num_hidden_layers] */
	struct weight embedding;       /* [V, C] */
	struct weight lm_head;         /* n = 0 where it is the embedding */
	struct head_params head;
	int64_t positions;             /* rows of the rotary tables */
	size_t stored;                 /* bytes of host matrices held */
	char notes[2048];
	struct model_arrays *arrays;   /* private: what model_free frees */
};

struct model *model_load(const char *directory, struct device *dev, const struct model_options *options,
			 struct err *err);
void model_free(struct model *model);

/* Wait for a device: 0, or -1 with its failure as an err of this code. */
int device_finish(struct device *dev, int code, struct err *err);

/* The largest rank of the adapters attached now (adapter.h); 0: none. */
int64_t model_rank(const struct model *model);

/* Bytes that the matrices of a config take when stored as dtype: what `plan` prints and `memory` bounds. */
uint64_t model_stored_bytes(const struct model_config *config, enum dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
