// SPDX-License-Identifier: Apache-2.0
/*
 * Backward of segment attention. A tile gives its rows of dq and adds to dk
 * and dv of the keys it sees, tiles in row order: a prefix gets its own part
 * first, then its users' in their order. The thread that has a key head's first
 * tile adds to dk and dv themselves; one whose stretch begins inside a head
 * adds to arrays of its own, which are summed at the end in thread order.
 */
#include "backends/cpu/attention.h"

#include <string.h>

#include "reference/check.h"

struct backward {
	struct attn_work work;
	struct view dq, dk, dv, d_o;
	float *own; /* [threads, 2, R, D]: dk and dv of a key head's later part */
	int threads;
};

static float *own_of(const struct backward *b, int t)
{
	return b->own + (int64_t)t * 2 * b->dk.rows * b->work.dims->head_dim;
}

/* The key head that thread t adds to arrays of its own, -1: none. */
static int own_head(const struct backward *b, int t)
{
	int64_t end, number = attn_stretch(&b->work, t, b->threads, &end);

	return number < end && number % b->work.n ? (int)(number / b->work.n) : -1;
}

static void fill_gradients(struct attn_tile *tile, const struct backward *b, struct attn_place place, float *own)
{
	int64_t dim = b->work.dims->head_dim;

	tile->dk = own ? own : (float *)view_row(b->dk, 0) + place.head * dim;
	tile->dv = own ? own + b->dk.rows * dim : (float *)view_row(b->dv, 0) + place.head * dim;
	tile->ld_dk = own ? dim : b->dk.ld;
	tile->ld_dv = own ? dim : b->dv.ld;
	attn_rows(tile->d_o, tile, &b->work, place, b->d_o, dim);
	attn_rows(tile->dq, tile, &b->work, place, b->dq, dim);
}

static void stretch_backward(const struct backward *b, int t)
{
	const struct attn_work *work = &b->work;
	int64_t end, first = attn_stretch(work, t, b->threads, &end);
	int mine = own_head(b, t);
	struct attn_tile tile;

	if (mine >= 0)
		memset(own_of(b, t), 0, (size_t)(2 * b->dk.rows * work->dims->head_dim) * sizeof(float));
	for (int64_t number = first; number < end; number++) {
		struct attn_place place = attn_at(work, number);

		attn_fill(&tile, work, number, number == first);
		fill_gradients(&tile, b, place, place.head == mine ? own_of(b, t) : NULL);
		work->vec->backward(&tile, work->scratch + (size_t)t * work->scratch_each);
	}
}

static void add_own(const struct backward *b, const struct vec *vec, int64_t row)
{
	int64_t dim = b->work.dims->head_dim;

	for (int t = 0; t < b->threads; t++) {
		int head = own_head(b, t);

		if (head < 0)
			continue;
		vec->add((float *)view_row(b->dk, row) + head * dim, own_of(b, t) + row * dim, dim);
		vec->add((float *)view_row(b->dv, row) + head * dim, own_of(b, t) + (b->dk.rows + row) * dim, dim);
	}
}

static void zero(const struct backward *b, int64_t row)
{
	memset(view_row(b->dk, row), 0, (size_t)b->dk.cols * sizeof(float));
	memset(view_row(b->dv, row), 0, (size_t)b->dv.cols * sizeof(float));
}

static void run(struct device *dev, const struct backward *b)
{
	attn_zero_outside(b->dq, b->work.seg);
#pragma omp parallel num_threads(b->threads)
	{
#pragma omp for schedule(static)
		for (int64_t row = 0; row < b->dk.rows; row++)
			zero(b, row);
#pragma omp for schedule(static, 1)
		for (int t = 0; t < b->threads; t++)
			stretch_backward(b, t);
#pragma omp for schedule(static)
		for (int64_t row = 0; row < b->dk.rows; row++)
			add_own(b, cpu_of(dev)->vec, row);
	}
}

static size_t own_bytes(const struct device *dev, int64_t rows, int64_t head_dim)
{
	return (size_t)dev->threads * 2 * (size_t)(rows * head_dim) * sizeof(float);
}

void cpu_attention_backward(struct device *dev, struct view dq, struct view dk, struct view dv, struct view d_o,
				 struct view o, struct view lse, struct view q, struct view k, struct view v,
				 const struct segments *seg, const struct attn_dims *dims)
{
	static const char op[] = "attention_backward";
	struct backward b = {.work = {.seg = seg, .dims = dims, .q = q, .k = k, .v = v, .o = o, .lse = lse},
			     .dq = dq, .dk = dk, .dv = dv, .d_o = d_o, .threads = dev->threads};
	size_t mark = dev->scratch_used;

	if (!check_attention_backward(dev, dq, dk, dv, d_o, o, lse, q, k, v, seg, dims) ||
	    !attn_f32(dev, op, (struct view[]){dq, dk, dv, d_o, o, q, k, v}, 8))
		return;
	b.own = device_scratch(dev, op, own_bytes(dev, q.rows, dims->head_dim));
	if (b.own && attn_begin(dev, op, &b.work))
		run(dev, &b);
	dev->scratch_used = mark;
}

size_t attn_backward_scratch(const struct device *dev, const struct shape *shape)
{
	return attn_scratch(dev, shape) + own_bytes(dev, shape->rows, shape->head_dim) + 64;
}
