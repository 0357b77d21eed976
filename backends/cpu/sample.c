// SPDX-License-Identifier: Apache-2.0
/*
 * One token per row, rows over threads. Only as many ids are put in order as
 * are kept: they leave a heap one by one, largest logit first, then lowest id.
 */
#include "backends/cpu/head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/team.h"
#include "reference/check.h"
#include "reference/philox.h"

enum { PART = 1024 }; /* ids whose shares are summed at a time */

struct sampling {
	const struct vec_head *vec;
	struct view id, logp, logits;
	const struct sample_rule *rule;
	const struct sample_rng *rng;
	struct lanes heaps; /* i32 [V] */
};

/* One row at work. */
struct draw {
	const struct vec_head *vec;
	const float *z;
	int64_t n;
	float max, temperature;
	int32_t *ids; /* a heap of the first `left`, behind it those taken, the first one last */
	int64_t left, all;
};

static double share(const struct draw *draw, int64_t id)
{
	return exp(((double)draw->z[id] - (double)draw->max) / (double)draw->temperature);
}

/* ---- the largest first --------------------------------------------------------- */

static bool before(const struct draw *draw, int32_t a, int32_t b)
{
	return draw->z[a] != draw->z[b] ? draw->z[a] > draw->z[b] : a < b;
}

static void sink(const struct draw *draw, int64_t at)
{
	int32_t *ids = draw->ids, id = ids[at];

	for (int64_t child; (child = 2 * at + 1) < draw->left; at = child) {
		if (child + 1 < draw->left && before(draw, ids[child + 1], ids[child]))
			child++;
		if (!before(draw, ids[child], id))
			break;
		ids[at] = ids[child];
	}
	ids[at] = id;
}

/* A heap of the ids whose logit is at least `least`. */
static void heap(struct draw *draw, float least)
{
	draw->left = 0;
	for (int64_t id = 0; id < draw->n; id++)
		if (draw->z[id] >= least)
			draw->ids[draw->left++] = (int32_t)id;
	draw->all = draw->left;
	for (int64_t at = draw->left / 2 - 1; at >= 0; at--)
		sink(draw, at);
}

/* The next id in order; it stays at ids[left]. */
static int32_t take(struct draw *draw)
{
	int32_t first = draw->ids[0];

	draw->ids[0] = draw->ids[--draw->left];
	draw->ids[draw->left] = first;
	sink(draw, 0);
	return first;
}

/* ---- what is kept ------------------------------------------------------------------ */

/* The first k of the order, and of these the first that reach top_p of their share. */
static int64_t keep_top_k(struct draw *draw, int64_t k, float top_p)
{
	double total = 0, running = 0;
	int64_t kept = 0;

	for (heap(draw, -INFINITY); kept < k && draw->left; kept++)
		total += share(draw, take(draw));
	for (int64_t i = 0; top_p < 1 && i < kept; i++) {
		running += share(draw, draw->ids[draw->all - 1 - i]);
		if (running >= (double)top_p * total)
			return i + 1;
	}
	return kept;
}

/*
 * The first that reach top_p. Ids so far below the largest logit that all n
 * of them together would have less than 1 - top_p do not enter the heap.
 */
static int64_t keep_top_p(struct draw *draw, float top_p)
{
	double total = draw->vec->exp_sum(draw->z, draw->n, draw->max, draw->temperature), running = 0;
	double depth = (double)draw->temperature * (log((double)draw->n / (1 - (double)top_p)) + 1);
	int64_t kept = 0;

	heap(draw, draw->max - (float)depth);
	while (draw->left && (kept == 0 || running < (double)top_p * total)) {
		running += share(draw, take(draw));
		kept++;
	}
	return kept;
}

