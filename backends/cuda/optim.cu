// SPDX-License-Identifier: Apache-2.0
/*
 * The optimizer step: gradient norm and AdamW (Loshchilov and Hutter 2019);
 * and the merge. Lists of tensors go by value with the launch, in parts.
 */
#include "backends/cuda/array.cuh"
#include "reference/check.h"

enum { OPTIM_BLOCK = 256, OPTIM_SQUARES = 48, OPTIM_BLOCKS = 128, OPTIM_ITEMS = 18, OPTIM_ACROSS = 1024 };

/* The running sum of norm2, behind the sums of blocks. */
enum { OPTIM_TOTAL = CUDA_PARTIALS - 1 };
static_assert(OPTIM_SQUARES * OPTIM_BLOCKS <= OPTIM_TOTAL, "every block of a launch has a place for its sum");

/* Blocks that share so many elements. */
static unsigned optim_across(int64_t elements)
{
	int64_t blocks = blocks_for(elements, OPTIM_BLOCK * 8);
	return (unsigned)(blocks < OPTIM_ACROSS ? blocks : (int64_t)OPTIM_ACROSS);
}

/* An array without gaps is one long row. */
static bool optim_dense(struct array a)
{
	return !a.p || a.ld == a.cols || a.rows == 1;
}

static struct array optim_flat(struct array a)
{
	a.cols *= a.rows;
	a.ld = a.cols;
	a.rows = a.rows ? 1 : 0;
	return a;
}

/* A thread's first N elements of an array, and how far its next ones are: threads share rows and columns alike. */
template <int N> __device__ __forceinline__ int64_t optim_first()
{
	return ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * N;
}

template <int N> __device__ __forceinline__ int64_t optim_next()
{
	return (int64_t)gridDim.x * blockDim.x * N;
}

/* ---- norm2 ------------------------------------------------------------------------ */

struct optim_squares {
	struct array item[OPTIM_SQUARES];
};
static_assert(sizeof(struct optim_squares) <= 4000, "goes with a launch");

