// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/product.h"

#include <omp.h>

enum {
	TEAM_ROWS = 1024,     /* of a block that the team runs */
	LEAST_ELEMENTS = 8192 /* of a piece worth a thread */
};

struct team_plan team_plan(const struct device *dev, int64_t rows, bool in_order)
{
	const struct products *products = cpu_of(dev)->products;
	int64_t threads = dev->threads, most = threads * products->block_rows;
	int64_t blocks = (rows + most - 1) / most * threads;
	int64_t block = blocks ? round_up_to((rows + blocks - 1) / blocks, 8) : 8;

	if (in_order || threads == 1 || block < products->least_rows)
		return (struct team_plan){.block = at_most(at_least(rows, 1), TEAM_ROWS)};
	return (struct team_plan){.block = block, .parallel = true};
}

int64_t team_plan_rows(const struct device *dev, int64_t rows)
{
	rows = round_up_to(at_least(rows, 1), 8);
	return at_least(at_most(rows, TEAM_ROWS), at_most(rows, cpu_of(dev)->products->block_rows) * dev->threads);
}

int team_plan_lanes(const struct device *dev, struct team_plan plan)
{
	return plan.parallel ? dev->threads : 1;
}

/* Pieces of `unit` rows, numbers [begin, end) of them on each thread, in order. */
static void spread(const struct device *dev, int64_t first, int64_t rows, int64_t unit, bool whole, team_fn *fn,
		   void *work)
{
	int64_t units = (rows + unit - 1) / unit;

#pragma omp parallel num_threads(dev->threads)
	{
		int lane = omp_get_thread_num();
		int64_t team = omp_get_num_threads(), begin = units * lane / team, end = units * (lane + 1) / team;
		int64_t step = whole ? at_least(end - begin, 1) : 1;

		for (int64_t u = begin; u < end; u += step)
			fn(work, first + u * unit, at_most(step * unit, rows - u * unit), lane);
	}
}

void team_blocks(const struct device *dev, int64_t rows, struct team_plan plan, team_fn *fn, void *work)
{
	product_threads(dev);
	if (plan.parallel) {
		spread(dev, 0, rows, plan.block, false, fn, work);
		return;
	}
	for (int64_t first = 0; first < rows; first += plan.block)
		fn(work, first, at_most(plan.block, rows - first), TEAM);
}

void team_phase(const struct device *dev, int64_t first, int64_t count, int lane, int64_t cols, team_fn *fn, void *work)
{
	if (lane != TEAM)
		fn(work, first, count, lane);
	else if (dev->threads == 1 || count * cols < 2 * LEAST_ELEMENTS)
		fn(work, first, count, 0);
	else
		spread(dev, first, count, 1, true, fn, work);
}

void team_rows(const struct device *dev, int64_t rows, int64_t cols, team_fn *fn, void *work)
{
	team_phase(dev, 0, rows, TEAM, cols, fn, work);
}

size_t lanes_bytes(int lanes, int64_t floats)
{
	return (size_t)lanes * (size_t)round_up_to(floats, 16) * sizeof(float);
}

struct lanes lanes_take(struct device *dev, const char *op, int lanes, int64_t floats)
{
	size_t stride = (size_t)round_up_to(floats, 16);

	return (struct lanes){.at = device_scratch(dev, op, lanes_bytes(lanes, floats)), .stride = stride};
}

const float *expanded(struct device *dev, const char *op, struct view w)
{
	if (!view_present(w))
		return NULL;
	if (w.dtype == DTYPE_F32)
		return row_f32(w, 0);
	float *out = device_scratch(dev, op, (size_t)w.cols * sizeof *out);

	if (out)
		cpu_of(dev)->vec->expand(out, view_row(w, 0), w.dtype, w.cols);
	return out;
}
