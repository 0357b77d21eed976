// SPDX-License-Identifier: Apache-2.0
#include "src/student/batch.h"

#include <stdlib.h>

#include "reference/philox.h"
#include "src/base/mem.h"

int64_t batch_common_prefix(const struct train_row *rows, size_t n)
{
	int64_t common = n > 1 ? rows[0].first_target - 1 : 0;
	for (size_t i = 1; i < n && common > 0; i++) {
		int64_t most = rows[i].first_target - 1, same = 0;
		most = most < common ? most : common;
		while (same < most && rows[i].ids[same] == rows[0].ids[same])
			same++;
		common = same;
	}
	return common > 0 ? common : 0;
}

/* Inputs of a row beside the prefix. */
static int64_t own_rows(const struct train_row *row, int64_t prefix)
{
	return row->n - 1 - prefix;
}

static struct pass_limits limits_of(const struct train_row *rows, size_t n, const struct batch_limits *l)
{
	struct pass_limits need = {0};
	int64_t longest = 0, most = (int64_t)n < l->per_call ? (int64_t)n : l->per_call;
	for (size_t i = 0; i < n; i++)
		longest = rows[i].n - 1 > longest ? rows[i].n - 1 : longest;
	need.keys = longest;
	need.rows = l->tokens > longest ? l->tokens : longest;
	need.segments = most + 1;
	need.targets = need.rows;
	return need;
}

int batch_init(struct batch *b, const struct train_row *rows, size_t n, const struct batch_limits *limits,
	       struct err *err)
{
	*b = (struct batch){.need = limits_of(rows, n, limits)};
	size_t R = (size_t)b->need.rows, S = (size_t)b->need.segments + 1, N = (size_t)b->need.targets;
	b->ids = mem_array(R, sizeof *b->ids, err);
	b->pos = mem_array(R, sizeof *b->pos, err);
	b->row_key = mem_array(R, sizeof *b->row_key, err);
	b->q_begin = mem_array(S, sizeof *b->q_begin, err);
	b->target_row = mem_array(N, sizeof *b->target_row, err);
	b->target = mem_array(N, sizeof *b->target, err);
	b->weight = mem_array(N, sizeof *b->weight, err);
	b->owner = mem_array(N, sizeof *b->owner, err);
	return b->ids && b->pos && b->row_key && b->q_begin && b->target_row && b->target && b->weight && b->owner
		       ? 0 : -1;
}

void batch_release(struct batch *b)
{
	free(b->ids);
	free(b->pos);
	free(b->row_key);
	free(b->q_begin);
	free(b->target_row);
	free(b->target);
	free(b->weight);
	free(b->owner);
	*b = (struct batch){0};
}

int64_t batch_targets(const struct train_row *rows, const size_t *order, size_t n)
{
	int64_t targets = 0;
	for (size_t i = 0; i < n; i++)
		targets += rows[order[i]].n - rows[order[i]].first_target;
	return targets;
}

/* Tokens first … last - 1 of a row as a segment of their own. */
static void add_tokens(struct batch *b, const struct train_row *row, int64_t first, int64_t last, int64_t masked)
{
	struct pass_rows *r = &b->rows;
	for (int64_t t = first; t < last; t++) {
		b->ids[r->rows] = row->ids[t];
		b->pos[r->rows] = (int32_t)t;
		b->row_key[r->rows++] = t < masked ? (uint64_t)t : row_key(row->key, (uint32_t)t);
	}
	b->q_begin[++r->segments] = (int32_t)r->rows;
}

static void add_row(struct batch *b, const struct train_row *row, size_t index, const struct batch_limits *l,
		    float weight)
{
	struct pass_rows *r = &b->rows;
	int64_t begin = r->rows - l->prefix; /* of the row's first token, were it here */
	add_tokens(b, row, l->prefix, row->n - 1, l->masked);
	for (int64_t t = row->first_target; t < row->n; t++) {
		b->target_row[r->targets] = (int32_t)(begin + t - 1);
		b->target[r->targets] = row->ids[t];
		b->weight[r->targets] = weight;
		b->owner[r->targets++] = index;
	}
}

size_t batch_fill(struct batch *b, const struct train_row *rows, const size_t *order, size_t n,
		  const struct batch_limits *l, float weight)
{
	size_t taken = 0;
	b->rows = (struct pass_rows){.ids = b->ids, .pos = b->pos, .q_begin = b->q_begin, .prefix = l->prefix,
				     .row_key = b->row_key, .target_row = b->target_row, .target = b->target,
				     .weight = b->weight};
	b->q_begin[0] = 0;
	if (l->prefix)
		add_tokens(b, &rows[order[0]], 0, l->prefix, l->masked);
	while (taken < n && (int64_t)taken < l->per_call &&
	       (!taken || b->rows.rows + own_rows(&rows[order[taken]], l->prefix) <= l->tokens)) {
		add_row(b, &rows[order[taken]], order[taken], l, weight);
		taken++;
	}
	return taken;
}
