// SPDX-License-Identifier: Apache-2.0
/* Argument checks of the primitives, and the walker behind all checks. */
#include <stdio.h>

#include "reference/check_internal.h"

static bool kind_fits(enum check_kind kind, enum dtype dtype)
{
	static const enum dtype exact[] = {[CHECK_F32] = DTYPE_F32, [CHECK_I32] = DTYPE_I32, [CHECK_U64] = DTYPE_U64,
					   [CHECK_U8] = DTYPE_U8};
	if (kind == CHECK_FLOAT)
		return dtype == DTYPE_F32 || dtype == DTYPE_BF16 || dtype == DTYPE_F16;
	return kind == CHECK_ANY || dtype == exact[kind];
}

bool check_view(struct device *dev, const char *op, const char *name, struct view v, enum check_kind kind)
{
	if (dev->failure[0])
		return false;
	if (!v.buffer || v.rows < 0 || v.cols < 0 || v.offset < 0 || (v.ld < v.cols && v.rows > 1)) {
		device_fail(dev, op, "%s is absent or malformed", name);
		return false;
	}
	if (!kind_fits(kind, v.dtype)) {
		device_fail(dev, op, "%s holds %s, which is not what the operation takes", name, dtype_name(v.dtype));
		return false;
	}
	int64_t end = v.rows && v.cols ? v.offset + (v.rows - 1) * v.ld + v.cols : 0;
	if ((size_t)end * dtype_size(v.dtype) > v.buffer->bytes) {
		device_fail(dev, op, "%s ends at byte %zu of a buffer of %zu", name, (size_t)end * dtype_size(v.dtype),
			    v.buffer->bytes);
		return false;
	}
	return true;
}

static const char *extent(char *text, size_t size, int64_t n)
{
	snprintf(text, size, n < 0 ? "any" : "%lld", (long long)n);
	return text;
}

bool check_expected(struct device *dev, const char *op, const struct expect list[], size_t n)
{
	char rows[24], cols[24];
	for (const struct expect *e = list; e < list + n; e++) {
		if (e->optional && !e->v.buffer)
			continue;
		if (!check_view(dev, op, e->name, e->v, e->kind))
			return false;
		if ((e->rows >= 0 && e->v.rows != e->rows) || (e->cols >= 0 && e->v.cols != e->cols)) {
			device_fail(dev, op, "%s is [%lld, %lld], expected [%s, %s]", e->name, (long long)e->v.rows,
				    (long long)e->v.cols, extent(rows, sizeof rows, e->rows),
				    extent(cols, sizeof cols, e->cols));
			return false;
		}
	}
	return !dev->failure[0];
}

bool check_weight(struct device *dev, const char *op, const struct weight *w, int n, const int64_t out[], int64_t in)
{
	if (!w || w->n < n) {
		device_fail(dev, op, "the group of weights is not prepared");
		return false;
	}
	for (int i = 0; i < n; i++) {
		const struct expect list[] = {{"weight", w->w[i], out[i], in, CHECK_FLOAT, false}};
		if (!CHECK(dev, op, list))
			return false;
	}
	return true;
}

bool check_adapter(struct device *dev, const char *op, const struct lora *lora, const struct dropout *drop,
		   int64_t out, int64_t in, int64_t rows)
{
	if (!lora)
		return !dev->failure[0];
	const struct expect list[] = {
		{"lora A", lora->a, -1, in, CHECK_F32, false},
		{"lora B", lora->b, out, lora->a.rows, CHECK_F32, false},
		{"lora dA", lora->da, lora->a.rows, in, CHECK_F32, true},
		{"lora dB", lora->db, out, lora->a.rows, CHECK_F32, true},
		{"dropout state", drop ? drop->state : view_none(), 1, 2, CHECK_U64, !drop},
		{"dropout row key", drop ? drop->row_key : view_none(), 1, rows, CHECK_U64, !drop},
	};
	if (!(lora->p >= 0 && lora->p < 1)) {
		device_fail(dev, op, "dropout %g is not in [0, 1)", (double)lora->p);
		return false;
	}
	return CHECK(dev, op, list);
}

bool check_range(struct device *dev, const char *op, const char *name, struct view v, int64_t low, int64_t high)
{
	const int32_t *at = v.cols && !dev->remote ? view_row(v, 0) : NULL;
	for (int64_t j = 0; at && j < v.cols; j++) {
		if (at[j] >= low && at[j] < high)
			continue;
		device_fail(dev, op, "%s[%lld] is %d, not in [%lld, %lld)", name, (long long)j, at[j], (long long)low,
			    (long long)high);
		return false;
	}
	return true;
}

