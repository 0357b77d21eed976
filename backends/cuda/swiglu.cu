// SPDX-License-Identifier: Apache-2.0
/* SwiGLU (Shazeer 2020) and its gradient. */
#include "backends/cuda/array.cuh"
#include "reference/check.h"

enum { SWIGLU_BLOCK = 256 };

static dim3 swiglu_grid(int64_t rows, int64_t cols)
{
	int64_t across = blocks_for(cols, SWIGLU_BLOCK * 8);
	return dim3((unsigned)rows, (unsigned)(across < 1024 ? across : 1024), 1);
}

/* sigmoid(g) = 1 / (1 + e^-g) and 1 - sigmoid(g), neither by a difference; the exponential does not overflow. */
struct swiglu_gate {
	float s, rest;
};

__device__ __forceinline__ struct swiglu_gate swiglu_gate_of(float g)
{
	float e = expf(-fabsf(g)), large = 1.0f / (1.0f + e), small = e * large;
	return g < 0 ? (struct swiglu_gate){small, large} : (struct swiglu_gate){large, small};
}

/* y = g sigmoid(g) u */
template <int N> __global__ void swiglu_rows(struct array y, struct array g, struct array u)
{
	int64_t t = blockIdx.x, step = (int64_t)gridDim.y * blockDim.x * N;
	for (int64_t j = ((int64_t)blockIdx.y * blockDim.x + threadIdx.x) * N; j < y.cols; j += step) {
		float a[N], b[N];
		load<N>(a, g, t, j);
		load<N>(b, u, t, j);
		EACH(N, n) a[n] *= swiglu_gate_of(a[n]).s * b[n];
		store<N>(y, t, j, a);
	}
}

/* dg = dy u s (1 + g (1 - s)), du = dy g s, s = sigmoid(g); act = g s u, where wanted */
template <int N>
__global__ void swiglu_gradients(struct array dg, struct array du, struct array act, struct array dy, struct array g,
				 struct array u)
{
	int64_t t = blockIdx.x, step = (int64_t)gridDim.y * blockDim.x * N;
	for (int64_t j = ((int64_t)blockIdx.y * blockDim.x + threadIdx.x) * N; j < dy.cols; j += step) {
		float a[N], b[N], d[N];
		load<N>(a, g, t, j);
		load<N>(b, u, t, j);
		load<N>(d, dy, t, j);
		EACH(N, n) {
			float x = a[n], up = b[n], dn = d[n];
			struct swiglu_gate gate = swiglu_gate_of(x);
			a[n] = dn * up * gate.s * (1.0f + x * gate.rest);
			b[n] = dn * x * gate.s;
			d[n] = x * gate.s * up;
		}
		store<N>(dg, t, j, a);
		store<N>(du, t, j, b);
		if (act.p)
			store<N>(act, t, j, d);
	}
}

void cuda_swiglu(struct device *dev, const char *op, struct view y, struct view g, struct view u)
{
	struct array a = array_of(y), b = array_of(g), c = array_of(u);
	LAUNCH_WIDE(wide(a) && wide(b) && wide(c), dev, op, swiglu_rows, swiglu_grid(y.rows, y.cols), SWIGLU_BLOCK, 0,
		    a, b, c);
}

void cuda_swiglu_backward(struct device *dev, const char *op, struct view dg, struct view du, struct view a,
			  struct view dy, struct view g, struct view u)
{
	struct array x = array_of(dg), y = array_of(du), act = array_of(a), z = array_of(dy), p = array_of(g),
		     q = array_of(u);
	bool all = wide(x) && wide(y) && wide(act) && wide(z) && wide(p) && wide(q);
	LAUNCH_WIDE(all, dev, op, swiglu_gradients, swiglu_grid(dy.rows, dy.cols), SWIGLU_BLOCK, 0, x, y, act, z, p, q);
}

static void swiglu_table_forward(struct device *dev, struct view y, struct view g, struct view u)
{
	if (check_same(dev, "swiglu", y, g, u))
		cuda_swiglu(dev, "swiglu", y, g, u);
}

static void swiglu_table_backward(struct device *dev, struct view dg, struct view du, struct view dy, struct view g,
				  struct view u)
{
	if (check_same(dev, "swiglu_backward", dg, g, u) && check_same(dev, "swiglu_backward", du, dy, g))
		cuda_swiglu_backward(dev, "swiglu_backward", dg, du, view_none(), dy, g, u);
}

void cuda_override_swiglu(struct kernels *table)
{
	table->swiglu = swiglu_table_forward;
	table->swiglu_backward = swiglu_table_backward;
}

size_t cuda_scratch_swiglu(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev, (void)op, (void)shape;
	return 0;
}
