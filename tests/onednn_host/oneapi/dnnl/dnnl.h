// SPDX-License-Identifier: Apache-2.0
/*
 * The part of oneDNN 3's interface that backends/onednn uses, so that it also
 * compiles and runs where there is no such library, or no CPU that multiplies
 * bf16. onednn_host.c says what each function does here.
 */
#ifndef BALDISTILL_TESTS_ONEDNN_HOST_H
#define BALDISTILL_TESTS_ONEDNN_HOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DNNL_VERSION_MAJOR 3
#define DNNL_MAX_NDIMS     12
#define DNNL_MEMORY_NONE   NULL

enum { DNNL_ARG_SRC = 1, DNNL_ARG_FROM = 1, DNNL_ARG_DST = 17, DNNL_ARG_TO = 17, DNNL_ARG_WEIGHTS = 33 };

typedef enum { dnnl_success, dnnl_out_of_memory, dnnl_invalid_arguments, dnnl_unimplemented } dnnl_status_t;
typedef enum { dnnl_data_type_undef = 0, dnnl_bf16 = 2, dnnl_f32 = 3 } dnnl_data_type_t;
typedef enum { dnnl_format_tag_any = 1 } dnnl_format_tag_t;
typedef enum { dnnl_cpu = 1 } dnnl_engine_kind_t;
typedef enum { dnnl_stream_default_flags = 1 } dnnl_stream_flags_t;
typedef enum { dnnl_query_weights_md = 131 } dnnl_query_t;
typedef enum { dnnl_fpmath_mode_strict = 0 } dnnl_fpmath_mode_t;
typedef enum {
	dnnl_cpu_isa_sse41 = 0x1,
	dnnl_cpu_isa_avx2 = 0x7,
	dnnl_cpu_isa_avx512_core = 0x27,
	dnnl_cpu_isa_avx512_core_bf16 = 0xe7,
	dnnl_cpu_isa_avx512_core_amx = 0x3e7
} dnnl_cpu_isa_t;
typedef int64_t dnnl_dim_t;
typedef dnnl_dim_t dnnl_dims_t[DNNL_MAX_NDIMS];
typedef struct {
	int major, minor, patch;
} dnnl_version_t;

#define HANDLE(name)                                                                                                   \
	typedef struct name *name##_t;                                                                                 \
	typedef const struct name *const_##name##_t
HANDLE(dnnl_engine);
HANDLE(dnnl_stream);
HANDLE(dnnl_memory_desc);
HANDLE(dnnl_memory);
HANDLE(dnnl_post_ops);
HANDLE(dnnl_primitive_attr);
HANDLE(dnnl_primitive_desc);
HANDLE(dnnl_primitive);
#undef HANDLE

typedef struct {
	int arg;
	dnnl_memory_t memory;
} dnnl_exec_arg_t;

const dnnl_version_t *dnnl_version(void);
dnnl_cpu_isa_t dnnl_get_effective_cpu_isa(void);

dnnl_status_t dnnl_engine_create(dnnl_engine_t *out, dnnl_engine_kind_t kind, size_t index);
dnnl_status_t dnnl_engine_destroy(dnnl_engine_t engine);
dnnl_status_t dnnl_stream_create(dnnl_stream_t *out, dnnl_engine_t engine, unsigned flags);
dnnl_status_t dnnl_stream_wait(dnnl_stream_t stream);
dnnl_status_t dnnl_stream_destroy(dnnl_stream_t stream);

dnnl_status_t dnnl_memory_desc_create_with_strides(dnnl_memory_desc_t *out, int n, const dnnl_dims_t dims,
						   dnnl_data_type_t type, const dnnl_dims_t strides);
dnnl_status_t dnnl_memory_desc_create_with_tag(dnnl_memory_desc_t *out, int n, const dnnl_dims_t dims,
					       dnnl_data_type_t type, dnnl_format_tag_t tag);
dnnl_status_t dnnl_memory_desc_clone(dnnl_memory_desc_t *out, const_dnnl_memory_desc_t from);
dnnl_status_t dnnl_memory_desc_destroy(dnnl_memory_desc_t desc);
int dnnl_memory_desc_equal(const_dnnl_memory_desc_t a, const_dnnl_memory_desc_t b);
size_t dnnl_memory_desc_get_size(const_dnnl_memory_desc_t desc);

dnnl_status_t dnnl_memory_create(dnnl_memory_t *out, const_dnnl_memory_desc_t desc, dnnl_engine_t engine, void *data);
dnnl_status_t dnnl_memory_set_data_handle(dnnl_memory_t memory, void *data);
dnnl_status_t dnnl_memory_destroy(dnnl_memory_t memory);

dnnl_status_t dnnl_post_ops_create(dnnl_post_ops_t *out);
dnnl_status_t dnnl_post_ops_append_sum(dnnl_post_ops_t ops, float scale, int32_t zero, dnnl_data_type_t type);
dnnl_status_t dnnl_post_ops_destroy(dnnl_post_ops_t ops);
dnnl_status_t dnnl_primitive_attr_create(dnnl_primitive_attr_t *out);
dnnl_status_t dnnl_primitive_attr_set_fpmath_mode(dnnl_primitive_attr_t attr, dnnl_fpmath_mode_t mode);
dnnl_status_t dnnl_primitive_attr_set_post_ops(dnnl_primitive_attr_t attr, const_dnnl_post_ops_t ops);
dnnl_status_t dnnl_primitive_attr_destroy(dnnl_primitive_attr_t attr);

dnnl_status_t dnnl_matmul_primitive_desc_create(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
						const_dnnl_memory_desc_t x, const_dnnl_memory_desc_t b,
						const_dnnl_memory_desc_t bias, const_dnnl_memory_desc_t y,
						const_dnnl_primitive_attr_t attr);
dnnl_status_t dnnl_reorder_primitive_desc_create(dnnl_primitive_desc_t *out, const_dnnl_memory_desc_t from,
						 dnnl_engine_t from_engine, const_dnnl_memory_desc_t to,
						 dnnl_engine_t to_engine, const_dnnl_primitive_attr_t attr);
const_dnnl_memory_desc_t dnnl_primitive_desc_query_md(const_dnnl_primitive_desc_t desc, dnnl_query_t what, int index);
dnnl_status_t dnnl_primitive_desc_destroy(dnnl_primitive_desc_t desc);
dnnl_status_t dnnl_primitive_create(dnnl_primitive_t *out, const_dnnl_primitive_desc_t desc);
dnnl_status_t dnnl_primitive_execute(const_dnnl_primitive_t primitive, dnnl_stream_t stream, int n,
				     const dnnl_exec_arg_t *args);
dnnl_status_t dnnl_primitive_destroy(dnnl_primitive_t primitive);

dnnl_status_t dnnl_sgemm(char transa, char transb, dnnl_dim_t m, dnnl_dim_t n, dnnl_dim_t k, float alpha,
			 const float *a, dnnl_dim_t lda, const float *b, dnnl_dim_t ldb, float beta, float *c,
			 dnnl_dim_t ldc);

#ifdef __cplusplus
}
#endif
#endif
