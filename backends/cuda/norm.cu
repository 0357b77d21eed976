// SPDX-License-Identifier: Apache-2.0
/* RMSNorm (Zhang and Sennrich 2019) of rows or of each head of a row, and its gradient. */
#include "backends/cuda/array.cuh"
#include "reference/check.h"

/*
 * A block has one row, or one head of it: D columns from blockIdx.y * D on.
 * Each thread keeps its first NORM_HELD vectors in registers, so that a row of
 * up to 8,192 columns is read once; what is beyond is read again.
 */
enum { NORM_HELD = 2, NORM_BLOCK = 512, NORM_CHUNKS = 256, NORM_LEAST = 64 };

static unsigned norm_threads(int64_t cols, bool all_wide)
{
	int64_t vectors = all_wide ? cols / 8 : cols;
	int64_t threads = blocks_for(vectors > 256 ? blocks_for(vectors, 2) : vectors, 32) * 32;
	if (threads > NORM_BLOCK)
		return NORM_BLOCK;
	return threads ? (unsigned)threads : 32;
}

/* The row of a block: how its threads go through it. */
struct norm_row {
	int64_t t, first, cols; /* row; first column in the array; columns */
};

__device__ __forceinline__ struct norm_row norm_row_of(int64_t cols)
{
	struct norm_row row = {(int64_t)blockIdx.x, (int64_t)blockIdx.y * cols, cols};
	return row;
}

/* Column of the thread's p-th vector of N. */
template <int N> __device__ __forceinline__ int64_t norm_column(int64_t p)
{
	return (p * blockDim.x + threadIdx.x) * N;
}

/* 1 / sqrt(sum / C + eps) */
__device__ __forceinline__ float norm_inverse(float sum, int64_t cols, float eps)
{
	return 1.0f / sqrtf(sum / (float)cols + eps);
}

/* Reads a vector, keeps a copy where wanted, returns its sum of squares. */
template <int N>
__device__ __forceinline__ float norm_take(float *v, const struct array &x, const struct array &copy,
					   const struct norm_row &row, int64_t j)
{
	float sum = 0;
	load<N>(v, x, row.t, row.first + j);
	if (copy.p)
		store<N>(copy, row.t, row.first + j, v);
	EACH(N, n) sum += v[n] * v[n];
	return sum;
}

template <int N>
__device__ __forceinline__ void norm_give(const struct array &y, float *v, const struct array &w,
					  const struct norm_row &row, int64_t j, float s)
{
	float scale[N];
	load<N>(scale, w, 0, j);
	EACH(N, n) v[n] *= scale[n] * s;
	store<N>(y, row.t, row.first + j, v);
}

/* y_j = w_j x_j s,  s = 1 / sqrt(mean(x^2) + eps); y may be x */
template <int N> __global__ void norm_rows(struct array y, struct array copy, struct array x, struct array w, float eps)
{
	struct norm_row row = norm_row_of(w.cols);
	float held[NORM_HELD][N], sum = 0;
	EACH(NORM_HELD, p) if (norm_column<N>(p) < row.cols)
		sum += norm_take<N>(held[p], x, copy, row, norm_column<N>(p));
	for (int64_t p = NORM_HELD; norm_column<N>(p) < row.cols; p++) {
		float v[N];
		sum += norm_take<N>(v, x, copy, row, norm_column<N>(p));
	}
	float s = norm_inverse(block_sum(sum), row.cols, eps);
	EACH(NORM_HELD, p) if (norm_column<N>(p) < row.cols)
		norm_give<N>(y, held[p], w, row, norm_column<N>(p), s);
	for (int64_t p = NORM_HELD; norm_column<N>(p) < row.cols; p++) {
		float v[N];
		load<N>(v, x, row.t, row.first + norm_column<N>(p));
		norm_give<N>(y, v, w, row, norm_column<N>(p), s);
	}
}

/* What the gradient of one row needs. */
struct norm_gradient {
	struct array dx, dy, x, w; /* dx may be absent, or dy itself */
	float *s;                  /* of each row and head, where wanted */
	float eps;
	bool add;                  /* dx += instead of dx = */
};

/* x and w dy of a vector, with the sums of x^2 and of w dy x. */
template <int N>
__device__ __forceinline__ void norm_read(float *x, float *own, const struct norm_gradient &g,
					  const struct norm_row &row, int64_t j, float *squares, float *product)
{
	float w[N];
	load<N>(x, g.x, row.t, row.first + j);
	load<N>(own, g.dy, row.t, row.first + j);
	load<N>(w, g.w, 0, j);
	EACH(N, n) own[n] *= w[n];
	EACH(N, n) *squares += x[n] * x[n];
	EACH(N, n) *product += own[n] * x[n];
}

