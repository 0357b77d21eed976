// SPDX-License-Identifier: Apache-2.0
/*
 * onednn_host.c - oneDNN as far as backends/onednn needs it, in plain C: a CPU
 * that multiplies bf16, whose favourite layout of weights is one that nobody
 * would take for a plain array: strips of 16 columns, each [K][16], the last
 * filled up with zeros. A product refuses weights in any layout but that and
 * plain ones, so what was never packed, or packed for another use, shows.
 */
#include "tests/onednn_host/oneapi/dnnl/dnnl.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { STRIP = 16 };

struct dnnl_engine {
	int none;
};
struct dnnl_stream {
	int none;
};
struct dnnl_post_ops {
	bool add;
};
struct dnnl_primitive_attr {
	bool add;
};
struct dnnl_memory_desc {
	dnnl_dim_t rows, cols, stride[2];
	dnnl_data_type_t type;
	enum { ANY = 1, PLAIN, STRIPS } kind;
};
struct dnnl_memory {
	struct dnnl_memory_desc desc;
	void *data;
};
struct dnnl_primitive_desc {
	bool product, add;
	struct dnnl_memory_desc x, b, y; /* of a copy: from x to y */
};
struct dnnl_primitive {
	struct dnnl_primitive_desc desc;
};

/* A new object at *out with the value given. */
#define GIVE(out, ...)                                                                                                 \
	do {                                                                                                           \
		*(out) = malloc(sizeof **(out));                                                                       \
		if (!*(out))                                                                                           \
			return dnnl_out_of_memory;                                                                     \
		**(out) = (__VA_ARGS__);                                                                               \
		return dnnl_success;                                                                                   \
	} while (0)

#define DESTROY(name)                                                                                                  \
	dnnl_status_t name##_destroy(name##_t object)                                                                  \
	{                                                                                                              \
		free(object);                                                                                          \
		return dnnl_success;                                                                                   \
	}
DESTROY(dnnl_engine)
DESTROY(dnnl_stream)
DESTROY(dnnl_memory_desc)
DESTROY(dnnl_memory)
DESTROY(dnnl_post_ops)
DESTROY(dnnl_primitive_attr)
DESTROY(dnnl_primitive_desc)
DESTROY(dnnl_primitive)

const dnnl_version_t *dnnl_version(void)
{
	static const dnnl_version_t version = {3, 5, 0};
	return &version;
}

dnnl_cpu_isa_t dnnl_get_effective_cpu_isa(void)
{
	return dnnl_cpu_isa_avx512_core_bf16;
}

dnnl_status_t dnnl_engine_create(dnnl_engine_t *out, dnnl_engine_kind_t kind, size_t index)
{
	if (kind != dnnl_cpu || index)
		return dnnl_invalid_arguments;
	GIVE(out, (struct dnnl_engine){0});
}

dnnl_status_t dnnl_stream_create(dnnl_stream_t *out, dnnl_engine_t engine, unsigned flags)
{
	if (!engine || flags != dnnl_stream_default_flags)
		return dnnl_invalid_arguments;
	GIVE(out, (struct dnnl_stream){0});
}

dnnl_status_t dnnl_stream_wait(dnnl_stream_t stream)
{
	return stream ? dnnl_success : dnnl_invalid_arguments;
}

/* ---- memory ------------------------------------------------------------------------ */

dnnl_status_t dnnl_memory_desc_create_with_strides(dnnl_memory_desc_t *out, int n, const dnnl_dims_t dims,
						   dnnl_data_type_t type, const dnnl_dims_t strides)
{
	if (n != 2)
		return dnnl_unimplemented;
	GIVE(out, (struct dnnl_memory_desc){dims[0], dims[1], {strides[0], strides[1]}, type, PLAIN});
}

dnnl_status_t dnnl_memory_desc_create_with_tag(dnnl_memory_desc_t *out, int n, const dnnl_dims_t dims,
					       dnnl_data_type_t type, dnnl_format_tag_t tag)
{
	if (n != 2 || tag != dnnl_format_tag_any)
		return dnnl_unimplemented;
	GIVE(out, (struct dnnl_memory_desc){dims[0], dims[1], {0, 0}, type, ANY});
}

dnnl_status_t dnnl_memory_desc_clone(dnnl_memory_desc_t *out, const_dnnl_memory_desc_t from)
{
	GIVE(out, *from);
}

