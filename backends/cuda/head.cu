// SPDX-License-Identifier: Apache-2.0
/*
 * From the last residual to log-probabilities of targets and the gradient, in
 * chunks of rows: their logits in f32, one pass for log(sum(e^z)), and in the
 * second the gradient in place of the logits.
 */
#include "backends/cuda/array.cuh"

#include <math.h>

#include "reference/check.h"

enum { HEAD_BLOCK = 1024 };

/* ---- log(sum(e^z)) ------------------------------------------------------------------------ */

/* The largest of a row and the sum of e^(z - largest), as one number. */
template <int N> __device__ float head_log_sum(const struct array &z, int64_t t)
{
	float most = -INFINITY, sum = 0;
	for (int64_t j = threadIdx.x * N; j < z.cols; j += (int64_t)blockDim.x * N) {
		float v[N], high = most, few = 0; /* so that a long sum is one of short ones */
		load<N>(v, z, t, j);
		EACH(N, n) high = v[n] > high ? v[n] : high;
		if (high > most) {
			sum *= expf(most - high);
			most = high;
		}
		EACH(N, n) few += most == -INFINITY ? 0 : expf(v[n] - most);
		sum += few;
	}
	float all = block_max(most);
	sum = block_sum(most == -INFINITY ? 0.0f : sum * expf(most - all));
	return all + logf(sum);
}

/* y = x - log(sum(e^x)) */
template <int N> __global__ void __launch_bounds__(HEAD_BLOCK) head_log_softmax(struct array y, struct array x)
{
	int64_t t = blockIdx.x;
	float lse = head_log_sum<N>(x, t);
	for (int64_t j = threadIdx.x * N; j < x.cols; j += (int64_t)blockDim.x * N) {
		float v[N];
		load<N>(v, x, t, j);
		EACH(N, n) v[n] -= lse;
		store<N>(y, t, j, v);
	}
}

/* ---- the loss --------------------------------------------------------------------------------- */

struct head_rows {
	const int32_t *target;
	const float *weight; /* NULL: no gradient is asked for */
	float *logp;
	int32_t *fault;
};

/*
 * logp = z[target] - lse; dz = weight (e^(z - lse) - [v = target]) takes the
 * place of z, in its own type, which may be narrower: what is written at one
 * step lies over what was read at it or before, hence the barrier between.
 */
template <int N> __global__ void __launch_bounds__(HEAD_BLOCK) head_softmax(struct array z, struct array dz, struct head_rows r)
{
	int64_t t = blockIdx.x;
	int32_t target = r.target[t];
	bool bad = target >= z.cols, none = bad || target < 0;
	float lse = head_log_sum<N>(z, t);
	if (threadIdx.x == 0) {
		if (bad)
			note_fault(r.fault, OP_head_loss);
		r.logp[t] = none ? 0 : element(z, t, target) - lse;
	}
	if (!r.weight)
		return;
	float weight = none ? 0 : r.weight[t];
	__syncthreads(); /* z[target] has been read */
	for (int64_t first = 0; first < z.cols; first += (int64_t)blockDim.x * N) {
		int64_t j = first + threadIdx.x * N;
		float v[N];
		if (j < z.cols) {
			load<N>(v, z, t, j);
			EACH(N, n) v[n] = none ? 0 : weight * (expf(v[n] - lse) - (j + n == target ? 1.0f : 0.0f));
		}
		__syncthreads();
		if (j < z.cols)
			store<N>(dz, t, j, v);
	}
}

enum { HEAD_BYTES = 256 << 20 };

/* Rows of a chunk: what fits HEAD_BYTES, by the vocabulary alone. */
static int64_t chunk_rows(int64_t rows, int64_t vocab)
{
	int64_t most = HEAD_BYTES / (4 * (vocab ? vocab : 1)) / 16 * 16;
	most = most < 16 ? 16 : most;
	return rows < most ? rows : most;
}

static int64_t logits_ld(int64_t vocab)
{
	return (vocab + 7) / 8 * 8;
}

struct head {
	struct device *dev;
	struct view h, dh, z;  /* [R,C], [R,C], [chunk, V] f32 */
	const struct head_params *p;
	const struct head_grads *grads;
	bool gradient;
};

/* dz over z: [n, V] of act_dtype */
static struct view over(struct view z, enum dtype dtype)
{
	int64_t times = (int64_t)(dtype_size(z.dtype) / dtype_size(dtype));
	z.offset *= times;
	z.ld *= times;
	z.dtype = dtype;
	return z;
}

