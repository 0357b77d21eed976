// SPDX-License-Identifier: Apache-2.0
/* Low-rank adapters (Hu et al. 2021) inside the products of their weights, and dropout on their input. */
#include "backends/cuda/array.cuh"

#include "reference/check.h"
#include "reference/philox.h"

/* ---- dropout ------------------------------------------------------------------------ */

/* What the mask of one adapter is drawn from; keep 0: none. */
struct mask {
	const uint64_t *state, *row_key;
	uint32_t layer, module, threshold;
	float keep;
};

static struct mask mask_of(const struct lora *lora, const struct dropout *drop)
{
	struct mask m = {NULL, NULL, 0, 0, 0, 0};
	if (!drop || lora->p <= 0)
		return m;
	m.state = u64_of(drop->state);
	m.row_key = u64_of(drop->row_key);
	m.layer = drop->layer;
	m.module = lora->module;
	m.threshold = dropout_threshold(lora->p);
	m.keep = (float)(1.0 / (1.0 - (double)lora->p));
	return m;
}

/* y = mask / (1 - p) * x, or y += that */
template <int N> __global__ void low_rank_drop(struct array y, struct array x, struct mask m, bool add)
{
	int64_t t = blockIdx.x;
	struct philox_key key = philox_stream(m.state[0], PHILOX_DROPOUT, (uint32_t)m.state[1], m.layer, m.module);
	uint64_t row = m.row_key[t];
	for (int64_t j = threadIdx.x * N; j < x.cols; j += (int64_t)blockDim.x * N) {
		float v[N], old[N] = {0};
		load<N>(v, x, t, j);
		if (add)
			load<N>(old, y, t, j);
		struct philox_words words;
		EACH(N, n) {
			if (n % 4 == 0)
				words = philox_at(key, (uint32_t)(j / 4 + n / 4), row);
			float kept = words.w[(j + n) % 4] >= m.threshold ? v[n] * m.keep : 0;
			v[n] = add ? old[n] + kept : kept;
		}
		store<N>(y, t, j, v);
	}
}

static void drop_rows(struct device *dev, const char *op, struct view y, struct view x, const struct mask *m, bool add)
{
	struct array a = array_of(y), b = array_of(x);
	LAUNCH_WIDE(wide(a) && wide(b), dev, op, low_rank_drop, x.rows, 256, 0, a, b, *m, add);
}

/* drop(x) of one adapter: x itself, or in `room`. */
static struct view dropped(struct device *dev, const char *op, struct view x, struct view room,
			   const struct lora *lora, const struct dropout *drop)
{
	struct mask m = mask_of(lora, drop);
	if (m.keep == 0)
		return x;
	drop_rows(dev, op, room, x, &m, false);
	return room;
}

/* ---- adapters in the arithmetic of the products ------------------------------------------- */

struct beside {
	struct array a[3], b[3];     /* p NULL: no adapter */
	float scale[3];
	int64_t row[4];              /* where each matrix of the group begins, and the end */
	int64_t col[4];              /* and each adapter */
};

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
__device__ __forceinline__ void low_rank_a(const struct array &to, const struct beside &l, int n, int64_t k)
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
__device__ __forceinline__ float low_rank_b(const struct beside &l, int i, int64_t row, int64_t c)
{
	bool own = l.b[i].p && c >= l.col[i] && c < l.col[i + 1];
	return own ? l.scale[i] * element(l.b[i], row - l.row[i], c - l.col[i]) : 0;
}

enum { TAKE_BLOCK = 128 };

/* A block for each row of the As, then for each 8 * TAKE_BLOCK elements of the group's columns, row by row. */
template <int N> __global__ void low_rank_take(struct array a, struct array b, struct beside l, int n)
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

/* The sums of all adapters of a group, scaled, onto each one's own gradient. */
struct shares {
	struct array to[3]; /* p NULL: none */
	float scale[3];
	int64_t row[4], col[4];
	bool whole;         /* rows: no column belongs to another */
};

/* to_i[r - row_i, c - col_i] += scale_i * from[r, c] where (r, c) lies in i's rows and columns */
__global__ void low_rank_share(struct shares l, struct array from, int n)
{
	int64_t r = blockIdx.x;
	for (int i = 0; i < n; i++) {
		if (!l.to[i].p || r < l.row[i] || r >= l.row[i + 1])
			continue;
		int64_t begin = l.whole ? 0 : l.col[i], end = l.whole ? from.cols : l.col[i + 1];
		int64_t step = (int64_t)gridDim.y * blockDim.x;
		for (int64_t c = begin + (int64_t)blockIdx.y * blockDim.x + threadIdx.x; c < end; c += step) {
			float old = element(l.to[i], r - l.row[i], c - begin);
			put(l.to[i], r - l.row[i], c - begin, old + l.scale[i] * element(from, r, c));
		}
	}
}