int dnnl_memory_desc_equal(const_dnnl_memory_desc_t a, const_dnnl_memory_desc_t b)
{
	return a->rows == b->rows && a->cols == b->cols && a->type == b->type && a->kind == b->kind &&
	       a->stride[0] == b->stride[0] && a->stride[1] == b->stride[1];
}

static size_t size_of(dnnl_data_type_t type)
{
	return type == dnnl_f32 ? 4 : 2;
}

size_t dnnl_memory_desc_get_size(const_dnnl_memory_desc_t desc)
{
	dnnl_dim_t elements = desc->kind == STRIPS
				      ? desc->rows * ((desc->cols + STRIP - 1) / STRIP * STRIP)
				      : (desc->rows - 1) * desc->stride[0] + (desc->cols - 1) * desc->stride[1] + 1;

	return (size_t)elements * size_of(desc->type);
}

dnnl_status_t dnnl_memory_create(dnnl_memory_t *out, const_dnnl_memory_desc_t desc, dnnl_engine_t engine, void *data)
{
	if (!engine || desc->kind == ANY)
		return dnnl_invalid_arguments;
	if (data && desc->kind == STRIPS)
		memset(data, 0, dnnl_memory_desc_get_size(desc));
	GIVE(out, (struct dnnl_memory){*desc, data});
}

dnnl_status_t dnnl_memory_set_data_handle(dnnl_memory_t memory, void *data)
{
	memory->data = data;
	return dnnl_success;
}

/* Where element (i, j) lies. */
static size_t place(const struct dnnl_memory_desc *desc, dnnl_dim_t i, dnnl_dim_t j)
{
	dnnl_dim_t at = desc->kind == STRIPS ? (j / STRIP * desc->rows + i) * STRIP + j % STRIP
					     : i * desc->stride[0] + j * desc->stride[1];

	return (size_t)at * size_of(desc->type);
}

static float element(const struct dnnl_memory *m, dnnl_dim_t i, dnnl_dim_t j)
{
	const char *at = (const char *)m->data + place(&m->desc, i, j);
	uint32_t bits = 0;
	float value;

	if (m->desc.type == dnnl_f32)
		memcpy(&bits, at, sizeof bits);
	else
		memcpy((char *)&bits + 2, at, 2);
	memcpy(&value, &bits, sizeof value);
	return value;
}

/* ---- primitives -------------------------------------------------------------------- */

dnnl_status_t dnnl_post_ops_create(dnnl_post_ops_t *out)
{
	GIVE(out, (struct dnnl_post_ops){false});
}

dnnl_status_t dnnl_post_ops_append_sum(dnnl_post_ops_t ops, float scale, int32_t zero, dnnl_data_type_t type)
{
	if (scale != 1 || zero || type != dnnl_data_type_undef)
		return dnnl_unimplemented;
	ops->add = true;
	return dnnl_success;
}

dnnl_status_t dnnl_primitive_attr_create(dnnl_primitive_attr_t *out)
{
	GIVE(out, (struct dnnl_primitive_attr){false});
}

dnnl_status_t dnnl_primitive_attr_set_post_ops(dnnl_primitive_attr_t attr, const_dnnl_post_ops_t ops)
{
	attr->add = ops->add;
	return dnnl_success;
}

dnnl_status_t dnnl_primitive_attr_set_fpmath_mode(dnnl_primitive_attr_t attr, dnnl_fpmath_mode_t mode)
{
	return attr && mode == dnnl_fpmath_mode_strict ? dnnl_success : dnnl_invalid_arguments;
}

dnnl_status_t dnnl_matmul_primitive_desc_create(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
						const_dnnl_memory_desc_t x, const_dnnl_memory_desc_t b,
						const_dnnl_memory_desc_t bias, const_dnnl_memory_desc_t y,
						const_dnnl_primitive_attr_t attr)
{
	bool shapes = x->rows == y->rows && x->cols == b->rows && b->cols == y->cols;
	bool types = x->type == b->type && y->type == dnnl_f32;
	struct dnnl_memory_desc weights = *b;

	if (!engine || bias || !shapes || !types || x->kind != PLAIN || y->kind != PLAIN || x->stride[1] != 1 ||
	    y->stride[1] != 1)
		return dnnl_invalid_arguments;
	if (weights.kind == ANY)
		weights.kind = STRIPS;
	if (weights.kind == STRIPS && (x->stride[0] != x->cols || y->stride[0] != y->cols))
		return dnnl_unimplemented; /* the library would fall back to plain loops */
	GIVE(out, (struct dnnl_primitive_desc){true, attr && attr->add, *x, weights, *y});
}

