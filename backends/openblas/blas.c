// SPDX-License-Identifier: Apache-2.0
/* The only includer of cblas.h. */
#include <cblas.h>
#include <limits.h>
#include <omp.h>
#include <stdio.h>

#include "backends/openblas/openblas.h"

static _Thread_local int team = 1; /* threads of a product outside parallel regions */

/*
 * The OpenMP build takes the caller's team and stays on its own thread inside
 * a parallel region. The others have one global number: 1 inside.
 */
static void set_threads(void)
{
	int want = omp_in_parallel() ? 1 : team;

	if (openblas_get_parallel() == OPENBLAS_OPENMP) {
		if (!omp_in_parallel() && omp_get_max_threads() != team)
			omp_set_num_threads(team);
		return;
	}
#pragma omp critical(blas_threads)
	if (openblas_get_num_threads() != want)
		openblas_set_num_threads(want);
}

void blas_threads(int threads)
{
	team = threads;
}

/* The library counts in blasint, which is 32 bits wide in most builds. */
static bool fits(int64_t a, int64_t b, int64_t c)
{
	int64_t most = sizeof(blasint) == 4 ? INT32_MAX : INT64_MAX;

	return a <= most && b <= most && c <= most;
}

/* Without the library: element (i, p) of A is a[i * ai + p * ap], element (p, j) of B is b[p * bp + j * bj]. */
static void plain(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t ai, int64_t ap, const float *b,
		  int64_t bp, int64_t bj, float beta, float *c, int64_t ldc)
{
	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < n; j++) {
			double sum = 0;

			for (int64_t p = 0; p < k; p++)
				sum += (double)a[i * ai + p * ap] * (double)b[p * bp + j * bj];
			c[i * ldc + j] = alpha * (float)sum + (beta != 0 ? beta * c[i * ldc + j] : 0);
		}
}

#define GEMM(ta, tb)                                                                                                   \
	set_threads();                                                                                                 \
	cblas_sgemm(CblasRowMajor, ta, tb, (blasint)m, (blasint)n, (blasint)k, alpha, a, (blasint)lda, b,              \
		    (blasint)ldb, beta, c, (blasint)ldc)

void blas_nt(const struct device *dev, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
	     const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
	(void)dev;
	if (!fits(m, n, k) || !fits(lda, ldb, ldc)) {
		plain(m, n, k, alpha, a, lda, 1, b, 1, ldb, beta, c, ldc);
		return;
	}
	GEMM(CblasNoTrans, CblasTrans);
}

void blas_nn(const struct device *dev, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
	     const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
	(void)dev;
	if (!fits(m, n, k) || !fits(lda, ldb, ldc)) {
		plain(m, n, k, alpha, a, lda, 1, b, ldb, 1, beta, c, ldc);
		return;
	}
	GEMM(CblasNoTrans, CblasNoTrans);
}

void blas_tn(const struct device *dev, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
	     const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
	(void)dev;
	if (!fits(m, n, k) || !fits(lda, ldb, ldc)) {
		plain(m, n, k, alpha, a, 1, lda, b, ldb, 1, beta, c, ldc);
		return;
	}
	GEMM(CblasTrans, CblasNoTrans);
}

void blas_describe(struct backend_info *info)
{
	static const char *const threading[] = {
		[OPENBLAS_SEQUENTIAL] = "serial", [OPENBLAS_THREAD] = "pthread", [OPENBLAS_OPENMP] = "openmp"};
	int parallel = openblas_get_parallel();
	char name[64] = "", version[32] = "";

	/* "OpenBLAS 0.3.21 NO_LAPACKE …"; old releases leave out the number */
	sscanf(openblas_get_config(), "%63s %31[0-9.]", name, version);
	snprintf(info->library, sizeof info->library, "%s%s%s", name, *version ? " " : "", version);
	snprintf(info->core, sizeof info->core, "%s", openblas_get_corename());
	snprintf(info->threading, sizeof info->threading, "%s",
		 parallel >= 0 && parallel <= OPENBLAS_OPENMP ? threading[parallel] : "unknown");
}
