// SPDX-License-Identifier: Apache-2.0
/* The gradients of low-rank adapters and of their input. */
#include "backends/cuda/low_rank.cuh"

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
	share_out(l->dev, l->op, sums, to, scale, l->at.row, l->at.col, l->w->n);
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
		bool masked = drops(l->lora[i], l->drop);
		struct cuda_factor a = {view_cols(g, l->at.col[i], l->lora[i]->a.rows), false};
		struct cuda_factor b = {view_rows(l->a, l->at.col[i], l->lora[i]->a.rows), false};
		cuda_multiply(l->dev, l->op, masked ? l->room : dx, a, b, 1, !masked);
		if (masked)
			cuda_drop(l->dev, l->op, dx, l->room, l->lora[i], l->drop, true);
	}
}

void cuda_adapted_dx(struct device *dev, const char *op, struct view dx, struct view g, struct view dy, struct view xa,
		     const struct weight *w, const struct lora *const lora[], const struct dropout *drop)
{
	size_t used = dev->scratch_used;
	struct adapted l;
	if (!cuda_adapted_init(&l, dev, op, w, lora, drop, dy.rows))
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
	struct adapters at = cuda_adapters(w, lora);
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
		struct cuda_factor b = {cuda_dropped(dev, op, x, room, lora[i], drop), false};
		cuda_multiply(dev, op, lora[i]->da, a, b, 1, true);
	}
	dev->scratch_used = used;
}
