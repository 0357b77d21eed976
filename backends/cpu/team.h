// SPDX-License-Identifier: Apache-2.0
/*
 * team.h - rows over threads, and the scratch of each thread.
 *
 * Code runs either on the whole team (lane TEAM: outside parallel regions,
 * products use all threads) or on one thread of it (lane 0 … threads - 1). A
 * composite walks blocks of rows:
 *
 *     struct team_plan plan = team_plan(dev, rows, in_order);
 *     team_blocks(dev, rows, plan, block, &work);
 *
 * With enough rows every thread runs whole blocks by itself, otherwise, and
 * where sums over rows must be taken in order, the team works on one block
 * after the other. `block` need not know which: it alternates products with
 *
 *     team_phase(dev, first, count, lane, cols, piece, work);
 *
 * which cuts the block into one piece per thread where the lane is TEAM.
 */
#ifndef BALDISTILL_BACKENDS_CPU_TEAM_H
#define BALDISTILL_BACKENDS_CPU_TEAM_H

#include "backends/cpu/cpu.h"

enum { TEAM = -1 };

/* `count` rows from `first` on, for `lane` to do. */
typedef void team_fn(void *work, int64_t first, int64_t count, int lane);

struct team_plan {
	int64_t block; /* rows of one block */
	bool parallel; /* blocks side by side */
};

struct team_plan team_plan(const struct device *dev, int64_t rows, bool in_order);
void team_blocks(const struct device *dev, int64_t rows, struct team_plan plan, team_fn *fn, void *work);

/* Rows of the blocks that run at one time, of calls with at most `rows` rows: what their scratch is sized by. */
int64_t team_plan_rows(const struct device *dev, int64_t rows);
/* Lanes that have a block at one time. */
int team_plan_lanes(const struct device *dev, struct team_plan plan);

/* Rows 0 … rows - 1 of about `cols` elements each in one contiguous piece per thread; few elements: one piece. */
void team_rows(const struct device *dev, int64_t rows, int64_t cols, team_fn *fn, void *work);
void team_phase(const struct device *dev, int64_t first, int64_t count, int lane, int64_t cols, team_fn *fn,
		void *work);

/* Scratch, `stride` floats for each lane. */
struct lanes {
	float *at;
	size_t stride;
};

/* For `lanes` lanes; at is NULL, with a failure kept, where the scratch is too small. */
struct lanes lanes_take(struct device *dev, const char *op, int lanes, int64_t floats);
size_t lanes_bytes(int lanes, int64_t floats);

/* A norm's or a bias's weights in f32, in scratch unless they are; NULL where absent or out of scratch. */
const float *expanded(struct device *dev, const char *op, struct view w);

/* The lane's part; the team's is the first. */
static inline float *lane_of(const struct lanes *lanes, int lane)
{
	return lanes->at + (size_t)(lane > 0 ? lane : 0) * lanes->stride;
}

/* The next `floats` of a lane's part, aligned to 64 bytes. */
static inline float *lane_carve(float **at, int64_t floats)
{
	float *out = *at;

	*at += (floats + 15) / 16 * 16;
	return out;
}

static inline int64_t at_most(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t at_least(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static inline int64_t round_up_to(int64_t n, int64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Absent, or of floats: what the vector code takes. */
static inline bool all_f32(struct view v)
{
	return !view_present(v) || v.dtype == DTYPE_F32;
}

/* Element (i, 0) of an f32 view. */
static inline float *row_f32(struct view v, int64_t i)
{
	return (float *)view_row(v, i);
}

#endif
