// SPDX-License-Identifier: Apache-2.0
/* The list of tiles, their keys and rows (attention.h). */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "backends/cpu/attention.h"

#include <string.h>

#include "backends/cpu/team.h"

extern const struct vec_attention vec_attention_base;
#if HAVE_VEC_AVX2
extern const struct vec_attention vec_attention_avx2;
#endif
#if HAVE_VEC_AVX512
extern const struct vec_attention vec_attention_avx512;
#endif

static const struct vec_attention *const levels[VEC_LEVEL_COUNT] = {
	[VEC_LEVEL_BASE] = &vec_attention_base,
#if HAVE_VEC_AVX2
	[VEC_LEVEL_AVX2] = &vec_attention_avx2,
#endif
#if HAVE_VEC_AVX512
	[VEC_LEVEL_AVX512] = &vec_attention_avx512,
#endif
};

enum { TILE_COST = 16 }; /* of a tile's own, in keys */

static const int32_t *ints(struct view v)
{
	return view_row(v, 0);
}

/* ---- what a query sees ------------------------------------------------------ */

struct range {
	int64_t begin, end;
};

static struct range own_seen(const struct segments *seg, int64_t s, int64_t t)
{
	int64_t n = ints(seg->q_begin)[s + 1] - ints(seg->q_begin)[s], self = ints(seg->own_len)[s] - n + t;

	return (struct range){seg->window > 0 ? at_least(0, self - seg->window + 1) : 0, self + 1};
}

static struct range prefix_seen(const struct segments *seg, int64_t s, int64_t t)
{
	int64_t length = ints(seg->prefix_len)[s], pos = ints(seg->pos)[ints(seg->q_begin)[s] + t];
	int64_t begin = seg->window > 0 ? at_least(0, pos - seg->window + 1) : 0;

	return (struct range){begin < length ? begin : length, length};
}

/* Keys from the first that row `row` sees to the last that row `last` sees. */
static int64_t tile_cost(const struct attn_work *work, int64_t s, int64_t row, int64_t last)
{
	int64_t first = row / work->group, end = last / work->group;

	return own_seen(work->seg, s, end).end - own_seen(work->seg, s, first).begin +
	       prefix_seen(work->seg, s, first).end - prefix_seen(work->seg, s, first).begin + TILE_COST;
}

/* ---- the list ---------------------------------------------------------------- */

static int64_t segment_rows(const struct attn_work *work, int64_t s)
{
	const int32_t *begin = ints(work->seg->q_begin);

	return (int64_t)(begin[s + 1] - begin[s]) * work->group;
}

static void list_tiles(struct attn_work *work)
{
	int64_t cost = 0, n = 0;

	for (int64_t s = 0; s < work->seg->count; s++) {
		int64_t rows = segment_rows(work, s);

		for (int64_t row = 0; row < rows; row += ATTN_LANES) {
			int64_t last = row + ATTN_LANES < rows ? row + ATTN_LANES - 1 : rows - 1;

			work->items[n++] = (struct attn_item){(int32_t)s, (int32_t)row, cost};
			cost += tile_cost(work, s, row, last);
		}
	}
	work->items[n] = (struct attn_item){.start = cost};
	work->n = n;
}

static size_t list_bytes(int64_t segments, int64_t rows, int64_t group)
{
	return (size_t)(segments + rows * group / ATTN_LANES + 2) * sizeof(struct attn_item);
}

static const struct vec_attention *vec_of(const struct device *dev)
{
	return cpu_of(dev)->attention ? cpu_of(dev)->attention : levels[cpu_of(dev)->vec->level];
}

bool attn_begin(struct device *dev, const char *op, struct attn_work *work)
{
	const struct attn_dims *dims = work->dims;

	work->vec = vec_of(dev);
	work->group = dims->heads / dims->kv_heads;
	work->items = device_scratch(dev, op, list_bytes(work->seg->count, work->q.rows, work->group));
	work->scratch_each = work->vec->scratch(dims->heads, dims->head_dim);
	work->scratch = device_scratch(dev, op, (size_t)dev->threads * work->scratch_each * sizeof *work->scratch);
	if (!work->items || !work->scratch)
		return false;
	list_tiles(work);
	return true;
}

size_t attn_scratch(const struct device *dev, const struct shape *shape)
{
	int64_t group = shape->kv_heads ? shape->heads / shape->kv_heads : 1;

	return list_bytes(shape->segments, shape->rows, group) + 2 * 64 +
	       (size_t)dev->threads * vec_of(dev)->scratch(shape->heads, shape->head_dim) * sizeof(float);
}

struct attn_place attn_at(const struct attn_work *work, int64_t number)
{
	if (work->heads_inside)
		return (struct attn_place){number / work->dims->kv_heads, (int)(number % work->dims->kv_heads)};
	return (struct attn_place){number % work->n, (int)(number / work->n)};
}

/* Cost of the list before `number`. */
static int64_t cost_before(const struct attn_work *work, int64_t number)
{
	struct attn_place place = attn_at(work, number);
	const struct attn_item *item = work->items + place.item;

	if (work->heads_inside)
		return item->start * work->dims->kv_heads + place.head * (item[1].start - item->start);
	return place.head * work->items[work->n].start + item->start;
}