bool check_rmsnorm(struct device *dev, struct view y, struct view x, struct view w)
{
	const struct expect list[] = {
		{"x", x, -1, -1, CHECK_FLOAT, false},
		{"y", y, x.rows, x.cols, CHECK_FLOAT, false},
		{"w", w, 1, x.cols, CHECK_FLOAT, false},
	};
	return CHECK(dev, "rmsnorm", list);
}

bool check_rmsnorm_backward(struct device *dev, struct view dx, struct view dw, struct view dy, struct view x,
			    struct view w)
{
	const struct expect list[] = {
		{"x", x, -1, -1, CHECK_FLOAT, false},
		{"dx", dx, x.rows, x.cols, CHECK_FLOAT, true},
		{"dw", dw, 1, x.cols, CHECK_F32, true},
		{"dy", dy, x.rows, x.cols, CHECK_FLOAT, false},
		{"w", w, 1, x.cols, CHECK_FLOAT, false},
	};
	return CHECK(dev, "rmsnorm_backward", list);
}

static bool check_member(struct device *dev, const char *op, const struct weight *w, int i)
{
	if (w && i >= 0 && i < w->n)
		return !dev->failure[0];
	device_fail(dev, op, "matrix %d is not in the group", i);
	return false;
}

bool check_linear(struct device *dev, struct view y, struct view x, const struct weight *w, int i, struct view bias)
{
	if (!check_member(dev, "linear", w, i))
		return false;
	const struct expect list[] = {
		{"weight", w->w[i], -1, -1, CHECK_FLOAT, false},
		{"x", x, -1, w->w[i].cols, CHECK_FLOAT, false},
		{"y", y, x.rows, w->w[i].rows, CHECK_FLOAT, false},
		{"bias", bias, 1, w->w[i].rows, CHECK_FLOAT, true},
	};
	return CHECK(dev, "linear", list);
}

bool check_linear_dx(struct device *dev, struct view dx, struct view dy, const struct weight *w, int i)
{
	if (!check_member(dev, "linear_dx", w, i))
		return false;
	const struct expect list[] = {
		{"weight", w->w[i], -1, -1, CHECK_FLOAT, false},
		{"dy", dy, -1, w->w[i].rows, CHECK_FLOAT, false},
		{"dx", dx, dy.rows, w->w[i].cols, CHECK_FLOAT, false},
	};
	return CHECK(dev, "linear_dx", list);
}

bool check_linear_dw(struct device *dev, struct view dw, struct view dbias, struct view dy, struct view x)
{
	const struct expect list[] = {
		{"x", x, -1, -1, CHECK_FLOAT, false},
		{"dy", dy, x.rows, -1, CHECK_FLOAT, false},
		{"dw", dw, dy.cols, x.cols, CHECK_F32, true},
		{"dbias", dbias, 1, dy.cols, CHECK_F32, true},
	};
	return CHECK(dev, "linear_dw", list);
}

bool check_lora(struct device *dev, struct view y, struct view xa, struct view x, const struct lora *lora,
		const struct dropout *drop)
{
	const struct expect list[] = {
		{"x", x, -1, -1, CHECK_FLOAT, false},
		{"y", y, x.rows, -1, CHECK_FLOAT, false},
		{"xa", xa, x.rows, lora->a.rows, CHECK_F32, false},
	};
	return CHECK(dev, "lora", list) && check_adapter(dev, "lora", lora, drop, y.cols, x.cols, x.rows);
}

bool check_lora_backward(struct device *dev, struct view dx, struct view dy, struct view x, struct view xa,
			 const struct lora *lora, const struct dropout *drop)
{
	const struct expect list[] = {
		{"x", x, -1, -1, CHECK_FLOAT, false},
		{"dx", dx, x.rows, x.cols, CHECK_FLOAT, true},
		{"dy", dy, x.rows, -1, CHECK_FLOAT, false},
		{"xa", xa, x.rows, lora->a.rows, CHECK_F32, false},
	};
	return CHECK(dev, "lora_backward", list) &&
	       check_adapter(dev, "lora_backward", lora, drop, dy.cols, x.cols, x.rows);
}

bool check_rope(struct device *dev, struct view x, struct view pos, const struct rope *rope, int head_dim)
{
	const struct expect list[] = {
		{"x", x, -1, -1, CHECK_FLOAT, false},
		{"pos", pos, 1, x.rows, CHECK_I32, false},
		{"cos", rope->cos, -1, head_dim / 2, CHECK_F32, false},
		{"sin", rope->sin, rope->cos.rows, head_dim / 2, CHECK_F32, false},
	};
	if (head_dim < 2 || head_dim % 2 || x.cols % head_dim) {
		device_fail(dev, "rope", "head size %d does not fit %lld columns", head_dim, (long long)x.cols);
		return false;
	}
	return CHECK(dev, "rope", list) && check_range(dev, "rope", "pos", pos, 0, rope->cos.rows);
}

