// SPDX-License-Identifier: Apache-2.0
/* The optimizer step: gradient norm and AdamW (Loshchilov and Hutter 2019). */
#include <math.h>

#include "backends/cpu/team.h"
#include "reference/check.h"

/* A sum of squares is taken over fixed runs of rows, the runs' sums added in order. */
enum { RUN_FLOATS = 16384, RUNS = 256 };

struct squares {
	const struct vec *vec;
	struct view v;
	int64_t rows;    /* of a run */
	int64_t first;   /* row of runs[0] */
	double run[RUNS];
};

static void square_runs(void *data, int64_t first, int64_t count, int lane)
{
	struct squares *s = data;

	(void)lane;
	for (int64_t r = first; r < first + count; r++) {
		int64_t from = s->first + r * s->rows, to = at_most(from + s->rows, s->v.rows);

		s->run[r] = 0;
		for (int64_t t = from; t < to; t++)
			s->run[r] += s->vec->sum_squares(row_f32(s->v, t), s->v.cols);
	}
}

static double squares_of(const struct device *dev, struct view v)
{
	struct squares s = {.vec = cpu_of(dev)->vec, .v = v};
	double sum = 0;

	s.rows = at_least(1, RUN_FLOATS / at_least(v.cols, 1));
	for (s.first = 0; s.first < v.rows; s.first += s.rows * RUNS) {
		int64_t runs = at_most(RUNS, (v.rows - s.first + s.rows - 1) / s.rows);

		team_rows(dev, runs, s.rows * v.cols, square_runs, &s);
		for (int64_t r = 0; r < runs; r++)
			sum += s.run[r];
	}
	return sum;
}

static void cpu_norm2(struct device *dev, struct view out, const struct view list[], int n)
{
	double sum = 0;

	if (!check_norm2(dev, out, list, n))
		return;
	for (int i = 0; i < n; i++) {
		if (list[i].dtype != DTYPE_F32) {
			kernels_reference()->norm2(dev, out, list, n);
			return;
		}
		sum += squares_of(dev, list[i]);
	}
	*row_f32(out, 0) = (float)sum;
}

struct adamw_work {
	const struct vec *vec;
	const struct adamw_item *item;
	struct vec_adamw step;
};

static void adamw_rows(void *data, int64_t first, int64_t count, int lane)
{
	const struct adamw_work *w = data;
	const struct adamw_item *item = w->item;

	(void)lane;
	for (int64_t t = first; t < first + count; t++)
		w->vec->adamw(row_f32(item->p, t), row_f32(item->m, t), row_f32(item->v, t),
			      view_present(item->shadow) ? view_row(item->shadow, t) : NULL, item->shadow.dtype,
			      row_f32(item->g, t), item->p.cols, &w->step);
}

static struct vec_adamw step_of(const float *h, struct view norm2)
{
	struct vec_adamw step = {.clip = 1, .beta1 = h[ADAMW_BETA1], .beta2 = h[ADAMW_BETA2], .eps = h[ADAMW_EPS]};

	if (view_present(norm2) && h[ADAMW_MAX_NORM] > 0) {
		double scale = (double)h[ADAMW_MAX_NORM] / (sqrt((double)*row_f32(norm2, 0)) + 1e-6);

		step.clip = scale > 1.0 ? 1.0f : (float)scale; /* a NaN stays one */
	}
	step.rate = (float)((double)h[ADAMW_LR] / (double)h[ADAMW_CORRECTION1]);
	step.root2 = (float)(1.0 / sqrt((double)h[ADAMW_CORRECTION2]));
	return step;
}

static void cpu_adamw(struct device *dev, const struct adamw_item list[], int n, struct view hyper, struct view norm2)
{
	if (!check_adamw(dev, list, n, hyper, norm2))
		return;
	const float *h = row_f32(hyper, 0);
	struct adamw_work work = {.vec = cpu_of(dev)->vec, .step = step_of(h, norm2)};
	float decay = (float)(1.0 - (double)h[ADAMW_LR] * (double)h[ADAMW_DECAY]);

	for (int i = 0; i < n; i++) {
		work.item = &list[i];
		work.step.decay = list[i].decay ? decay : 1.0f;
		team_rows(dev, list[i].p.rows, list[i].p.cols, adamw_rows, &work);
	}
}

void cpu_override_optim(struct kernels *table)
{
	table->norm2 = cpu_norm2;
	table->adamw = cpu_adamw;
}