/* What dx is added to: read before the sums are known, so that it is there when they are. */
template <int N>
__device__ __forceinline__ void norm_before(float *v, const struct norm_gradient &g, const struct norm_row &row, int64_t j)
{
	EACH(N, n) v[n] = 0;
	if (g.dx.p && g.add)
		load<N>(v, g.dx, row.t, row.first + j);
}

/* dx_j (+)= s (own_j - x_j shared) */
template <int N>
__device__ __forceinline__ void norm_write(float *v, const float *x, const float *own, const struct norm_gradient &g,
					   const struct norm_row &row, int64_t j, float s, float shared)
{
	EACH(N, n) v[n] += s * (own[n] - x[n] * shared);
	store<N>(g.dx, row.t, row.first + j, v);
}

/* dx_j (+)= s (w_j dy_j - x_j s^2 / C * sum_i w_i dy_i x_i) */
template <int N> __global__ void norm_gradients(struct norm_gradient g)
{
	struct norm_row row = norm_row_of(g.w.cols);
	float x[NORM_HELD][N], own[NORM_HELD][N], before[NORM_HELD][N], squares = 0, product = 0;
	EACH(NORM_HELD, p) if (norm_column<N>(p) < row.cols) {
		norm_before<N>(before[p], g, row, norm_column<N>(p));
		norm_read<N>(x[p], own[p], g, row, norm_column<N>(p), &squares, &product);
	}
	for (int64_t p = NORM_HELD; norm_column<N>(p) < row.cols; p++) {
		float a[N], b[N];
		norm_read<N>(a, b, g, row, norm_column<N>(p), &squares, &product);
	}
	float s = norm_inverse(block_sum(squares), row.cols, g.eps);
	float shared = block_sum(product) * s * s / (float)row.cols;
	if (g.s && threadIdx.x == 0)
		g.s[row.t * gridDim.y + blockIdx.y] = s;
	if (!g.dx.p)
		return;
	EACH(NORM_HELD, p) if (norm_column<N>(p) < row.cols)
		norm_write<N>(before[p], x[p], own[p], g, row, norm_column<N>(p), s, shared);
	for (int64_t p = NORM_HELD; norm_column<N>(p) < row.cols; p++) {
		float a[N], b[N], v[N], none = 0;
		norm_before<N>(v, g, row, norm_column<N>(p));
		norm_read<N>(a, b, g, row, norm_column<N>(p), &none, &none);
		norm_write<N>(v, a, b, g, row, norm_column<N>(p), s, shared);
	}
}

/* part_cj = sum of dy_j x_j s over the c-th chunk of rows; a row's heads count as rows */
template <int N>
__global__ void norm_columns(struct array part, struct array dy, struct array x, const float *s, int heads,
			     int64_t chunk)
{
	int64_t from = blockIdx.y * chunk, end = x.rows * heads, to = from + chunk < end ? from + chunk : end;
	for (int64_t j = norm_column<N>(blockIdx.x); j < part.cols; j += (int64_t)gridDim.x * blockDim.x * N) {
		float sum[N];
		EACH(N, n) sum[n] = 0;
		for (int64_t r = from; r < to; r++) {
			float a[N], b[N];
			load<N>(a, dy, r / heads, r % heads * part.cols + j);
			load<N>(b, x, r / heads, r % heads * part.cols + j);
			EACH(N, n) sum[n] += a[n] * b[n] * s[r];
		}
		store<N>(part, blockIdx.y, j, sum);
	}
}

/* dw_j += sum over c of part_cj, in order */
__global__ void norm_add_chunks(struct array dw, struct array part)
{
	for (int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; j < dw.cols;
	     j += (int64_t)gridDim.x * blockDim.x) {
		double sum = element(dw, 0, j);
		for (int64_t c = 0; c < part.rows; c++)
			sum += element(part, c, j);
		put(dw, 0, j, (float)sum);
	}
}

void cuda_norm(struct device *dev, const char *op, struct view y, struct view copy, struct view x, struct view w,
	       float eps)
{
	struct array a = array_of(y), b = array_of(copy), c = array_of(x), d = array_of(w);
	bool all = wide(a) && wide(b) && wide(c) && wide(d);
	LAUNCH_WIDE(all, dev, op, norm_rows, dim3((unsigned)x.rows), norm_threads(w.cols, all), 0, a, b, c, d, eps);
}

