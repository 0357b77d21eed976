// SPDX-License-Identifier: Apache-2.0
/*
 * backend.h - backends by name.
 *
 * The reference is built in. Every other backend is a module,
 * baldistill-NAME.so in the package's library folder (or in the folder that
 * BALDISTILL_MODULE_DIR names), which exports one object, baldistill_backend,
 * so that the program starts on machines without the module's libraries.
 *
 *     struct err err;
 *     struct device_options options = {.threads = 0};
 *     struct device *dev = backend_open("auto", &options, &err);
 *     …
 *     backend_close(dev);
 *
 * backend_open sets OPENBLAS_CORETYPE, unless the user has, before the
 * OpenBLAS module is loaded: its library reads it in its constructor, and old
 * releases take their Haswell kernels on CPUs they do not know, at half speed.
 *
 * "auto" takes the first usable one of backend_names; for bf16 the first that
 * computes in it, where there is one (openblas stores bf16, computes in f32).
 */
#ifndef BALDISTILL_BACKENDS_BACKEND_H
#define BALDISTILL_BACKENDS_BACKEND_H

#include "reference/kernel.h"
#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BACKEND_ABI 3

struct device_options {
	int threads;          /* 0: as many as the process may use */
	bool batch_invariant; /* CONTRACT: rows do not depend on their neighbours, exactly */
	enum dtype dtype;     /* DTYPE_BF16: products and activations in bf16 where the backend can, else f32 */
};

/* What this build and machine can do with one backend. */
struct backend_info {
	char name[16];
	bool built;        /* the module is there */
	bool broken;       /* it is, and it or its device cannot be opened: "auto" does not silently take another for it */
	bool no_memory;    /* that is the reason */
	bool usable;
	char reason[256];  /* why not usable; "" otherwise */
	char library[128]; /* "OpenBLAS 0.3.21" */
	char core[32];     /* kernels the library took: "SkylakeX"; a GPU's name */
	char threading[32];/* "openmp", "pthread", "serial", "cuda" */
	char level[32];    /* vector code of our own: "avx512" */
	char dtypes[64];   /* arithmetic: "float32", "float32 bfloat16" */
	int threads;
};

/* The object a module exports under the name baldistill_backend. */
struct backend {
	int abi;           /* BACKEND_ABI of the build */
	const char *name;
	/* Fill all but name and built. */
	void (*probe)(struct backend_info *info);
	struct device *(*open)(const struct device_options *options, struct err *err);
	void (*close)(struct device *dev);
	/* The library's own product C[n,n] = A B^T of host arrays in `dtype` (C is f32), for roofs; -1 where it has none. */
	int (*product)(struct device *dev, int64_t n, float *c, const void *a, const void *b, enum dtype dtype);
};

/* Names in the order "auto" tries them, ends with "reference" and NULL. */
extern const char *const backend_names[];

/*
 * Open by name or "auto". ERR_CONFIG for an unknown name, ERR_UNAVAILABLE for one that is not built or not usable,
 * ERR_MEMORY for one that memory is short for, and for "auto" where one that is built cannot be opened; for "auto"
 * also ERR_UNAVAILABLE where nothing but the reference is found although this build made another.
 */
struct device *backend_open(const char *name, const struct device_options *options, struct err *err);
void backend_close(struct device *dev);

/* What "auto" takes for a device of `dtype`, "none" where backend_open would fail. Opens nothing. */
const char *backend_automatic(enum dtype dtype);

/* What `backends` shows for one name. */
void backend_probe(const char *name, struct backend_info *info);

/* The backend a device was opened by. */
const struct backend *backend_of(const struct device *dev);

/*
 * The core type that backend_open asks OpenBLAS for on this CPU, NULL where
 * the library's own choice stands.
 */
const char *backend_openblas_core(void);

#ifdef __cplusplus
}
#endif
#endif
