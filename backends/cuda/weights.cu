// SPDX-License-Identifier: Apache-2.0
/*
 * Weights: a group's matrices below each other in one device array of the
 * device's arithmetic. The row views of the group are views of that array, so
 * what reads or trains w[i] works on the very copy that products use, and the
 * host's matrices are not needed afterwards.
 */
#include "backends/cuda/array.cuh"

#include <stdlib.h>
#include <string.h>

#include "reference/check.h"

/* What weight.packed points to. */
struct packed {
	struct buffer buffer;
	int64_t pad;
};

struct view cuda_group(const struct weight *w)
{
	struct view v = w->w[0];
	for (int i = 1; i < w->n; i++)
		v.rows += w->w[i].rows;
	return v;
}

int64_t cuda_pad(const struct weight *w)
{
	return ((const struct packed *)w->packed)->pad;
}

static bool check_group(struct device *dev, int n, const struct view host[])
{
	for (int i = 0; i < n; i++)
		if (!check_view(dev, "prepare", "weight", host[i], CHECK_FLOAT) || host[i].cols != host[0].cols) {
			device_fail(dev, "prepare", "matrices of a group differ in their input size");
			return false;
		}
	return true;
}

/* Rows of a host matrix to the device, through a bounded piece of it where the storage type differs. */
static void send_matrix(struct device *dev, struct view to, struct view host)
{
	enum { PIECE = 32 << 20 };
	size_t size = dtype_size(host.dtype), row = (size_t)host.ld * size;
	int64_t step = row ? (int64_t)(PIECE / row) : 1;
	step = step < 1 ? 1 : step;
	struct buffer *piece = dev->k->alloc(dev, (size_t)(step < host.rows ? step : host.rows) * row);
	for (int64_t i = 0; piece && i < host.rows; i += step) {
		int64_t n = host.rows - i < step ? host.rows - i : step;
		struct view whole = view_of(piece, 1, (n - 1) * host.ld + host.cols, host.dtype);
		struct view part = view_of(piece, n, host.cols, host.dtype);
		part.ld = host.ld;
		dev->k->upload(dev, whole, view_row(host, i));
		cuda_convert(dev, "prepare", view_rows(to, i, n), part);
	}
	dev->k->free(dev, piece);
}

static void view_group(struct weight *weight, struct packed *packed, const struct view host[], int64_t cols,
		       enum dtype dtype)
{
	int64_t row = 0;
	for (int i = 0; i < weight->n; i++) {
		weight->w[i] = view_of(&packed->buffer, host[i].rows, cols, dtype);
		weight->w[i].ld = cols + packed->pad;
		weight->w[i].offset = row * weight->w[i].ld;
		row += host[i].rows;
	}
}

static int weights_prepare(struct device *dev, struct weight *weight, int n, const struct view host[],
			   enum dtype dtype, unsigned uses)
{
	(void)dtype; /* the device's arithmetic decides */
	memset(weight, 0, sizeof *weight);
	if (!check_group(dev, n, host))
		return -1;
	int64_t rows = 0, cols = host[0].cols, pad = uses & WEIGHT_GATHER ? 0 : n * CUDA_PAD;
	for (int i = 0; i < n; i++)
		rows += host[i].rows;
	size_t bytes = (size_t)rows * (size_t)(cols + pad) * dtype_size(dev->act_dtype);
	struct packed *packed = (struct packed *)calloc(1, sizeof *packed);
	void *data = packed ? cuda_bytes(dev, "prepare", bytes) : NULL;
	if (!data) {
		device_fail(dev, "prepare", "out of memory");
		free(packed);
		return -1;
	}
	packed->buffer.data = data;
	packed->buffer.bytes = bytes;
	packed->pad = pad;
	weight->n = n;
	weight->uses = uses;
	weight->packed = packed;
	weight->bytes = bytes;
	dev->allocated -= bytes; /* counted as prepared */
	dev->prepared += bytes;
	view_group(weight, packed, host, cols, dev->act_dtype);
	for (int i = 0; i < n; i++)
		send_matrix(dev, weight->w[i], host[i]);
	return dev->failure[0] ? -1 : 0;
}

