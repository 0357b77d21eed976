// SPDX-License-Identifier: Apache-2.0
/*
 * openblas.h - private to backends/openblas.
 *
 * openblas.c    device, table, probe
 * module.c      the module's one exported object
 * blas.c        the only includer of cblas.h: plain products, threads
 * team.c        rows and blocks of rows over threads, scratch of each
 * product.c     products with stored weights
 * linear.c      linear and its gradients
 * lora.c        low-rank products, their gradients, the merge
 * pointwise.c   norm, rotary, SwiGLU and what moves rows
 * optim.c       norm2, adamw
 * low_rank.c    low-rank products of some rows, block.c what composites share
 * attn_in.c, attn_out.c, mlp.c   over blocks of tokens, and their backward
 * attention.c   segment attention, forward and backward
 * head.c        head_loss, logits, sample
 * vec*.c        vector code, compiled once per CPU level
 *
 * Storage of x, q, k, v, o is f32. Work is cut into blocks of rows that depend
 * on the shape and the number of threads alone and handed to threads
 * statically, so a result depends on nothing else.
 */
#ifndef BALDISTILL_BACKENDS_OPENBLAS_OPENBLAS_H
#define BALDISTILL_BACKENDS_OPENBLAS_OPENBLAS_H

#include "backends/backend.h"
#include "backends/openblas/vec.h"
#include "reference/kernel.h"

struct openblas_device {
	struct device dev;
	const struct vec *vec; /* the vector code of this CPU */
};

static inline const struct openblas_device *openblas_of(const struct device *dev)
{
	return (const struct openblas_device *)dev;
}

/*
 * blas.c. Row-major single precision products. From outside a parallel region
 * the library uses all its threads, from inside one only the caller's.
 * C[m,n] = alpha * A[m,k] B[n,k]^T + beta * C, and the two other forms.
 */
void blas_nt(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
	     float beta, float *c, int64_t ldc);
/* C[m,n] = alpha * A[m,k] B[k,n] + beta * C */
void blas_nn(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
	     float beta, float *c, int64_t ldc);
/* C[m,n] = alpha * A[k,m]^T B[k,n] + beta * C */
void blas_tn(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
	     float beta, float *c, int64_t ldc);

/* Threads of a product outside parallel regions, for the calling thread; every operation that has one says so first. */
void blas_threads(int threads);

/* The library's name, core and threading. */
void blas_describe(struct backend_info *info);

/* The backend: programs that link it use openblas_backend, the module exports the same under the common name. */
void openblas_probe(struct backend_info *info);
struct device *openblas_open(const struct device_options *options, struct err *err);
void openblas_close(struct device *dev);
int openblas_product(struct device *dev, int64_t n, float *c, const void *a, const void *b, enum dtype dtype);

#define OPENBLAS_BACKEND                                                                                               \
	{                                                                                                              \
		.abi = BACKEND_ABI, .name = "openblas", .probe = openblas_probe, .open = openblas_open,                \
		.close = openblas_close, .product = openblas_product,                                                  \
	}
extern const struct backend openblas_backend;

/* Entries of the table, each in the file named above. */
#define OPENBLAS_FILE(file) void openblas_override_##file(struct kernels *table)
OPENBLAS_FILE(linear);
OPENBLAS_FILE(lora);
OPENBLAS_FILE(pointwise);
OPENBLAS_FILE(optim);
OPENBLAS_FILE(attn_in);
OPENBLAS_FILE(attn_out);
OPENBLAS_FILE(mlp);
OPENBLAS_FILE(attention);
OPENBLAS_FILE(head);
#undef OPENBLAS_FILE

/* scratch_bytes and saved_bytes of each file's operations; 0 for others. */
size_t openblas_linear_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t openblas_lora_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t openblas_pointwise_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t openblas_attn_in_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t openblas_attn_out_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t openblas_mlp_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t openblas_attention_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t openblas_head_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t openblas_attn_in_saved(const struct device *dev, enum op op, const struct shape *shape);
size_t openblas_attn_out_saved(const struct device *dev, enum op op, const struct shape *shape);
size_t openblas_mlp_saved(const struct device *dev, enum op op, const struct shape *shape);

#endif