/* The first list number with `cost` before it. */
static int64_t first_at(const struct attn_work *work, int64_t cost)
{
	int64_t low = 0, high = work->n * work->dims->kv_heads;

	while (low < high) {
		int64_t middle = (low + high) / 2;

		if (cost_before(work, middle) < cost)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int64_t attn_stretch(const struct attn_work *work, int t, int threads, int64_t *end)
{
	int64_t total = work->items[work->n].start * work->dims->kv_heads;

	*end = first_at(work, total * (t + 1) / threads);
	return first_at(work, total * t / threads);
}

/* ---- one tile ----------------------------------------------------------------- */

/* The two ranges of lane `lane`, and what they do to those of the tile. */
static void see(struct attn_keys *keys, int lane, struct range seen)
{
	bool first = lane == 0;

	keys->lane_begin[lane] = (int32_t)seen.begin;
	keys->lane_end[lane] = (int32_t)seen.end;
	keys->begin = first || seen.begin < keys->begin ? seen.begin : keys->begin;
	keys->end = first || seen.end > keys->end ? seen.end : keys->end;
	keys->all_begin = first || seen.begin > keys->all_begin ? seen.begin : keys->all_begin;
	keys->all_end = first || seen.end < keys->all_end ? seen.end : keys->all_end;
}

static void fill_keys(struct attn_tile *tile, const struct attn_work *work, const struct attn_item *item)
{
	const struct segments *seg = work->seg;
	int64_t s = item->segment;
	bool paged = view_present(seg->pages);

	tile->keys[0].row = ints(seg->prefix_begin)[s];
	tile->keys[0].pages = NULL;
	tile->keys[1].row = paged ? 0 : ints(seg->own_begin)[s];
	tile->keys[1].pages = paged ? view_row(seg->pages, s) : NULL;
	tile->keys[1].page_size = seg->page_size;
	for (int lane = 0; lane < ATTN_LANES; lane++) {
		int64_t t = (item->row + (lane < tile->lanes ? lane : tile->lanes - 1)) / work->group;

		see(&tile->keys[0], lane, prefix_seen(seg, s, t));
		see(&tile->keys[1], lane, own_seen(seg, s, t));
	}
}

void attn_rows(float *rows[ATTN_LANES], const struct attn_tile *tile, const struct attn_work *work,
	       struct attn_place place, struct view v, int64_t width)
{
	const struct attn_item *item = work->items + place.item;
	int64_t query = ints(work->seg->q_begin)[item->segment] + item->row / work->group;
	int64_t head = item->row % work->group;
	float *row = (float *)view_row(v, query) + (place.head * work->group + head) * width;

	for (int lane = 0; lane < ATTN_LANES; lane++) {
		rows[lane] = row;
		if (lane + 1 >= tile->lanes)
			continue;
		row += width;
		if (++head == work->group) {
			head = 0;
			row += v.ld - work->group * width;
		}
	}
}

void attn_fill(struct attn_tile *tile, const struct attn_work *work, int64_t number, bool first)
{
	struct attn_place place = attn_at(work, number), before = attn_at(work, first ? number : number - 1);
	const struct attn_item *item = work->items + place.item;
	int64_t dim = work->dims->head_dim, left = segment_rows(work, item->segment) - item->row;

	tile->lanes = (int)(left < ATTN_LANES ? left : ATTN_LANES);
	tile->head_dim = work->dims->head_dim;
	tile->heads = 1;
	tile->same_keys = !first && place.head == before.head &&
			  item->segment == work->items[before.item].segment;
	tile->kv_heads = work->dims->kv_heads;
	tile->next_row = work->group * dim;
	tile->scale = work->dims->scale;
	tile->k = tile->v = NULL;
	tile->k_half = tile->v_half = NULL;
	if (work->k.dtype == DTYPE_BF16) {
		tile->k_half = (const uint16_t *)view_row(work->k, 0) + place.head * dim;
		tile->v_half = (const uint16_t *)view_row(work->v, 0) + place.head * dim;
	} else {
		tile->k = (const float *)view_row(work->k, 0) + place.head * dim;
		tile->v = (const float *)view_row(work->v, 0) + place.head * dim;
	}
	tile->ld_k = work->k.ld;
	tile->ld_v = work->v.ld;
	fill_keys(tile, work, item);
	attn_rows(tile->q, tile, work, place, work->q, dim);
	attn_rows(tile->o, tile, work, place, work->o, dim);
	if (view_present(work->lse))
		attn_rows(tile->lse, tile, work, place, work->lse, 1);
	else
		memset(tile->lse, 0, sizeof tile->lse);
}

bool attn_f32(struct device *dev, const char *op, const struct view list[], int n)
{
	for (int i = 0; i < n; i++)
		if (list[i].dtype != DTYPE_F32) {
			device_fail(dev, op, "argument %d is %s, expected f32", i + 1, dtype_name(list[i].dtype));
			return false;
		}
	return true;
}

void attn_zero_outside(struct view v, const struct segments *seg)
{
	int64_t begin = ints(seg->q_begin)[0], end = ints(seg->q_begin)[seg->count];

	for (int64_t row = 0; row < v.rows; row++)
		if (row < begin || row >= end)
			memset(view_row(v, row), 0, (size_t)v.cols * sizeof(float));
}