static void weights_refresh(struct device *dev, struct weight *weight)
{
	(void)dev, (void)weight; /* products read the matrices themselves */
}

static void weights_release(struct device *dev, struct weight *weight)
{
	struct packed *packed = (struct packed *)weight->packed;
	if (packed) {
		dev->allocated += packed->buffer.bytes;
		dev->prepared -= packed->buffer.bytes;
		cuda_bytes_free(dev, packed->buffer.data, packed->buffer.bytes);
		free(packed);
	}
	memset(weight, 0, sizeof *weight);
}

/* ---- products with one matrix --------------------------------------------------------- */

struct view cuda_as_act(struct device *dev, const char *op, struct view x)
{
	if (x.dtype == dev->act_dtype || !view_present(x))
		return x;
	struct view y = cuda_scratch(dev, op, x.rows, x.cols, dev->act_dtype);
	if (view_present(y))
		cuda_convert(dev, op, y, x);
	return y;
}

void cuda_multiply_any(struct device *dev, const char *op, struct view c, struct cuda_factor a, struct cuda_factor b,
		       float alpha, bool add)
{
	bool direct = c.dtype == DTYPE_F32 || c.dtype == dev->act_dtype;
	struct view to = direct ? c : cuda_scratch(dev, op, c.rows, c.cols, DTYPE_F32);
	if (!view_present(to))
		return;
	if (!direct && add)
		cuda_convert(dev, op, to, c);
	cuda_multiply(dev, op, to, a, b, alpha, add);
	if (!direct)
		cuda_convert(dev, op, c, to);
}

static void weights_linear(struct device *dev, struct view y, struct view x, const struct weight *w, int i,
			   struct view bias, bool add)
{
	if (!check_linear(dev, y, x, w, i, bias))
		return;
	size_t used = dev->scratch_used;
	struct cuda_factor a = {cuda_as_act(dev, "linear", x), false}, b = {w->w[i], true};
	cuda_multiply_any(dev, "linear", y, a, b, 1, add);
	if (view_present(bias))
		cuda_add_bias(dev, "linear", y, bias);
	dev->scratch_used = used;
}

static void weights_linear_dx(struct device *dev, struct view dx, struct view dy, const struct weight *w, int i,
			      bool add)
{
	if (!check_linear_dx(dev, dx, dy, w, i))
		return;
	size_t used = dev->scratch_used;
	struct cuda_factor a = {cuda_as_act(dev, "linear_dx", dy), false}, b = {w->w[i], false};
	cuda_multiply_any(dev, "linear_dx", dx, a, b, 1, add);
	dev->scratch_used = used;
}

static void weights_linear_dw(struct device *dev, struct view dw, struct view dbias, struct view dy, struct view x)
{
	if (!check_linear_dw(dev, dw, dbias, dy, x))
		return;
	size_t used = dev->scratch_used;
	struct view d = cuda_as_act(dev, "linear_dw", dy);
	if (view_present(dw)) {
		struct cuda_factor a = {d, true}, b = {cuda_as_act(dev, "linear_dw", x), false};
		cuda_multiply(dev, "linear_dw", dw, a, b, 1, true);
	}
	if (view_present(dbias))
		cuda_column_sums(dev, "linear_dw", dbias, dy);
	dev->scratch_used = used;
}

/* Copies of x, y in other types: only what is not stored as the device wants it needs them. */
size_t cuda_scratch_weights(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev;
	int64_t wide = shape->hidden > shape->ffn ? shape->hidden : shape->ffn;
	wide = shape->vocab > wide ? shape->vocab : wide;
	return op == OP_linear || op == OP_linear_dx || op == OP_linear_dw
		       ? 2 * cuda_array_bytes(shape->rows, wide, DTYPE_F32) : 0;
}

void cuda_override_weights(struct kernels *table)
{
	table->prepare = weights_prepare;
	table->refresh = weights_refresh;
	table->release = weights_release;
	table->linear = weights_linear;
	table->linear_dx = weights_linear_dx;
	table->linear_dw = weights_linear_dw;
}