static struct beside beside_of(const struct weight *w, const struct lora *const lora[])
{
	struct beside a;
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

/*
 * What the products of both directions work on; in scratch: the As below each
 * other, rows for drop(x), and B where it has no room beside the weights.
 */
struct adapted {
	struct device *dev;
	const char *op;
	const struct weight *w;
	const struct lora *const *lora;
	const struct dropout *drop;
	int64_t width, col[4], row[4];
	bool beside;                 /* B fits into the weights' own array */
	struct view group, a, room, b; /* [sum N, M]; [width, M]; [R, M]; [sum N, width] */
};

static bool adapted_init(struct adapted *l, struct device *dev, const char *op, const struct weight *w,
			 const struct lora *const lora[], const struct dropout *drop, int64_t rows)
{
	struct beside a = beside_of(w, lora);
	l->dev = dev, l->op = op, l->w = w, l->lora = lora, l->drop = drop;
	l->width = cuda_width(lora, w->n);
	l->beside = l->width <= cuda_pad(w);
	l->group = cuda_group(w);
	for (int i = 0; i < 4; i++)
		l->col[i] = a.col[i], l->row[i] = a.row[i];
	if (!l->width)
		return !dev->failure[0];
	l->a = cuda_scratch(dev, op, l->width, l->group.cols, dev->act_dtype);
	l->room = drop ? cuda_scratch(dev, op, rows, l->group.cols, dev->act_dtype) : view_none();
	l->b = l->beside ? behind(l->group, l->width)
			 : cuda_scratch(dev, op, l->group.rows, l->width, dev->act_dtype);
	if (dev->failure[0])
		return false;
	struct array to = array_of(l->a);
	struct array b = array_of(l->b);
	bool all = wide(to) && wide(b) && wide(a.a[0]) && wide(a.a[1]) && wide(a.a[2]);
	int64_t blocks = l->width + blocks_for(b.rows * b.cols, 8 * TAKE_BLOCK);
	LAUNCH_WIDE(all, dev, op, low_rank_take, blocks, TAKE_BLOCK, 0, to, b, a, w->n);
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
		any = any || (l->lora[i] && mask_of(l->lora[i], l->drop).keep != 0);
	if (!any) {
		struct cuda_factor a = {x, false}, b = {l->a, true};
		cuda_multiply(l->dev, l->op, to, a, b, 1, false);
		return;
	}
	if (l->width > l->col[l->w->n])
		cuda_fill(l->dev, l->op, view_cols(to, l->col[l->w->n], l->width - l->col[l->w->n]), 0);
	for (int i = 0; i < l->w->n; i++) {
		if (!l->lora[i])
			continue;
		struct cuda_factor a = {dropped(l->dev, l->op, x, l->room, l->lora[i], l->drop), false};
		struct cuda_factor b = {view_rows(l->a, l->col[i], l->lora[i]->a.rows), true};
		cuda_multiply(l->dev, l->op, view_cols(to, l->col[i], l->lora[i]->a.rows), a, b, 1, false);
	}
}

void cuda_adapted(struct device *dev, const char *op, struct view y, struct view x, struct view xa,
		  const struct weight *w, const struct lora *const lora[], const struct dropout *drop, bool add)
{
	size_t used = dev->scratch_used;
	struct adapted l;
	if (!adapted_init(&l, dev, op, w, lora, drop, x.rows))
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

/* ---- backward ------------------------------------------------------------------------------ */

static int adapters_of(const struct weight *w, const struct lora *const lora[])
{
	int n = 0;
	for (int i = 0; i < w->n; i++)
		n += lora[i] != NULL;
	return n;
}

/* row, col: where each adapter's part begins in `sums`; col NULL: parts are whole rows. */
static void share_out(struct device *dev, const char *op, struct view sums, const struct view to[3],
		      const float scale[3], const int64_t row[4], const int64_t col[4], int n)
{
	struct shares l;
	for (int i = 0; i < 3; i++)
		l.to[i] = array_of(to[i]), l.scale[i] = scale[i];
	for (int i = 0; i < 4; i++)
		l.row[i] = row[i], l.col[i] = col ? col[i] : 0;
	l.whole = !col;
	dim3 grid(sums.rows, sums.cols > 1024 ? 8 : 1, 1);
	LAUNCH(dev, op, low_rank_share, grid, sums.cols > 1024 ? 256 : 32, 0, l, array_of(sums), n);
}

/* dB += scale * dy^T xa: one product for all adapters of a group, of which each takes its own part. */
static void low_rank_db(struct adapted *l, struct view dy, struct view xa)
{
	struct view to[3] = {view_none(), view_none(), view_none()};
	float scale[3] = {0, 0, 0};
	bool any = false;
	for (int i = 0; i < l->w->n; i++)
		if (l->lora[i]) {
			to[i] = l->lora[i]->db, scale[i] = l->lora[i]->scale;
			any = any || view_present(to[i]);
		}
	struct cuda_factor a = {dy, true}, b = {xa, false};
	if (!any)
		return;
	if (l->w->n == 1) {
		b.v.cols = to[0].cols;
		cuda_multiply(l->dev, l->op, to[0], a, b, scale[0], true);
		return;
	}
	struct view sums = cuda_scratch(l->dev, l->op, dy.cols, xa.cols, DTYPE_F32);
	if (!view_present(sums))
		return;
	cuda_multiply(l->dev, l->op, sums, a, b, 1, false);
	share_out(l->dev, l->op, sums, to, scale, l->row, l->col, l->w->n);
}

/* dx += mask / (1 - p) * (g A), at once for all adapters where nothing is dropped. */
static void low_rank_dx(struct adapted *l, struct view dx, struct view g)
{
	struct cuda_factor all = {g, false}, as = {l->a, false};
	if (!l->drop) {
		cuda_multiply(l->dev, l->op, dx, all, as, 1, true);
		return;
	}
	for (int i = 0; i < l->w->n; i++) {
		if (!l->lora[i])
			continue;
		struct mask m = mask_of(l->lora[i], l->drop);
		struct cuda_factor a = {view_cols(g, l->col[i], l->lora[i]->a.rows), false};
		struct cuda_factor b = {view_rows(l->a, l->col[i], l->lora[i]->a.rows), false};
		cuda_multiply(l->dev, l->op, m.keep == 0 ? dx : l->room, a, b, 1, m.keep == 0);
		if (m.keep != 0)
			drop_rows(l->dev, l->op, dx, l->room, &m, true);
	}
}

void cuda_adapted_dx(struct device *dev, const char *op, struct view dx, struct view g, struct view dy, struct view xa,
		     const struct weight *w, const struct lora *const lora[], const struct dropout *drop)
{
	size_t used = dev->scratch_used;
	struct adapted l;
	if (!adapted_init(&l, dev, op, w, lora, drop, dy.rows))
		return;
	struct cuda_factor d = {dy, false}, own = {l.group, false}, low = {l.b, false};
	if (view_present(dx))
		cuda_multiply(dev, op, dx, d, own, 1, false);
	if (l.width) {
		cuda_multiply(dev, op, g, d, low, 1, false);
		low_rank_db(&l, dy, xa);
		if (view_present(dx))
			low_rank_dx(&l, dx, g);
	}
	dev->scratch_used = used;
}

/* One product for the As of all adapters where nothing is dropped; their rows lie below each other in it. */
static void low_rank_da(struct device *dev, const char *op, struct view g, struct view x, const struct weight *w,
			const struct lora *const lora[], const int64_t below[4])
{
	static const float ones[3] = {1, 1, 1};
	struct view sums = cuda_scratch(dev, op, g.cols, x.cols, DTYPE_F32), to[3];
	struct cuda_factor a = {g, true}, b = {x, false};
	if (!view_present(sums))
		return;
	cuda_multiply(dev, op, sums, a, b, 1, false);
	for (int i = 0; i < 3; i++)
		to[i] = i < w->n && lora[i] ? lora[i]->da : view_none();
	share_out(dev, op, sums, to, ones, below, NULL, w->n);
}

void cuda_adapted_da(struct device *dev, const char *op, struct view g, struct view x, const struct weight *w,
		     const struct lora *const lora[], const struct dropout *drop)
{
	size_t used = dev->scratch_used;
	struct beside at = beside_of(w, lora);
	if (!at.col[3])
		return;
	if (!drop && adapters_of(w, lora) > 1) {
		low_rank_da(dev, op, g, x, w, lora, at.col);
		dev->scratch_used = used;
		return;
	}
	struct view room = drop ? cuda_scratch(dev, op, x.rows, x.cols, dev->act_dtype) : view_none();
	for (int i = 0; !dev->failure[0] && i < w->n; i++) {
		if (!lora[i] || !view_present(lora[i]->da))
			continue;
		struct cuda_factor a = {view_cols(g, at.col[i], lora[i]->a.rows), true};
		struct cuda_factor b = {dropped(dev, op, x, room, lora[i], drop), false};
		cuda_multiply(dev, op, lora[i]->da, a, b, 1, true);
	}
	dev->scratch_used = used;
}

/* ---- the primitives --------------------------------------------------------------------------- */

/* act_dtype copies of one adapter's A and of what stands at its ends. */
struct alone {
	struct view a, b, x, xa;
};

static bool alone_init(struct alone *l, struct device *dev, const char *op, struct view x, const struct lora *lora,
		       const struct dropout *drop)
{
	struct mask m = mask_of(lora, drop);
	l->a = cuda_as_act(dev, op, lora->a);
	l->b = cuda_as_act(dev, op, lora->b);
	l->x = x;
	if (m.keep != 0 || x.dtype != dev->act_dtype)
		l->x = cuda_scratch(dev, op, x.rows, x.cols, dev->act_dtype);
	l->xa = cuda_scratch(dev, op, x.rows, lora->a.rows, dev->act_dtype);
	if (dev->failure[0])
		return false;
	if (m.keep != 0)
		drop_rows(dev, op, l->x, x, &m, false);
	else if (x.dtype != dev->act_dtype)
		cuda_convert(dev, op, l->x, x);
	return !dev->failure[0];
}

static void low_rank_lora(struct device *dev, struct view y, struct view xa, struct view x, const struct lora *lora,
			  const struct dropout *drop)
{
	size_t used = dev->scratch_used;
	struct alone l;
	if (!check_lora(dev, y, xa, x, lora, drop) || !alone_init(&l, dev, "lora", x, lora, drop))
		return;
	struct cuda_factor in = {l.x, false}, a = {l.a, true}, mid = {l.xa, false}, b = {l.b, true};
	cuda_multiply(dev, "lora", xa, in, a, 1, false);
	cuda_convert(dev, "lora", l.xa, xa);
	cuda_multiply_any(dev, "lora", y, mid, b, lora->scale, true);
	dev->scratch_used = used;
}

static void alone_dx(struct device *dev, struct view dx, const struct alone *l, const struct mask *m)
{
	struct view sum = cuda_scratch(dev, "lora_backward", dx.rows, dx.cols, DTYPE_F32);
	struct cuda_factor g = {l->xa, false}, a = {l->a, false};
	if (m->keep == 0) {
		cuda_multiply_any(dev, "lora_backward", dx, g, a, 1, true);
		return;
	}
	if (!view_present(sum))
		return;
	cuda_multiply(dev, "lora_backward", sum, g, a, 1, false);
	drop_rows(dev, "lora_backward", dx, sum, m, true);
}

static void low_rank_lora_backward(struct device *dev, struct view dx, struct view dy, struct view x, struct view xa,
				   const struct lora *lora, const struct dropout *drop)
{
	size_t used = dev->scratch_used;
	struct alone l;
	if (!check_lora_backward(dev, dx, dy, x, xa, lora, drop) || !alone_init(&l, dev, "lora_backward", x, lora, drop))
		return;
	struct view d = cuda_as_act(dev, "lora_backward", dy), in = cuda_as_act(dev, "lora_backward", xa);
	if (dev->failure[0])
		return;
	struct cuda_factor dt = {d, true}, kept = {in, false}, df = {d, false}, b = {l.b, false};
	if (view_present(lora->db))
		cuda_multiply(dev, "lora_backward", lora->db, dt, kept, lora->scale, true);
	cuda_multiply(dev, "lora_backward", l.xa, df, b, lora->scale, false); /* g */
	if (view_present(lora->da)) {
		struct cuda_factor g = {l.xa, true}, low = {l.x, false};
		cuda_multiply(dev, "lora_backward", lora->da, g, low, 1, true);
	}
	struct mask m = mask_of(lora, drop);
	if (view_present(dx))
		alone_dx(dev, dx, &l, &m);
	dev->scratch_used = used;
}

size_t cuda_scratch_low_rank(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev;
	int64_t wide = shape->hidden > shape->ffn ? shape->hidden : shape->ffn, R = shape->rows, r = shape->rank;
	int64_t attn = shape->heads * shape->head_dim;
	wide = attn > wide ? attn : wide;
	if (op != OP_lora && op != OP_lora_backward)
		return 0;
	return 3 * cuda_array_bytes(R, wide, DTYPE_F32) + 2 * cuda_array_bytes(r, wide, DTYPE_F32) +
	       2 * cuda_array_bytes(R, r, DTYPE_F32);
}

void cuda_override_low_rank(struct kernels *table)
{
	table->lora = low_rank_lora;
	table->lora_backward = low_rank_lora_backward;
}
