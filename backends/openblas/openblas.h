// SPDX-License-Identifier: Apache-2.0
/*
 * openblas.h - private to backends/openblas: the operations of backends/cpu
 * over OpenBLAS's products in f32.
 *
 * openblas.c    device, probe, which products
 * module.c      the module's one exported object
 * blas.c        the only includer of cblas.h: plain products, threads
 */
#ifndef BALDISTILL_BACKENDS_OPENBLAS_OPENBLAS_H
#define BALDISTILL_BACKENDS_OPENBLAS_OPENBLAS_H

#include "backends/cpu/product.h"

/*
 * blas.c. Row-major single precision products. From outside a parallel region
 * the library uses all its threads, from inside one only the caller's.
 * C[m,n] = alpha * A[m,k] B[n,k]^T + beta * C, and the two other forms.
 */
gemm_fn blas_nt;
/* C[m,n] = alpha * A[m,k] B[k,n] + beta * C */
gemm_fn blas_nn;
/* C[m,n] = alpha * A[k,m]^T B[k,n] + beta * C */
gemm_fn blas_tn;

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

#endif