void cuda_norm_heads(struct device *dev, const char *op, struct view x, struct view w, float eps, int head_dim)
{
	struct array a = array_of(x), b = array_of(view_none()), c = array_of(w);
	bool all = wide(a) && wide(c);
	dim3 grid((unsigned)x.rows, (unsigned)(x.cols / head_dim), 1);
	LAUNCH_WIDE(all, dev, op, norm_rows, grid, norm_threads(head_dim, all), 0, a, b, a, c, eps);
}

/* Rows of a chunk: at most NORM_CHUNKS chunks, none shorter than NORM_LEAST. */
static int64_t norm_chunk(int64_t rows)
{
	int64_t chunk = blocks_for(rows, NORM_CHUNKS);
	return chunk > NORM_LEAST ? chunk : (int64_t)NORM_LEAST;
}

size_t cuda_norm_backward_scratch(int64_t rows, int64_t cols)
{
	return cuda_array_bytes(1, rows, DTYPE_F32) +
	       cuda_array_bytes(blocks_for(rows, norm_chunk(rows)), cols, DTYPE_F32);
}

static void norm_launch(struct device *dev, const char *op, struct norm_gradient g, int heads)
{
	bool all = wide(g.dx) && wide(g.dy) && wide(g.x) && wide(g.w);
	dim3 grid((unsigned)g.x.rows, (unsigned)heads, 1);
	LAUNCH_WIDE(all, dev, op, norm_gradients, grid, norm_threads(g.w.cols, all), 0, g);
}

static void norm_launch_dw(struct device *dev, const char *op, struct array dw, struct norm_gradient g, int heads)
{
	int64_t rows = g.x.rows * heads, chunk = norm_chunk(rows), chunks = blocks_for(rows, chunk);
	struct view sums = cuda_scratch(dev, op, chunks, dw.cols, DTYPE_F32);
	if (!view_present(sums))
		return;
	struct array part = array_of(sums);
	dim3 grid((unsigned)blocks_for(dw.cols, NORM_BLOCK), (unsigned)chunks, 1);
	LAUNCH_WIDE(wide(part) && wide(g.dy) && wide(g.x), dev, op, norm_columns, grid, NORM_BLOCK / 8, 0, part, g.dy,
		    g.x, g.s, heads, chunk);
	LAUNCH(dev, op, norm_add_chunks, dim3((unsigned)blocks_for(dw.cols, 64)), 64, 0, dw, part);
}

/* dw first, since dx may be written over dy. */
static void norm_backward(struct device *dev, const char *op, struct view dw, struct norm_gradient g, int heads)
{
	size_t used = dev->scratch_used;
	struct array dx = g.dx;
	if (view_present(dw)) {
		struct view s = cuda_scratch(dev, op, 1, g.x.rows * heads, DTYPE_F32);
		if (!view_present(s))
			return;
		g.s = f32_of(s);
		if (dx.p == g.dy.p)
			g.dx.p = NULL;
		norm_launch(dev, op, g, heads);
		norm_launch_dw(dev, op, array_of(dw), g, heads);
		dev->scratch_used = used;
	}
	if (dx.p && (!g.s || !g.dx.p)) {
		g.dx = dx;
		norm_launch(dev, op, g, heads);
	}
}

void cuda_norm_backward(struct device *dev, const char *op, struct view dx, struct view dw, struct view dy,
			struct view x, struct view w, float eps)
{
	struct norm_gradient g = {array_of(dx), array_of(dy), array_of(x), array_of(w), NULL, eps, true};
	norm_backward(dev, op, dw, g, 1);
}

void cuda_norm_heads_backward(struct device *dev, const char *op, struct view d, struct view dw, struct view raw,
			      struct view w, float eps, int head_dim)
{
	struct norm_gradient g = {array_of(d), array_of(d), array_of(raw), array_of(w), NULL, eps, false};
	norm_backward(dev, op, dw, g, (int)(d.cols / head_dim));
}

static void norm_table_forward(struct device *dev, struct view y, struct view x, struct view w, float eps)
{
	if (check_rmsnorm(dev, y, x, w))
		cuda_norm(dev, "rmsnorm", y, view_none(), x, w, eps);
}

static void norm_table_backward(struct device *dev, struct view dx, struct view dw, struct view dy, struct view x,
				struct view w, float eps)
{
	if (check_rmsnorm_backward(dev, dx, dw, dy, x, w))
		cuda_norm_backward(dev, "rmsnorm_backward", dx, dw, dy, x, w, eps);
}

void cuda_override_norm(struct kernels *table)
{
	table->rmsnorm = norm_table_forward;
	table->rmsnorm_backward = norm_table_backward;
}

size_t cuda_scratch_norm(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev;
	return op == OP_rmsnorm_backward ? cuda_norm_backward_scratch(shape->rows, shape->hidden) : 0;
}
