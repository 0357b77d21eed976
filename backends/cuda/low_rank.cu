// SPDX-License-Identifier: Apache-2.0
/* Low-rank adapters inside the products of their weights, forward. */
#include "backends/cuda/low_rank.cuh"

/* ---- adapters in the arithmetic of the products ------------------------------------------- */

/* The matrix or adapter, of n, that index `at` belongs to. */
__device__ __forceinline__ int low_rank_owner(const int64_t *begin, int n, int64_t at)
{
	int i = 0;
	while (i + 1 < n && at >= begin[i + 1])
		i++;
	return i;
}

/* Row k of the As below each other; zeros behind the last. */
template <int N>
__device__ __forceinline__ void low_rank_a(const struct array &to, const struct adapters &l, int n, int64_t k)
{
	int i = low_rank_owner(l.col, n, k);
	for (int64_t j = threadIdx.x * N; j < to.cols; j += (int64_t)blockDim.x * N) {
		float v[N] = {0};
		if (k < l.col[n])
			load<N>(v, l.a[i], k - l.col[i], j);
		store<N>(to, k, j, v);
	}
}

/* scale * B[row, c] in an adapter's own columns, 0 beside others. */
__device__ __forceinline__ float low_rank_b(const struct adapters &l, int i, int64_t row, int64_t c)
{
	bool own = l.b[i].p && c >= l.col[i] && c < l.col[i + 1];
	return own ? l.scale[i] * element(l.b[i], row - l.row[i], c - l.col[i]) : 0;
}

enum { TAKE_BLOCK = 128 };

/* A block for each row of the As, then for each 8 * TAKE_BLOCK elements of the group's columns, row by row. */
template <int N> __global__ void low_rank_take(struct array a, struct array b, struct adapters l, int n)
{
	int64_t at = blockIdx.x;
	if (at < a.rows) {
		low_rank_a<N>(a, l, n, at);
		return;
	}
	int64_t end = b.rows * b.cols, block = 8 * TAKE_BLOCK, first = (at - a.rows) * block;
	for (int64_t e = first + threadIdx.x * 8; e < first + block && e < end; e += blockDim.x * 8) {
		int64_t row = e / b.cols, c = e % b.cols;
		int i = low_rank_owner(l.row, n, row);
		float v[8];
		EACH(8, k) v[k] = low_rank_b(l, i, row, c + k);
		if (N == 8)
			store<8>(b, row, c, v);
		else
			EACH(8, k) put(b, row, c + k, v[k]);
	}
}

struct adapters cuda_adapters(const struct weight *w, const struct lora *const lora[])
{
	struct adapters a;
	a.row[0] = a.col[0] = 0;
	for (int i = 0; i < 3; i++) {
		const struct lora *l = i < w->n ? lora[i] : NULL;
		a.a[i] = array_of(l ? l->a : view_none());
		a.b[i] = array_of(l ? l->b : view_none());
		a.scale[i] = l ? l->scale : 0;
		a.row[i + 1] = a.row[i] + (i < w->n ? w->w[i].rows : 0);
		a.col[i + 1] = a.col[i] + (l ? l->a.rows : 0);
	}
	return a;
}

static int64_t round_up8(int64_t n)
{
	return (n + 7) / 8 * 8;
}

int64_t cuda_width(const struct lora *const lora[], int n)
{
	int64_t sum = 0;
	for (int i = 0; i < n; i++)
		sum += lora[i] ? lora[i]->a.rows : 0;
	return round_up8(sum);
}

int64_t cuda_most_width(const struct shape *shape, int n)
{
	return round_up8(shape->rank * n);
}

static struct view widened(struct view v, int64_t width)
{
	v.cols += width;
	return v;
}

static struct view behind(struct view v, int64_t width)
{
	return view_cols(v, v.cols, width);
}

size_t cuda_roomy_bytes(const struct device *dev, int64_t rows, int64_t cols, int64_t width)
{
	return cuda_array_bytes(rows, cols + width, dev->act_dtype);
}

struct view cuda_roomy(struct device *dev, const char *op, int64_t rows, int64_t cols, int64_t width)
{
	struct view v = cuda_scratch(dev, op, rows, cols + width, dev->act_dtype);
	v.cols = view_present(v) ? cols : 0;
	return v;
}

