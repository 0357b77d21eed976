// SPDX-License-Identifier: Apache-2.0
/* Logits of rows, for decoding. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "backends/cpu/head.h"

#include "reference/check.h"

extern const struct vec_head vec_head_base;
#if HAVE_VEC_AVX2
extern const struct vec_head vec_head_avx2;
#endif
#if HAVE_VEC_AVX512
extern const struct vec_head vec_head_avx512;
#endif

static const struct vec_head *const levels[VEC_LEVEL_COUNT] = {
	[VEC_LEVEL_BASE] = &vec_head_base,
#if HAVE_VEC_AVX2
	[VEC_LEVEL_AVX2] = &vec_head_avx2,
#endif
#if HAVE_VEC_AVX512
	[VEC_LEVEL_AVX512] = &vec_head_avx512,
#endif
};

const struct vec_head *vec_head_of(const struct device *dev)
{
	return levels[cpu_of(dev)->vec->level];
}

bool head_f32(struct device *dev, const char *op, struct view v)
{
	if (view_present(v) && v.dtype != DTYPE_F32)
		device_fail(dev, op, "rows are %s, expected f32", dtype_name(v.dtype));
	return !dev->failure[0];
}

struct norm {
	const struct vec *vec;
	struct view x;
	const float *w;
	float *h, eps;
};

static void norm_rows(void *work, int64_t first, int64_t count, int lane)
{
	const struct norm *norm = work;
	int64_t hidden = norm->x.cols;

	(void)lane;
	for (int64_t row = first; row < first + count; row++)
		norm->vec->rmsnorm(norm->h + row * hidden, row_f32(norm->x, row), norm->w, norm->eps, hidden);
}

void cpu_logits(struct device *dev, struct view y, struct view x, const struct head_params *params)
{
	static const char op[] = "logits";
	struct norm norm = {.vec = cpu_of(dev)->vec, .x = x, .eps = params->eps};
	size_t used = dev->scratch_used;
	struct lanes panels;

	if (!check_logits(dev, y, x, params) || !head_f32(dev, op, x) || !head_f32(dev, op, y))
		return;
	norm.w = expanded(dev, op, params->norm_w);
	norm.h = device_scratch(dev, op, (size_t)(x.rows * x.cols) * sizeof *norm.h);
	panels = lanes_take(dev, op, dev->threads, panel_of(dev));
	if (!dev->failure[0]) {
		struct product product = {row_f32(y, 0), y.ld, norm.h, x.cols, params->w->w[0], false, params->w, 0};

		product_threads(dev);
		team_rows(dev, x.rows, x.cols, norm_rows, &norm);
		product_nt(dev, &product, 1, x.rows, TEAM, &panels);
	}
	dev->scratch_used = used;
}

size_t cpu_logits_scratch(const struct device *dev, const struct shape *shape)
{
	return (size_t)((shape->rows + 1) * shape->hidden) * sizeof(float) + lanes_bytes(dev->threads, panel_of(dev)) +
	       4 * 64;
}
