// SPDX-License-Identifier: Apache-2.0
/*
 * matmul.h - products by oneDNN, with weights laid out once as the library
 * likes them best. matmul.c, tile.c and tile_pieces.c alone include its headers.
 *
 *     struct matmul *mm = matmul_new(threads, err);
 *     struct tile *t = tile_new(mm, n, k, DTYPE_BF16, NULL);
 *     tile_fill(mm, t, w, ldw, transposed, lasting)              // again after every change of w
 *     matmul_run(mm, lane, y, ldy, x, ldx, rows, t, add);    // y[rows, n] (+)= x[rows, k] B[k, n]
 *     tile_free(t); matmul_free(mm);
 *
 * Primitives are made when a shape is first seen and kept for each lane, so
 * lanes share nothing that changes. The lane is the caller's thread, or
 * MATMUL_TEAM outside parallel regions, where the library splits the product
 * over all threads. Sums are taken in f32, y is f32, x is of the tile's dtype;
 * of a tile of pieces x is laid out in pieces too and has no ldx.
 */
#ifndef BALDISTILL_BACKENDS_ONEDNN_MATMUL_H
#define BALDISTILL_BACKENDS_ONEDNN_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reference/kernel.h"
#include "src/base/err.h"

struct matmul;
struct pieces;
struct tile;

enum { MATMUL_TEAM = -1 };

/* NULL with ERR_MEMORY. */
struct matmul *matmul_new(int threads, struct err *err);
void matmul_free(struct matmul *mm);

/*
 * B[k, n] of `dtype`, f32 or bf16, still empty; NULL where there is no memory or the library cannot do it. With pieces
 * (pieces.h), for bf16, the products with it are theirs.
 */
struct tile *tile_new(struct matmul *mm, int64_t n, int64_t k, enum dtype dtype, const struct pieces *pieces);
void tile_free(struct tile *tile);
/*
 * B[i, j] = w[i * ld + j], or w[j * ld + i] where transposed; w is of the tile's dtype. Where the library likes plain
 * arrays best and w lasts as long as the tile, nothing is copied. 0, or -1: no memory.
 */
int tile_fill(struct matmul *mm, struct tile *tile, const void *w, int64_t ld, bool transposed, bool lasting);
/* Held by the tile. */
size_t tile_bytes(const struct tile *tile);

/* 0, or -1 where the library refuses: out of memory. */
int matmul_run(struct matmul *mm, int lane, float *y, int64_t ldy, const void *x, int64_t ldx, int64_t rows,
	       const struct tile *tile, bool add);

/* C[n, n] = A B^T of plain arrays by the library, for roofs. */
int matmul_square(struct matmul *mm, int64_t n, float *c, const void *a, const void *b, enum dtype dtype);

/*
 * C[m,n] = alpha * A B + beta * C of plain f32 arrays, row-major; 'N' or 'T' for each of A and B, as stored or
 * transposed. 0, or -1 where the library refuses: out of memory, with C in part written.
 */
int matmul_gemm(char trans_a, char trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
		const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

/* Does this CPU multiply bf16? The instructions the library takes, and its version, in words. */
bool matmul_has_bf16(void);
const char *matmul_isa(void);
void matmul_version(char *out, size_t size);

#endif
