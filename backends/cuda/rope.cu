// SPDX-License-Identifier: Apache-2.0
/* Rotary position embedding (Su et al. 2021), in place or on the way of q, k, v to their rows. */
#include <string.h>

#include "backends/cuda/array.cuh"
#include "reference/check.h"

enum { ROPE_BLOCK = 128 };

struct rope_work {
	struct array q, k, v, raw; /* k and v have no columns where there are none */
	struct array cos, sin;
	const int32_t *pos, *dst;  /* dst NULL: row t */
	int half;                  /* D / 2 */
	float sign;                /* -1: the inverse */
	bool back;                 /* from q, k, v to raw */
	int32_t *fault;
	enum op op;
};

__device__ __forceinline__ bool rope_in_range(const struct rope_work &w, int64_t i, int64_t low, int64_t limit)
{
	if (i >= low && i < limit)
		return true;
	if (threadIdx.x == 0)
		note_fault(w.fault, w.op);
	return false;
}

/* N pairs (a, b) = (x_j, x_{j + D/2}) of a head become (a cos - b sin, b cos + a sin), or are moved as they are. */
struct rope_place {
	struct array a;
	int64_t row, column; /* of the head's first element */
};

template <int N>
__device__ __forceinline__ void rope_pair(const struct rope_work &w, const struct rope_place &to,
					  const struct rope_place &from, int64_t pos, int64_t j, bool rotated)
{
	float a[N], b[N];
	load<N>(a, from.a, from.row, from.column + j);
	load<N>(b, from.a, from.row, from.column + j + w.half);
	if (rotated) {
		float c[N], s[N];
		load<N>(c, w.cos, pos, j);
		load<N>(s, w.sin, pos, j);
		EACH(N, n) {
			float x = a[n];
			s[n] *= w.sign;
			a[n] = x * c[n] - b[n] * s[n];
			b[n] = b[n] * c[n] + x * s[n];
		}
	}
	store<N>(to.a, to.row, to.column + j, a);
	store<N>(to.a, to.row, to.column + j + w.half, b);
}

/* A block has a row, a thread N pairs of one head at a time: first those of q, then of k, then of v. */
template <int N> __global__ void rope_rows(struct rope_work w)
{
	int64_t t = blockIdx.x, i = w.dst ? w.dst[t] : t;
	int dim = 2 * w.half, queries = (int)w.q.cols, keys = queries + (int)w.k.cols, end = keys + (int)w.v.cols;
	if (!rope_in_range(w, w.pos[t], 0, w.cos.rows) || (w.dst && !rope_in_range(w, i, INT32_MIN, w.k.rows)))
		return;
	end = i < 0 ? queries : end;
	int each = w.half / N; /* vectors of a head */
	int64_t pos = w.pos[t];
	for (int p = (int)threadIdx.x, vectors = end / dim * each; p < vectors; p += (int)blockDim.x) {
		int column = p / each * dim, j = p % each * N;
		struct rope_place raw = {w.raw, t, column}, own = {w.q, t, column};
		if (column >= keys)
			own = (struct rope_place){w.v, i, column - keys};
		else if (column >= queries)
			own = (struct rope_place){w.k, i, column - queries};
		rope_pair<N>(w, w.back ? raw : own, w.back ? own : raw, pos, j, column < keys);
	}
}

static enum op rope_op(const char *name)
{
	int op = 0;
	while (op < OP_COUNT - 1 && strcmp(op_name((enum op)op), name) != 0)
		op++;
	return (enum op)op;
}

static struct rope_work rope_work_of(struct device *dev, const char *op, struct view q, struct view k, struct view v,
				     struct view raw, struct view pos, const struct rope *rope, int head_dim)
{
	struct rope_work w;
	w.q = array_of(q), w.k = array_of(k), w.v = array_of(v), w.raw = array_of(raw);
	w.cos = array_of(rope->cos), w.sin = array_of(rope->sin);
	w.pos = i32_of(pos), w.dst = NULL;
	w.half = head_dim / 2, w.sign = 1, w.back = false;
	w.fault = cuda_of(dev)->fault, w.op = rope_op(op);
	return w;
}

static void rope_launch(struct device *dev, const char *op, const struct rope_work &w)
{
	bool all = wide(w.q) && wide(w.k) && wide(w.v) && wide(w.raw) && wide(w.cos) && wide(w.sin);
	LAUNCH_WIDE(all, dev, op, rope_rows, dim3((unsigned)w.raw.rows), ROPE_BLOCK, 0, w);
}

void cuda_rope_store(struct device *dev, const char *op, struct view q, struct view k, struct view v, struct view raw,
		     struct view pos, struct view dst, const struct rope *rope, int head_dim)
{
	struct rope_work w = rope_work_of(dev, op, q, k, v, raw, pos, rope, head_dim);
	w.dst = i32_of(dst);
	rope_launch(dev, op, w);
}

void cuda_rope_back(struct device *dev, const char *op, struct view raw, struct view dq, struct view dk, struct view dv,
		    struct view pos, const struct rope *rope, int head_dim)
{
	struct rope_work w = rope_work_of(dev, op, dq, dk, dv, raw, pos, rope, head_dim);
	w.sign = -1;
	w.back = true;
	rope_launch(dev, op, w);
}

static void rope_table_rope(struct device *dev, struct view x, struct view pos, const struct rope *rope, int head_dim,
			    bool inverse)
{
	if (!check_rope(dev, x, pos, rope, head_dim))
		return;
	struct rope_work w = rope_work_of(dev, "rope", x, view_none(), view_none(), x, pos, rope, head_dim);
	w.sign = inverse ? -1.0f : 1.0f;
	rope_launch(dev, "rope", w);
}

void cuda_override_rope(struct kernels *table)
{
	table->rope = rope_table_rope;
}

size_t cuda_scratch_rope(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev, (void)op, (void)shape;
	return 0;
}