dnnl_status_t dnnl_reorder_primitive_desc_create(dnnl_primitive_desc_t *out, const_dnnl_memory_desc_t from,
						 dnnl_engine_t from_engine, const_dnnl_memory_desc_t to,
						 dnnl_engine_t to_engine, const_dnnl_primitive_attr_t attr)
{
	if (from_engine != to_engine || attr || from->rows != to->rows || from->cols != to->cols ||
	    from->type != to->type)
		return dnnl_invalid_arguments;
	GIVE(out, (struct dnnl_primitive_desc){false, false, *from, {0}, *to});
}

const_dnnl_memory_desc_t dnnl_primitive_desc_query_md(const_dnnl_primitive_desc_t desc, dnnl_query_t what, int index)
{
	return desc->product && what == dnnl_query_weights_md && index == 0 ? &desc->b : NULL;
}

dnnl_status_t dnnl_primitive_create(dnnl_primitive_t *out, const_dnnl_primitive_desc_t desc)
{
	GIVE(out, (struct dnnl_primitive){*desc});
}

static struct dnnl_memory *argument(int n, const dnnl_exec_arg_t *args, int which)
{
	for (int i = 0; i < n; i++)
		if (args[i].arg == which)
			return args[i].memory;
	return NULL;
}

static void copy(const struct dnnl_memory *from, struct dnnl_memory *to)
{
	for (dnnl_dim_t i = 0; i < to->desc.rows; i++)
		for (dnnl_dim_t j = 0; j < to->desc.cols; j++)
			memcpy((char *)to->data + place(&to->desc, i, j),
			       (const char *)from->data + place(&from->desc, i, j), size_of(to->desc.type));
}

static void product(const struct dnnl_memory *x, const struct dnnl_memory *b, const struct dnnl_memory *y, bool add)
{
	dnnl_dim_t k = b->desc.rows, n = b->desc.cols;
	float *row = malloc((size_t)(n + 1) * sizeof *row);

	for (dnnl_dim_t t = 0; t < y->desc.rows; t++) {
		float *out = (float *)y->data + t * y->desc.stride[0];

		memset(row, 0, (size_t)n * sizeof *row);
		for (dnnl_dim_t i = 0; i < k; i++) {
			float factor = element(x, t, i);

			for (dnnl_dim_t j = 0; j < n; j++)
				row[j] += factor * element(b, i, j);
		}
		for (dnnl_dim_t j = 0; j < n; j++)
			out[j] = row[j] + (add ? out[j] : 0);
	}
	free(row);
}

dnnl_status_t dnnl_primitive_execute(const_dnnl_primitive_t primitive, dnnl_stream_t stream, int n,
				     const dnnl_exec_arg_t *args)
{
	const struct dnnl_primitive_desc *desc = &primitive->desc;
	struct dnnl_memory *x = argument(n, args, DNNL_ARG_SRC), *y = argument(n, args, DNNL_ARG_DST);
	struct dnnl_memory *b = argument(n, args, DNNL_ARG_WEIGHTS);

	if (!stream || !x || !y || !dnnl_memory_desc_equal(&x->desc, &desc->x) ||
	    !dnnl_memory_desc_equal(&y->desc, &desc->y))
		return dnnl_invalid_arguments;
	if (!desc->product) {
		copy(x, y);
		return dnnl_success;
	}
	if (!b || !dnnl_memory_desc_equal(&b->desc, &desc->b))
		return dnnl_invalid_arguments;
	product(x, b, y, desc->add);
	return dnnl_success;
}

bool onednn_host_short; /* the library has no memory for sgemm's packing */

dnnl_status_t dnnl_sgemm(char transa, char transb, dnnl_dim_t m, dnnl_dim_t n, dnnl_dim_t k, float alpha,
			 const float *a, dnnl_dim_t lda, const float *b, dnnl_dim_t ldb, float beta, float *c,
			 dnnl_dim_t ldc)
{
	if (onednn_host_short)
		return dnnl_out_of_memory;
	for (dnnl_dim_t i = 0; i < m; i++)
		for (dnnl_dim_t j = 0; j < n; j++) {
			double sum = 0;

			for (dnnl_dim_t p = 0; p < k; p++)
				sum += (double)(transa == 'T' ? a[p * lda + i] : a[i * lda + p]) *
				       (double)(transb == 'T' ? b[j * ldb + p] : b[p * ldb + j]);
			c[i * ldc + j] = alpha * (float)sum + (beta != 0 ? beta * c[i * ldc + j] : 0);
		}
	return dnnl_success;
}
