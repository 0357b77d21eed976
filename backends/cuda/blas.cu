// SPDX-License-Identifier: Apache-2.0
/*
 * The products, by cuBLAS. Its workspace is ours and set explicitly: one
 * stream, one workspace, so the same shapes give the same bits. cuBLAS counts
 * by columns: the row-major c = a b is asked for as c^T = b^T a^T.
 */
#include "backends/cuda/array.cuh"

#include <cublas_v2.h>
#include <stdio.h>
#include <stdlib.h>

struct cuda_blas {
	cublasHandle_t handle;
	void *workspace;
};

enum { WORKSPACE = 64 << 20 };

/* Parts of one sum are added in f32 too; by default cuBLAS may add them in the type of the result. */
static const cublasMath_t MATH =
	(cublasMath_t)(CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);

static bool blas_good(struct device *dev, const char *op, cublasStatus_t status)
{
	if (status != CUBLAS_STATUS_SUCCESS)
		device_fail(dev, op, "cuBLAS: %s", cublasGetStatusString(status));
	return status == CUBLAS_STATUS_SUCCESS;
}

bool cuda_blas_open(struct cuda_device *cuda)
{
	struct device *dev = &cuda->dev;
	cuda->blas = (struct cuda_blas *)calloc(1, sizeof *cuda->blas);
	if (!cuda->blas)
		return false;
	cuda->blas->workspace = cuda_bytes(dev, "open", WORKSPACE);
	return cuda->blas->workspace && blas_good(dev, "open", cublasCreate(&cuda->blas->handle)) &&
	       blas_good(dev, "open", cublasSetMathMode(cuda->blas->handle, MATH)) &&
	       blas_good(dev, "open", cublasSetStream(cuda->blas->handle, (cudaStream_t)cuda->stream)) &&
	       blas_good(dev, "open", cublasSetWorkspace(cuda->blas->handle, cuda->blas->workspace, WORKSPACE));
}

void cuda_blas_close(struct cuda_device *cuda)
{
	if (!cuda->blas)
		return;
	if (cuda->blas->handle)
		cublasDestroy(cuda->blas->handle);
	cuda_bytes_free(&cuda->dev, cuda->blas->workspace, WORKSPACE);
	free(cuda->blas);
}

const char *cuda_blas_version(void)
{
	static char text[32];
	int major = 0, minor = 0, patch = 0;
	cublasGetProperty(MAJOR_VERSION, &major);
	cublasGetProperty(MINOR_VERSION, &minor);
	cublasGetProperty(PATCH_LEVEL, &patch);
	snprintf(text, sizeof text, "cuBLAS %d.%d.%d", major, minor, patch);
	return text;
}

static cudaDataType type_of(struct view v)
{
	return v.dtype == DTYPE_F32 ? CUDA_R_32F : CUDA_R_16BF;
}

void cuda_blas_multiply(struct device *dev, const char *op, struct view c, struct cuda_factor a, struct cuda_factor b,
			float alpha, bool add)
{
	int64_t k = a.transposed ? a.v.rows : a.v.cols;
	float beta = add ? 1.0f : 0.0f;
	if (dev->failure[0] || !c.rows || !c.cols)
		return;
	if (!k) {
		if (!add)
			cuda_fill(dev, op, c, 0);
		return;
	}
	blas_good(dev, op,
		  cublasGemmEx(cuda_of(dev)->blas->handle, b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
			       a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N, (int)c.cols, (int)c.rows, (int)k, &alpha,
			       array_of(b.v).p, type_of(b.v), (int)b.v.ld, array_of(a.v).p, type_of(a.v), (int)a.v.ld, &beta,
			       array_of(c).p, type_of(c), (int)c.ld, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
}