bool cuda_adapted_init(struct adapted *l, struct device *dev, const char *op, const struct weight *w,
		       const struct lora *const lora[], const struct dropout *drop, int64_t rows)
{
	l->at = cuda_adapters(w, lora);
	l->dev = dev, l->op = op, l->w = w, l->lora = lora, l->drop = drop;
	l->width = cuda_width(lora, w->n);
	l->beside = l->width <= cuda_pad(w);
	l->group = cuda_group(w);
	if (!l->width)
		return !dev->failure[0];
	l->a = cuda_scratch(dev, op, l->width, l->group.cols, dev->act_dtype);
	l->room = drop ? cuda_scratch(dev, op, rows, l->group.cols, dev->act_dtype) : view_none();
	l->b = l->beside ? behind(l->group, l->width)
			 : cuda_scratch(dev, op, l->group.rows, l->width, dev->act_dtype);
	if (dev->failure[0])
		return false;
	struct array to = array_of(l->a), b = array_of(l->b);
	bool all = wide(to) && wide(b) && wide(l->at.a[0]) && wide(l->at.a[1]) && wide(l->at.a[2]);
	int64_t blocks = l->width + blocks_for(b.rows * b.cols, 8 * TAKE_BLOCK);
	LAUNCH_WIDE(all, dev, op, low_rank_take, blocks, TAKE_BLOCK, 0, to, b, l->at, w->n);
	return !dev->failure[0];
}

size_t cuda_adapted_scratch(const struct device *dev, const struct shape *shape, int n, int64_t in, int64_t out)
{
	int64_t width = cuda_most_width(shape, n);
	return width ? cuda_array_bytes(width, in, dev->act_dtype) + cuda_array_bytes(shape->rows, in, dev->act_dtype) +
			       cuda_array_bytes(out, width, dev->act_dtype) +
			       (n > 1 ? cuda_array_bytes(in > out ? in : out, width, DTYPE_F32) : 0)
		     : 0;
}

/* The columns behind x: drop(x) A^T of each adapter; without dropout one product for all. */
static void low_rank_in(struct adapted *l, struct view x)
{
	struct view to = behind(x, l->width);
	bool any = false;
	for (int i = 0; i < l->w->n; i++)
		any = any || (l->lora[i] && drops(l->lora[i], l->drop));
	if (!any) {
		struct cuda_factor a = {x, false}, b = {l->a, true};
		cuda_multiply(l->dev, l->op, to, a, b, 1, false);
		return;
	}
	if (l->width > l->at.col[l->w->n])
		cuda_fill(l->dev, l->op, view_cols(to, l->at.col[l->w->n], l->width - l->at.col[l->w->n]), 0);
	for (int i = 0; i < l->w->n; i++) {
		if (!l->lora[i])
			continue;
		struct cuda_factor a = {cuda_dropped(l->dev, l->op, x, l->room, l->lora[i], l->drop), false};
		struct cuda_factor b = {view_rows(l->a, l->at.col[i], l->lora[i]->a.rows), true};
		cuda_multiply(l->dev, l->op, view_cols(to, l->at.col[i], l->lora[i]->a.rows), a, b, 1, false);
	}
}

void cuda_adapted(struct device *dev, const char *op, struct view y, struct view x, struct view xa,
		  const struct weight *w, const struct lora *const lora[], const struct dropout *drop, bool add)
{
	size_t used = dev->scratch_used;
	struct adapted l;
	if (!cuda_adapted_init(&l, dev, op, w, lora, drop, x.rows))
		return;
	if (l.width) {
		low_rank_in(&l, x);
		if (view_present(xa))
			cuda_convert(dev, op, xa, behind(x, l.width));
	}
	int64_t own = l.beside ? l.width : 0;
	struct cuda_factor a = {widened(x, own), false}, b = {widened(l.group, own), true};
	cuda_multiply(dev, op, y, a, b, 1, add);
	if (!l.beside) {
		struct cuda_factor more = {behind(x, l.width), false}, times = {l.b, true};
		cuda_multiply(dev, op, y, more, times, 1, true);
	}
	dev->scratch_used = used;
}
