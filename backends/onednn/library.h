// SPDX-License-Identifier: Apache-2.0
/*
 * library.h - oneDNN's interface where 2.x and 3.x differ: memory descriptors
 * are values in the one and handles in the other, and a product's description
 * comes in one step instead of two. Each function returns 0, or another value where oneDNN
 * refuses.
 */
#ifndef BALDISTILL_BACKENDS_ONEDNN_LIBRARY_H
#define BALDISTILL_BACKENDS_ONEDNN_LIBRARY_H

#include <oneapi/dnnl/dnnl.h>

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t layout;
#define LAYOUT(l) (l)

static inline int layout_strided(layout *out, const dnnl_dims_t dims, dnnl_data_type_t type, const dnnl_dims_t strides)
{
	return dnnl_memory_desc_create_with_strides(out, 2, dims, type, strides) != dnnl_success;
}

static inline int layout_any(layout *out, const dnnl_dims_t dims, dnnl_data_type_t type)
{
	return dnnl_memory_desc_create_with_tag(out, 2, dims, type, dnnl_format_tag_any) != dnnl_success;
}

static inline int layout_copy(layout *out, const_dnnl_memory_desc_t from)
{
	return dnnl_memory_desc_clone(out, from) != dnnl_success;
}

static inline void layout_release(layout *l)
{
	if (*l)
		dnnl_memory_desc_destroy(*l);
}

static inline int product_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const layout *x, const layout *b,
				   const layout *y, const_dnnl_primitive_attr_t attr)
{
	return dnnl_matmul_primitive_desc_create(out, engine, *x, *b, NULL, *y, attr) != dnnl_success;
}

static inline int product_adds(dnnl_post_ops_t ops)
{
	return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef) != dnnl_success;
}

#else

typedef dnnl_memory_desc_t layout;
#define LAYOUT(l) (&(l))

static inline int layout_strided(layout *out, const dnnl_dims_t dims, dnnl_data_type_t type, const dnnl_dims_t strides)
{
	return dnnl_memory_desc_init_by_strides(out, 2, dims, type, strides) != dnnl_success;
}

static inline int layout_any(layout *out, const dnnl_dims_t dims, dnnl_data_type_t type)
{
	return dnnl_memory_desc_init_by_tag(out, 2, dims, type, dnnl_format_tag_any) != dnnl_success;
}

static inline int layout_copy(layout *out, const dnnl_memory_desc_t *from)
{
	*out = *from;
	return 0;
}

static inline void layout_release(layout *l)
{
	(void)l;
}

static inline int product_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine, const layout *x, const layout *b,
				   const layout *y, const_dnnl_primitive_attr_t attr)
{
	dnnl_matmul_desc_t desc;
	return dnnl_matmul_desc_init(&desc, x, b, NULL, y) ||
	       dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

static inline int product_adds(dnnl_post_ops_t ops)
{
	return dnnl_post_ops_append_sum(ops, 1) != dnnl_success;
}

#endif

/* A plain [rows, cols] with the given strides. */
static inline int layout_plain(layout *out, int64_t rows, int64_t cols, dnnl_data_type_t type, int64_t row_stride,
			       int64_t col_stride)
{
	const dnnl_dims_t dims = {rows, cols}, strides = {row_stride, col_stride};

	return layout_strided(out, dims, type, strides);
}

#endif
