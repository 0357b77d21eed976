// SPDX-License-Identifier: Apache-2.0
/* What moves, fills or adds whole rows. */
#include "backends/cuda/array.cuh"
#include "reference/check.h"

enum { ROWS_BLOCK = 256, ROWS_WIDE = 8 };

/* A row per x, 2048 of its columns per y; rows of many more columns go round. */
static dim3 rows_grid(int64_t rows, int64_t cols)
{
	int64_t across = blocks_for(cols, ROWS_BLOCK * ROWS_WIDE);
	return dim3((unsigned)rows, (unsigned)(across < 1024 ? across : 1024), 1);
}

/* First column of a thread, and how far it is to its next. */
template <int N> __device__ __forceinline__ int64_t rows_first()
{
	return ((int64_t)blockIdx.y * blockDim.x + threadIdx.x) * N;
}

template <int N> __device__ __forceinline__ int64_t rows_step()
{
	return (int64_t)gridDim.y * blockDim.x * N;
}

template <int N>
__device__ __forceinline__ void rows_copy_row(const struct array &y, int64_t i, const struct array &x, int64_t t)
{
	for (int64_t j = rows_first<N>(); j < y.cols; j += rows_step<N>()) {
		float v[N];
		load<N>(v, x, t, j);
		store<N>(y, i, j, v);
	}
}

template <int N> __device__ __forceinline__ void rows_fill_row(const struct array &y, int64_t i, float value)
{
	float v[N];
	EACH(N, n) v[n] = value;
	for (int64_t j = rows_first<N>(); j < y.cols; j += rows_step<N>())
		store<N>(y, i, j, v);
}

/* Entry t of a list of rows of a table; one that the table does not have is noted. */
struct rows_index {
	const int32_t *at;
	int64_t low, limit; /* entries lie in [low, limit) */
	int32_t *fault;
	enum op op;
};

static struct rows_index rows_index_of(struct device *dev, enum op op, struct view v, int64_t low, int64_t limit)
{
	return (struct rows_index){i32_of(v), low, limit, cuda_of(dev)->fault, op};
}

__device__ __forceinline__ bool rows_find(const struct rows_index &index, int64_t t, int64_t *row)
{
	*row = index.at[t];
	if (*row >= index.low && *row < index.limit)
		return true;
	if (threadIdx.x == 0)
		note_fault(index.fault, index.op);
	return false;
}

/* y_t = x_t */
template <int N> __global__ void rows_copy(struct array y, struct array x)
{
	rows_copy_row<N>(y, blockIdx.x, x, blockIdx.x);
}

/* y_t = x_row[t]; 0 where row[t] < 0 */
template <int N> __global__ void rows_gather(struct array y, struct array x, struct rows_index index)
{
	int64_t t = blockIdx.x, row;
	if (!rows_find(index, t, &row))
		return;
	if (row < 0)
		rows_fill_row<N>(y, t, 0);
	else
		rows_copy_row<N>(y, t, x, row);
}

/* y_row[t] = x_t; nothing where row[t] < 0 */
template <int N> __global__ void rows_scatter(struct array y, struct array x, struct rows_index index)
{
	int64_t t = blockIdx.x, row;
	if (rows_find(index, t, &row) && row >= 0)
		rows_copy_row<N>(y, row, x, t);
}

template <int N> __global__ void rows_fill(struct array y, float value)
{
	rows_fill_row<N>(y, blockIdx.x, value);
}

/* y_t += b */
template <int N> __global__ void rows_add_bias(struct array y, struct array bias)
{
	int64_t t = blockIdx.x;
	for (int64_t j = rows_first<N>(); j < y.cols; j += rows_step<N>()) {
		float v[N], b[N];
		load<N>(v, y, t, j);
		load<N>(b, bias, 0, j);
		EACH(N, n) v[n] += b[n];
		store<N>(y, t, j, v);
	}
}

enum { ROWS_COLUMNS = 32 };

/*
 * sum_j += sum over t of dy_tj. A block has 32 columns; its warps take every
 * n-th row each, and their sums are added in order.
 */
__global__ void rows_column_sums(struct array sum, struct array dy)
{
	SHARED(double, part);
	int threads = (int)blockDim.x, me = (int)threadIdx.x;
	int width = threads < ROWS_COLUMNS ? 1 : (int)ROWS_COLUMNS, groups = threads / width;
	int64_t first = (int64_t)blockIdx.x * ROWS_COLUMNS;
	for (int64_t c = 0; c < ROWS_COLUMNS; c += width) {
		int64_t j = first + c + me % width;
		double own = 0;
		for (int64_t t = me / width; j < dy.cols && t < dy.rows; t += groups)
			own += element(dy, t, j);
		part[me] = own;
		__syncthreads();
		for (int g = 1; g < groups && me < width; g++)
			own += part[g * width + me];
		if (me < width && j < dy.cols)
			put(sum, 0, j, (float)(element(sum, 0, j) + own));
		__syncthreads();
	}
}

/* Does any of at[from] … at[to - 1] equal id? The same answer for every thread. */
__device__ __forceinline__ bool rows_any(const int32_t *at, int64_t from, int64_t to, int64_t id)
{
	int found = 0;
	for (int64_t t = from + threadIdx.x; t < to; t += blockDim.x)
		found |= at[t] == id;
	return block_max(found) != 0;
}

template <int N>
__device__ __forceinline__ void rows_add_row(const struct array &y, int64_t i, const struct array &x, int64_t t)
{
	for (int64_t j = rows_first<N>(); j < y.cols; j += rows_step<N>()) {
		float sum[N], v[N];
		load<N>(sum, y, i, j);
		load<N>(v, x, t, j);
		EACH(N, n) sum[n] += v[n];
		store<N>(y, i, j, sum);
	}
}

