// SPDX-License-Identifier: Apache-2.0
/*
 * limits.h - what a model directory may cost before any of it is believed.
 * Every bound is far above the models the room is for and small enough that
 * products of a few of them fit 64 bits.
 */
#ifndef BALDISTILL_MODEL_LIMITS_H
#define BALDISTILL_MODEL_LIMITS_H

enum {
	/* safetensors */
	LIMIT_HEADER_BYTES = 100000000, /* as the format's own readers have it */
	LIMIT_TENSORS = 1 << 20,        /* of a file, and of all shards together */
	LIMIT_RANK = 8,
	LIMIT_NAME_BYTES = 1024,

	/* a directory of shards */
	LIMIT_INDEX_BYTES = 128 << 20,
	LIMIT_SHARDS = 512, /* each is an open file */
	LIMIT_SHARD_NAME_BYTES = 128,

	/* config.json and generation_config.json */
	LIMIT_CONFIG_BYTES = 1 << 20,
	LIMIT_VOCAB = 1 << 22,
	LIMIT_HIDDEN = 1 << 17,
	LIMIT_FFN = 1 << 20,
	LIMIT_LAYERS = 1024,
	LIMIT_HEADS = 1024,
	LIMIT_HEAD_DIM = 1024,
	LIMIT_POSITIONS = 1 << 26,
	LIMIT_STOP_IDS = 32,
};

#endif