bool check_same(struct device *dev, const char *op, struct view y, struct view a, struct view b)
{
	const struct expect list[] = {
		{"output", y, -1, -1, CHECK_FLOAT, false},
		{"first input", a, y.rows, y.cols, CHECK_FLOAT, false},
		{"second input", b, y.rows, y.cols, CHECK_FLOAT, false},
	};
	return CHECK(dev, op, list);
}

bool check_embed(struct device *dev, struct view y, const struct weight *w, struct view ids)
{
	if (!check_member(dev, "embed", w, 0))
		return false;
	const struct expect list[] = {
		{"weight", w->w[0], -1, -1, CHECK_FLOAT, false},
		{"y", y, -1, w->w[0].cols, CHECK_FLOAT, false},
		{"ids", ids, 1, y.rows, CHECK_I32, false},
	};
	return CHECK(dev, "embed", list) && check_range(dev, "embed", "ids", ids, 0, w->w[0].rows);
}

bool check_embed_backward(struct device *dev, struct view dw, struct view dy, struct view ids)
{
	const struct expect list[] = {
		{"dw", dw, -1, -1, CHECK_F32, false},
		{"dy", dy, -1, dw.cols, CHECK_FLOAT, false},
		{"ids", ids, 1, dy.rows, CHECK_I32, false},
	};
	return CHECK(dev, "embed_backward", list) && check_range(dev, "embed_backward", "ids", ids, 0, dw.rows);
}

bool check_rows(struct device *dev, const char *op, struct view many, struct view few, struct view row)
{
	const struct expect list[] = {
		{"few", few, -1, -1, CHECK_FLOAT, false},
		{"many", many, -1, few.cols, CHECK_FLOAT, false},
		{"row", row, 1, few.rows, CHECK_I32, false},
	};
	return CHECK(dev, op, list) && check_range(dev, op, "row", row, INT32_MIN, many.rows);
}

bool check_kv_append(struct device *dev, struct view cache_k, struct view cache_v, struct view k, struct view v,
		     struct view dst)
{
	const struct expect list[] = {
		{"k", k, -1, -1, CHECK_FLOAT, false},
		{"v", v, k.rows, k.cols, CHECK_FLOAT, false},
		{"cache k", cache_k, -1, k.cols, CHECK_FLOAT, false},
		{"cache v", cache_v, cache_k.rows, k.cols, CHECK_FLOAT, false},
		{"dst", dst, 1, k.rows, CHECK_I32, false},
	};
	return CHECK(dev, "kv_append", list) && check_range(dev, "kv_append", "dst", dst, INT32_MIN, cache_k.rows);
}

bool check_norm2(struct device *dev, struct view out, const struct view list[], int n)
{
	const struct expect scalar[] = {{"out", out, 1, 1, CHECK_F32, false}};
	bool good = CHECK(dev, "norm2", scalar);
	for (int i = 0; good && i < n; i++)
		good = check_view(dev, "norm2", "gradient", list[i], CHECK_FLOAT);
	return good;
}

bool check_adamw(struct device *dev, const struct adamw_item list[], int n, struct view hyper, struct view norm2)
{
	const struct expect scalars[] = {
		{"hyper", hyper, 1, ADAMW_HYPER, CHECK_F32, false},
		{"norm2", norm2, 1, 1, CHECK_F32, true},
	};
	if (!CHECK(dev, "adamw", scalars))
		return false;
	for (int i = 0; i < n; i++) {
		const struct expect tensors[] = {
			{"p", list[i].p, -1, -1, CHECK_F32, false},
			{"g", list[i].g, list[i].p.rows, list[i].p.cols, CHECK_F32, false},
			{"m", list[i].m, list[i].p.rows, list[i].p.cols, CHECK_F32, false},
			{"v", list[i].v, list[i].p.rows, list[i].p.cols, CHECK_F32, false},
			{"shadow", list[i].shadow, list[i].p.rows, list[i].p.cols, CHECK_FLOAT, true},
		};
		if (!CHECK(dev, "adamw", tensors))
			return false;
	}
	return true;
}

bool check_merge(struct device *dev, struct view out, struct view w, const struct lora *lora)
{
	const struct expect list[] = {
		{"w", w, -1, -1, CHECK_FLOAT, false},
		{"out", out, w.rows, w.cols, CHECK_FLOAT, false},
	};
	return CHECK(dev, "merge", list) && check_adapter(dev, "merge", lora, NULL, w.rows, w.cols, 0);
}