/* partial_{i b} = sum of squares of what block b has of item i */
template <int N> __global__ void optim_square_blocks(struct optim_squares list, double *partial)
{
	const struct array &x = list.item[blockIdx.y];
	double sum = 0;
	for (int64_t at = optim_first<N>(); at < x.rows * x.cols; at += optim_next<N>()) {
		float v[N], few = 0;
		load<N>(v, x, at / x.cols, at % x.cols);
		EACH(N, n) few += v[n] * v[n];
		sum += few;
	}
	sum = block_sum(sum);
	if (threadIdx.x == 0)
		partial[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

/* total (+)= sum of partial_0 … partial_{n-1}, each thread its own run of them, in order; out = total */
__global__ void optim_add_blocks(float *out, double *partial, int n, bool first)
{
	int run = (n + (int)blockDim.x - 1) / (int)blockDim.x, from = (int)threadIdx.x * run;
	int to = from + run < n ? from + run : n;
	double sum = 0;
	for (int i = from; i < to; i++)
		sum += partial[i];
	sum = block_sum(sum);
	if (threadIdx.x == 0) {
		partial[OPTIM_TOTAL] = first ? sum : partial[OPTIM_TOTAL] + sum;
		*out = (float)partial[OPTIM_TOTAL];
	}
}

/* At most OPTIM_SQUARES items. */
static void optim_norm2_part(struct device *dev, struct view out, const struct view list[], int n, bool first)
{
	struct optim_squares squares;
	bool all = true;
	for (int i = 0; i < n; i++) {
		struct array a = array_of(list[i]);
		squares.item[i] = optim_dense(a) ? optim_flat(a) : a;
		all = all && wide(squares.item[i]);
	}
	double *partial = cuda_of(dev)->partial;
	LAUNCH_WIDE(all, dev, "norm2", optim_square_blocks, dim3(OPTIM_BLOCKS, (unsigned)n, 1), OPTIM_BLOCK, 0, squares,
		    partial);
	LAUNCH(dev, "norm2", optim_add_blocks, dim3(1), OPTIM_BLOCK, 0, f32_of(out), partial, n * OPTIM_BLOCKS, first);
}

static void optim_table_norm2(struct device *dev, struct view out, const struct view list[], int n)
{
	if (!check_norm2(dev, out, list, n))
		return;
	int from = 0;
	do {
		int part = n - from < OPTIM_SQUARES ? n - from : OPTIM_SQUARES;
		optim_norm2_part(dev, out, list + from, part, from == 0);
		from += part;
	} while (from < n);
}

/* ---- AdamW -------------------------------------------------------------------------- */

struct optim_item {
	struct array p, g, m, v, shadow;
	int64_t decay;
};

struct optim_items {
	struct optim_item item[OPTIM_ITEMS];
	const float *hyper, *norm2;
};
static_assert(sizeof(struct optim_items) <= 4000, "goes with a launch");

/* min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_; a NaN stays one */
__device__ __forceinline__ float optim_clip(const float *hyper, const float *norm2)
{
	if (!norm2 || hyper[ADAMW_MAX_NORM] <= 0)
		return 1;
	double scale = hyper[ADAMW_MAX_NORM] / (sqrt((double)*norm2) + 1e-6);
	return scale > 1.0 ? 1 : (float)scale;
}

/*
 * m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
 * p -= lr decay p, p -= lr (m / c1) / (sqrt(v / c2) + eps)
 */
template <int N>
__device__ __forceinline__ void optim_update(float *p, float *m, float *v, const float *g, const float *h, float scale,
					     float decay)
{
	EACH(N, n) {
		float d = g[n] * scale;
		m[n] = h[ADAMW_BETA1] * m[n] + (1 - h[ADAMW_BETA1]) * d;
		v[n] = h[ADAMW_BETA2] * v[n] + (1 - h[ADAMW_BETA2]) * d * d;
		p[n] -= decay * p[n];
		p[n] -= h[ADAMW_LR] * (m[n] / h[ADAMW_CORRECTION1]) /
			(sqrtf(v[n] / h[ADAMW_CORRECTION2]) + h[ADAMW_EPS]);
	}
}

template <int N>
__device__ __forceinline__ void optim_step(const struct optim_item &item, int64_t i, int64_t j, const float *h,
					   float scale)
{
	float p[N], g[N], m[N], v[N];
	load<N>(p, item.p, i, j);
	load<N>(g, item.g, i, j);
	load<N>(m, item.m, i, j);
	load<N>(v, item.v, i, j);
	optim_update<N>(p, m, v, g, h, scale, item.decay ? h[ADAMW_LR] * h[ADAMW_DECAY] : 0);
	store<N>(item.p, i, j, p);
	store<N>(item.m, i, j, m);
	store<N>(item.v, i, j, v);
	if (item.shadow.p)
		store<N>(item.shadow, i, j, p);
}

template <int N> __global__ void optim_adamw(struct optim_items list)
{
	const struct optim_item &item = list.item[blockIdx.y];
	float h[ADAMW_HYPER], scale = optim_clip(list.hyper, list.norm2);
	EACH(ADAMW_HYPER, n) h[n] = list.hyper[n];
	for (int64_t at = optim_first<N>(); at < item.p.rows * item.p.cols; at += optim_next<N>())
		optim_step<N>(item, at / item.p.cols, at % item.p.cols, h, scale);
}

static struct optim_item optim_item_of(const struct adamw_item *from)
{
	struct optim_item item = {array_of(from->p), array_of(from->g),      array_of(from->m),
				  array_of(from->v), array_of(from->shadow), from->decay};
	struct array *arrays[] = {&item.p, &item.g, &item.m, &item.v, &item.shadow};
	bool dense = true;
	for (struct array *a : arrays)
		dense = dense && optim_dense(*a);
	for (struct array *a : arrays)
		*a = dense ? optim_flat(*a) : *a;
	return item;
}

static bool optim_item_wide(const struct optim_item *item)
{
	return wide(item->p) && wide(item->g) && wide(item->m) && wide(item->v) && wide(item->shadow);
}

/* At most OPTIM_ITEMS of them. */
static void optim_adamw_part(struct device *dev, const struct adamw_item list[], int n, const float *hyper,
			     const float *norm2)
{
	struct optim_items items;
	int64_t largest = 1;
	bool all = true;
	for (int i = 0; i < n; i++) {
		struct array *p = &items.item[i].p;
		items.item[i] = optim_item_of(&list[i]);
		all = all && optim_item_wide(&items.item[i]);
		largest = p->rows * p->cols > largest ? p->rows * p->cols : largest;
	}
	items.hyper = hyper;
	items.norm2 = norm2;
	LAUNCH_WIDE(all, dev, "adamw", optim_adamw, dim3(optim_across(largest), (unsigned)n, 1), OPTIM_BLOCK, 0, items);
}

static void optim_table_adamw(struct device *dev, const struct adamw_item list[], int n, struct view hyper,
			      struct view norm2)
{
	if (!check_adamw(dev, list, n, hyper, norm2))
		return;
	for (int from = 0; from < n; from += OPTIM_ITEMS) {
		int part = n - from < OPTIM_ITEMS ? n - from : OPTIM_ITEMS;
		optim_adamw_part(dev, list + from, part, f32_of(hyper), f32_of(norm2));
	}
}

/* ---- merge -------------------------------------------------------------------------- */

/* out_nm = W_nm + scale * sum over k of B_nk A_km; out may be W */
template <int N>
__global__ void optim_merge(struct array out, struct array w, struct array a, struct array b, float scale)
{
	int64_t row = blockIdx.x, step = (int64_t)gridDim.y * blockDim.x * N;
	for (int64_t j = ((int64_t)blockIdx.y * blockDim.x + threadIdx.x) * N; j < w.cols; j += step) {
		float v[N], sum[N], x[N];
		EACH(N, n) sum[n] = 0;
		for (int64_t k = 0; k < a.rows; k++) {
			float factor = element(b, row, k);
			load<N>(x, a, k, j);
			EACH(N, n) sum[n] += factor * x[n];
		}
		load<N>(v, w, row, j);
		EACH(N, n) v[n] += scale * sum[n];
		store<N>(out, row, j, v);
	}
}

static void optim_table_merge(struct device *dev, struct view out, struct view w, const struct lora *lora)
{
	if (!check_merge(dev, out, w, lora))
		return;
	struct array y = array_of(out), x = array_of(w), a = array_of(lora->a), b = array_of(lora->b);
	dim3 grid((unsigned)w.rows, optim_across(w.cols), 1);
	LAUNCH_WIDE(wide(y) && wide(x) && wide(a), dev, "merge", optim_merge, grid, OPTIM_BLOCK, 0, y, x, a, b,
		    lora->scale);
}

void cuda_override_optim(struct kernels *table)
{
	table->norm2 = optim_table_norm2;
	table->adamw = optim_table_adamw;
	table->merge = optim_table_merge;
}

size_t cuda_scratch_optim(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev, (void)op, (void)shape;
	return 0;
}
