// SPDX-License-Identifier: Apache-2.0
/*
 * onednn.h - private to backends/onednn: the operations of backends/cpu over
 * oneDNN's products, in f32 or in bf16 with f32 sums; over the products of
 * pieces.h where the CPU has AMX.
 *
 * onednn.c      device, probe             module.c   the module's one exported object
 * pack.c        prepared groups           product.c  products with them
 * matmul.c      the library's primitives  tile.c     one packed matrix
 * tile_pieces.c one in pieces             library.h, internal.h: of these three alone
 *
 * x, q, k, v, o stay f32, but for k and v in a cache, which on a CPU with AMX
 * are bf16. In bf16 what goes into a product is rounded to bf16 first, the
 * weights when they are packed, the activations block by block; a product of very
 * few rows reads the stored weights and rounds nothing. Attention is in f32, on a
 * CPU with AMX in bf16 (vec_attention.h).
 */
#ifndef BALDISTILL_BACKENDS_ONEDNN_ONEDNN_H
#define BALDISTILL_BACKENDS_ONEDNN_ONEDNN_H

#include "backends/cpu/pieces.h"
#include "backends/cpu/product.h"
#include "backends/onednn/matmul.h"

struct onednn_device {
	struct cpu_device cpu;
	struct matmul *matmul;
	enum dtype arithmetic;       /* f32 or bf16 */
	const struct pieces *pieces; /* what multiplies bf16 in place of the library; NULL: the library does */
};

static inline const struct onednn_device *onednn_of(const struct device *dev)
{
	return (const struct onednn_device *)dev;
}

/*
 * One matrix [N, M] of a group in tiles of tile_rows x tile_cols, such that
 * every part of it that an operation multiplies with is made of whole tiles.
 * Tile (i, j) is number i * down + j of each list; a list is NULL where the
 * group is not used that way.
 */
struct onednn_matrix {
	int64_t tile_rows, tile_cols, across, down;
	struct tile **forward; /* W^T, [tile_cols, tile_rows] */
	struct tile **dx;      /* W, [tile_rows, tile_cols] */
};

struct onednn_group {
	struct onednn_matrix matrix[3];
};

/* pack.c: prepare, refresh and release of the table. */
void onednn_override_pack(struct kernels *table);

/* product.c */
extern const struct products onednn_products_f32, onednn_products_bf16;

void onednn_probe(struct backend_info *info);
struct device *onednn_open(const struct device_options *options, struct err *err);
void onednn_close(struct device *dev);
int onednn_product(struct device *dev, int64_t n, float *c, const void *a, const void *b, enum dtype dtype);

#define ONEDNN_BACKEND                                                                                                 \
	{                                                                                                              \
		.abi = BACKEND_ABI, .name = "onednn", .probe = onednn_probe, .open = onednn_open,                      \
		.close = onednn_close, .product = onednn_product,                                                      \
	}
extern const struct backend onednn_backend;

#endif
