// SPDX-License-Identifier: Apache-2.0
/* compare.json */
#include <math.h>
#include <string.h>

#include "src/pipeline/compare.h"

/* [low, high], or null. */
static void put_interval(struct json_writer *w, const struct metrics_interval *interval)
{
	if (isnan(interval->low)) {
		json_put_null(w);
		return;
	}
	json_begin_array(w);
	json_put_double(w, interval->low);
	json_put_double(w, interval->high);
	json_end_array(w);
}

static void put_intervals(struct json_writer *w, const struct comparison_row *row)
{
	json_begin_object(w);
	for (int f = 0; f < SCORING_FIGURES; f++) {
		json_put_key(w, scoring_figure_names[f]);
		put_interval(w, &row->spread[f]);
	}
	json_end_object(w);
}

static void put_means(struct json_writer *w, const struct comparison_row *row)
{
	json_begin_object(w);
	for (int f = 0; f < SCORING_FIGURES; f++) {
		json_put_key(w, scoring_figure_names[f]);
		json_put_known(w, row->mean[f], !isnan(row->mean[f]));
	}
	json_end_object(w);
}

static void put_difference(struct json_writer *w, const struct comparison_row *row)
{
	json_begin_object(w);
	for (int f = 0; f < SCORING_FIGURES; f++) {
		json_put_key(w, scoring_figure_names[f]);
		json_begin_object(w);
		json_put_key(w, "mean");
		json_put_known(w, row->difference[f], !isnan(row->difference[f]));
		json_put_key(w, "interval");
		put_interval(w, &row->interval[f]);
		json_end_object(w);
	}
	json_end_object(w);
}

static void put_cell(struct json_writer *w, uint64_t seed, const struct comparison_cell *cell)
{
	json_begin_object(w);
	json_member_uint(w, "seed", seed);
	json_member_int(w, "used", cell->used);
	json_member_int(w, "answered", cell->answered);
	json_member_int(w, "sends", cell->sends);
	json_member_known(w, "cost", (double)cell->cost / 1e9, cell->cost);
	json_put_key(w, "metrics");
	scoring_put(w, &cell->scoring);
	json_end_object(w);
}

static void put_row(struct json_writer *w, const struct comparison *c, const struct comparison_row *row)
{
	json_begin_object(w);
	json_member_text(w, "method", row->method);
	json_put_key(w, "mean");
	put_means(w, row);
	json_put_key(w, "intervals");
	put_intervals(w, row);
	json_put_key(w, "difference");
	if (c->baseline && row != c->baseline)
		put_difference(w, row);
	else
		json_put_null(w);
	json_put_key(w, "seeds");
	json_begin_array(w);
	for (size_t s = 0; s < c->seeds; s++)
		put_cell(w, c->seed[s], &row->cell[s]);
	json_end_array(w);
	json_end_object(w);
}

void comparison_put(struct json_writer *w, const struct comparison *c)
{
	json_begin_object(w);
	json_member_text(w, "preset", c->preset);
	json_put_key(w, "baseline");
	if (c->baseline)
		json_put_string(w, c->baseline->method, strlen(c->baseline->method));
	else
		json_put_null(w);
	json_put_key(w, "methods");
	json_begin_array(w);
	for (size_t m = 0; m < c->rows; m++)
		put_row(w, c, &c->row[m]);
	json_end_array(w);
	json_end_object(w);
}