/* dw_id += dy_t for every t with ids[t] = id, in order: by the block of the first of them. */
template <int N> __global__ void rows_embed_backward(struct array dw, struct array dy, struct rows_index ids)
{
	int64_t first = blockIdx.x, id;
	if (!rows_find(ids, first, &id) || rows_any(ids.at, 0, first, id))
		return;
	for (int64_t from = first; from < dy.rows; from += blockDim.x) {
		int64_t to = from + blockDim.x < dy.rows ? from + blockDim.x : dy.rows;
		if (!rows_any(ids.at, from, to, id))
			continue;
		for (int64_t t = from; t < to; t++)
			if (ids.at[t] == id)
				rows_add_row<N>(dw, id, dy, t);
	}
}

void cuda_convert(struct device *dev, const char *op, struct view y, struct view x)
{
	struct array a = array_of(y), b = array_of(x);
	LAUNCH_WIDE(wide(a) && wide(b), dev, op, rows_copy, rows_grid(y.rows, y.cols), ROWS_BLOCK, 0, a, b);
}

void cuda_fill(struct device *dev, const char *op, struct view y, float value)
{
	struct array a = array_of(y);
	LAUNCH_WIDE(wide(a), dev, op, rows_fill, rows_grid(y.rows, y.cols), ROWS_BLOCK, 0, a, value);
}

void cuda_add_bias(struct device *dev, const char *op, struct view y, struct view bias)
{
	struct array a = array_of(y), b = array_of(bias);
	LAUNCH_WIDE(wide(a) && wide(b), dev, op, rows_add_bias, rows_grid(y.rows, y.cols), ROWS_BLOCK, 0, a, b);
}

void cuda_column_sums(struct device *dev, const char *op, struct view sum, struct view dy)
{
	LAUNCH(dev, op, rows_column_sums, dim3((unsigned)blocks_for(dy.cols, ROWS_COLUMNS)), ROWS_BLOCK,
	       ROWS_BLOCK * sizeof(double), array_of(sum), array_of(dy));
}

static void rows_launch_gather(struct device *dev, enum op op, struct view y, struct view x, struct rows_index index)
{
	struct array a = array_of(y), b = array_of(x);
	LAUNCH_WIDE(wide(a) && wide(b), dev, op_name(op), rows_gather, rows_grid(y.rows, y.cols), ROWS_BLOCK, 0, a, b,
		    index);
}

static void rows_launch_scatter(struct device *dev, enum op op, struct view y, struct view x, struct rows_index index)
{
	struct array a = array_of(y), b = array_of(x);
	LAUNCH_WIDE(wide(a) && wide(b), dev, op_name(op), rows_scatter, rows_grid(x.rows, x.cols), ROWS_BLOCK, 0, a, b,
		    index);
}

static void rows_table_embed(struct device *dev, struct view y, const struct weight *w, struct view ids)
{
	if (!check_embed(dev, y, w, ids))
		return;
	rows_launch_gather(dev, OP_embed, y, cuda_group(w), rows_index_of(dev, OP_embed, ids, 0, w->w[0].rows));
}

static void rows_table_embed_backward(struct device *dev, struct view dw, struct view dy, struct view ids)
{
	if (!check_embed_backward(dev, dw, dy, ids))
		return;
	struct array a = array_of(dw), b = array_of(dy);
	struct rows_index index = rows_index_of(dev, OP_embed_backward, ids, 0, dw.rows);
	LAUNCH_WIDE(wide(a) && wide(b), dev, "embed_backward", rows_embed_backward, rows_grid(dy.rows, dy.cols),
		    ROWS_BLOCK, 0, a, b, index);
}

static void rows_table_gather(struct device *dev, struct view y, struct view x, struct view row)
{
	if (!check_rows(dev, "gather_rows", x, y, row))
		return;
	rows_launch_gather(dev, OP_gather_rows, y, x, rows_index_of(dev, OP_gather_rows, row, INT32_MIN, x.rows));
}

static void rows_table_scatter(struct device *dev, struct view dx, struct view dy, struct view row)
{
	if (!check_rows(dev, "scatter_rows", dx, dy, row))
		return;
	cuda_fill(dev, "scatter_rows", dx, 0);
	rows_launch_scatter(dev, OP_scatter_rows, dx, dy, rows_index_of(dev, OP_scatter_rows, row, INT32_MIN, dx.rows));
}

static void rows_table_kv_append(struct device *dev, struct view cache_k, struct view cache_v, struct view k,
				 struct view v, struct view dst)
{
	if (!check_kv_append(dev, cache_k, cache_v, k, v, dst))
		return;
	struct rows_index index = rows_index_of(dev, OP_kv_append, dst, INT32_MIN, cache_k.rows);
	rows_launch_scatter(dev, OP_kv_append, cache_k, k, index);
	rows_launch_scatter(dev, OP_kv_append, cache_v, v, index);
}

static void rows_table_copy(struct device *dev, struct view y, struct view x)
{
	if (check_same(dev, "copy", y, x, x))
		cuda_convert(dev, "copy", y, x);
}

static void rows_table_fill(struct device *dev, struct view y, float value)
{
	if (check_view(dev, "fill", "y", y, CHECK_FLOAT))
		cuda_fill(dev, "fill", y, value);
}

void cuda_override_rows(struct kernels *table)
{
	table->embed = rows_table_embed;
	table->embed_backward = rows_table_embed_backward;
	table->gather_rows = rows_table_gather;
	table->scatter_rows = rows_table_scatter;
	table->kv_append = rows_table_kv_append;
	table->copy = rows_table_copy;
	table->fill = rows_table_fill;
}

size_t cuda_scratch_rows(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev, (void)op, (void)shape;
	return 0;
}