static void head_chunk(struct head *a, int64_t first, int64_t n, struct view logp, struct view target,
		       struct view weight)
{
	struct device *dev = a->dev;
	struct view z = view_rows(a->z, 0, n), dz = over(z, dev->act_dtype), h = view_rows(a->h, first, n);
	struct cuda_factor in = {h, false}, w = {a->p->w->w[0], true}, back = {a->p->w->w[0], false};
	cuda_multiply(dev, "head_loss", z, in, w, 1, false);
	struct head_rows r = {i32_of(target) + first, a->gradient ? f32_of(weight) + first : NULL, f32_of(logp) + first,
			      cuda_of(dev)->fault};
	LAUNCH_WIDE(z.cols % 8 == 0, dev, "head_loss", head_softmax, n, HEAD_BLOCK, 0, array_of(z), array_of(dz), r);
	struct cuda_factor d = {dz, false}, dt = {dz, true};
	if (view_present(a->dh))
		cuda_multiply(dev, "head_loss", view_rows(a->dh, first, n), d, back, 1, false);
	if (a->grads && view_present(a->grads->w))
		cuda_multiply(dev, "head_loss", a->grads->w, dt, in, 1, true);
}

static bool head_init(struct head *a, struct view x, bool want_dh)
{
	struct device *dev = a->dev;
	int64_t vocab = a->p->w->w[0].rows;
	a->h = cuda_scratch(dev, "head_loss", x.rows, x.cols, dev->act_dtype);
	a->dh = want_dh ? cuda_scratch(dev, "head_loss", x.rows, x.cols, dev->act_dtype) : view_none();
	a->z = cuda_scratch(dev, "head_loss", chunk_rows(x.rows, vocab), logits_ld(vocab), DTYPE_F32);
	a->z.cols = vocab;
	return !dev->failure[0];
}

static void head_loss(struct device *dev, struct view logp, struct view dx, const struct head_grads *grads,
		      struct view x, const struct head_params *p, struct view target, struct view weight)
{
	if (!check_head_loss(dev, logp, dx, grads, x, p, target, weight))
		return;
	size_t used = dev->scratch_used;
	struct view dnorm = grads ? grads->norm_w : view_none();
	bool want_dh = view_present(dx) || view_present(dnorm);
	struct head a = {dev, view_none(), view_none(), view_none(), p, grads,
			 want_dh || (grads && view_present(grads->w))};
	if (!head_init(&a, x, want_dh))
		return;
	cuda_norm(dev, "head_loss", a.h, view_none(), x, p->norm_w, p->eps);
	for (int64_t first = 0; first < x.rows; first += a.z.rows)
		head_chunk(&a, first, x.rows - first < a.z.rows ? x.rows - first : a.z.rows, logp, target, weight);
	if (view_present(dx))
		cuda_fill(dev, "head_loss", dx, 0);
	if (want_dh)
		cuda_norm_backward(dev, "head_loss", dx, dnorm, a.dh, x, p->norm_w, p->eps);
	dev->scratch_used = used;
}

static void head_logits(struct device *dev, struct view y, struct view x, const struct head_params *p)
{
	if (!check_logits(dev, y, x, p))
		return;
	size_t used = dev->scratch_used;
	struct view h = cuda_scratch(dev, "logits", x.rows, x.cols, dev->act_dtype);
	struct cuda_factor in = {h, false}, w = {p->w->w[0], true};
	if (dev->failure[0])
		return;
	cuda_norm(dev, "logits", h, view_none(), x, p->norm_w, p->eps);
	cuda_multiply_any(dev, "logits", y, in, w, 1, false);
	dev->scratch_used = used;
}

static void log_softmax(struct device *dev, struct view y, struct view x)
{
	struct array a = array_of(y), b = array_of(x);
	if (check_same(dev, "log_softmax", y, x, x))
		LAUNCH_WIDE(wide(a) && wide(b), dev, "log_softmax", head_log_softmax, x.rows, HEAD_BLOCK, 0, a, b);
}

size_t cuda_scratch_head(const struct device *dev, enum op op, const struct shape *s)
{
	size_t rows = cuda_array_bytes(s->rows, s->hidden, dev->act_dtype);
	if (op == OP_logits)
		return rows + cuda_array_bytes(s->rows, s->vocab, DTYPE_F32);
	if (op != OP_head_loss)
		return 0;
	return 2 * rows + cuda_array_bytes(chunk_rows(s->rows, s->vocab), logits_ld(s->vocab), DTYPE_F32) +
	       cuda_norm_backward_scratch(s->rows, s->hidden);
}

void cuda_override_head(struct kernels *table)
{
	table->log_softmax = log_softmax;
	table->head_loss = head_loss;
	table->logits = head_logits;
}