static int by_id(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* ---- the draw ---------------------------------------------------------------------- */

static int32_t draw_kept(int32_t *ids, int64_t n, const struct draw *draw, double u)
{
	double total = 0, running = 0;

	qsort(ids, (size_t)n, sizeof *ids, by_id);
	for (int64_t i = 0; i < n; i++)
		total += share(draw, ids[i]);
	for (int64_t i = 0; i < n; i++) {
		running += share(draw, ids[i]);
		if (running > u * total)
			return ids[i];
	}
	return ids[n - 1];
}

static double part_sum(const struct draw *draw, int64_t at, int64_t n)
{
	return draw->vec->exp_sum(draw->z + at, n, draw->max, draw->temperature);
}

/* From all ids: the part in which the running share exceeds u, then the id in it. */
static int32_t draw_any(const struct draw *draw, double u)
{
	double total = part_sum(draw, 0, draw->n), running = 0;
	int64_t at = 0, id;

	for (; at + PART < draw->n; at += PART) {
		double part = part_sum(draw, at, PART);

		if (running + part > u * total)
			break;
		running += part;
	}
	for (id = at; id < draw->n - 1; id++) {
		running += part_sum(draw, id, 1);
		if (running > u * total)
			break;
	}
	return (int32_t)id;
}

static double uniform(const struct sampling *s, int64_t row)
{
	uint64_t seed = *(const uint64_t *)view_row(s->rng->seed, 0);
	struct philox_key key = philox_stream(seed, PHILOX_SAMPLE, 0, 0, 0);
	uint32_t position = ((const uint32_t *)view_row(s->rng->position, 0))[row];

	return philox_uniform(philox_at(key, position, ((const uint64_t *)view_row(s->rng->row_id, 0))[row]));
}

static int32_t chosen(const struct sampling *s, struct draw *draw, int64_t row)
{
	const struct sample_rule *rule = s->rule;
	int64_t kept;

	if (rule->temperature <= 0) {
		for (int64_t id = 0; id < draw->n; id++)
			if (draw->z[id] == draw->max)
				return (int32_t)id;
		return 0;
	}
	if (rule->top_k > 0 && rule->top_k < draw->n)
		kept = keep_top_k(draw, rule->top_k, rule->top_p);
	else if (rule->top_p < 1)
		kept = keep_top_p(draw, rule->top_p);
	else
		return draw_any(draw, uniform(s, row));
	return kept ? draw_kept(draw->ids + draw->all - kept, kept, draw, uniform(s, row)) : 0;
}

static void sample_rows(void *work, int64_t first, int64_t count, int lane)
{
	const struct sampling *s = work;

	for (int64_t row = first; row < first + count; row++) {
		const float *z = row_f32(s->logits, row);
		int64_t n = s->logits.cols;
		struct draw draw = {.vec = s->vec, .z = z, .n = n, .max = s->vec->max(z, n),
				    .temperature = s->rule->temperature, .ids = (int32_t *)lane_of(&s->heaps, lane)};
		double lse = (double)draw.max + log(s->vec->exp_sum(z, n, draw.max, 1.0f));
		int32_t id = chosen(s, &draw, row);

		((int32_t *)view_row(s->id, 0))[row] = id;
		row_f32(s->logp, 0)[row] = (float)((double)z[id] - lse);
	}
}

void cpu_sample(struct device *dev, struct view id, struct view logp, struct view logits,
		     const struct sample_rule *rule, const struct sample_rng *rng)
{
	struct sampling s = {.vec = vec_head_of(dev), .id = id, .logp = logp, .logits = logits,
			     .rule = rule, .rng = rng};
	size_t used = dev->scratch_used;

	if (!check_sample(dev, id, logp, logits, rule, rng))
		return;
	s.heaps = lanes_take(dev, "sample", dev->threads, logits.cols);
	if (s.heaps.at)
		team_rows(dev, logits.rows, logits.cols, sample_rows, &s);
	dev->scratch_used = used;
}

size_t cpu_sample_scratch(const struct device *dev, const struct shape *shape)
{
	return lanes_bytes(dev->threads, shape->vocab);
}
