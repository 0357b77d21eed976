// SPDX-License-Identifier: Apache-2.0
/* compare.html: a table of methods as in the paper (Zhou et al. 2024, table 2), and their macro scores as a picture. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/pipeline/compare.h"
#include "src/pipeline/report_parts.h"

/* Units of the drawing. */
enum { WIDTH = 400, LEFT = 14, RIGHT = 386, ROW = 40, FOOT = 38 };

/* ---- heading ------------------------------------------------------------------------------------------- */

static void put_what(struct grown *out, const struct comparison *c)
{
	grown_putf(out, "<p>%zu method%s on the same data: budget <b>%lld</b>, preset <b>", c->rows,
		   c->rows == 1 ? "" : "s", (long long)c->budget);
	report_put_text(out, c->preset, 64);
	grown_putf(out, "</b>, %zu seed%s each (", c->seeds, c->seeds == 1 ? "" : "s");
	for (size_t s = 0; s < c->seeds; s++)
		grown_putf(out, "%s%llu", s ? ", " : "", (unsigned long long)c->seed[s]);
	grown_putf(out, "), scored on %zu examples.</p>\n", c->row[0].cell[0].scoring.n);
}

/* ---- table --------------------------------------------------------------------------------------------- */

static void put_difference(struct grown *out, const struct comparison_row *row, int f)
{
	if (isnan(row->difference[f]))
		return;
	grown_putf(out, "<br/><small>%+.1f", 100 * row->difference[f]);
	if (!isnan(row->interval[f].low))
		grown_putf(out, "<br/>[%+.1f, %+.1f]", 100 * row->interval[f].low, 100 * row->interval[f].high);
	grown_put(out, "</small>");
}

struct spent {
	int64_t used, answered, sends, cost;
};

static struct spent sum(const struct comparison_row *row, size_t seeds)
{
	struct spent all = {0};
	for (size_t s = 0; s < seeds; s++) {
		all.used += row->cell[s].used;
		all.answered += row->cell[s].answered;
		all.sends += row->cell[s].sends;
		all.cost += row->cell[s].cost;
	}
	return all;
}

static bool has_intervals(const struct comparison *c)
{
	return !isnan(c->row[0].spread[SCORING_MACRO].low);
}

static bool has_cost(const struct comparison *c)
{
	for (size_t m = 0; m < c->rows; m++)
		if (sum(&c->row[m], c->seeds).cost)
			return true;
	return false;
}

/* Are there units without a request? */
static bool shares(const struct comparison *c)
{
	for (size_t m = 0; m < c->rows; m++)
		if (sum(&c->row[m], c->seeds).sends < sum(&c->row[m], c->seeds).used)
			return true;
	return false;
}

static void put_row(struct grown *out, const struct comparison *c, const struct comparison_row *row)
{
	const struct spent spent = sum(row, c->seeds);
	const double cost = (double)spent.cost / 1e9;
	grown_put(out, "<tr><td>");
	report_put_text(out, row->method, 64);
	grown_put(out, "</td>");
	for (int f = 0; f < SCORING_FIGURES; f++) {
		grown_put(out, "<td>");
		report_put_score(out, row->mean[f]);
		if (c->baseline && row != c->baseline)
			put_difference(out, row, f);
		grown_put(out, "</td>");
	}
	grown_putf(out, "<td>%lld</td><td>%lld</td><td>%lld</td>", (long long)spent.used, (long long)spent.answered,
		   (long long)spent.sends);
	if (has_cost(c))
		grown_putf(out, "<td>%.*f</td>", cost < 1 ? 4 : 2, cost);
	grown_put(out, "</tr>\n");
}

static void put_table(struct grown *out, const struct comparison *c)
{
	grown_putf(out,
		   "<div class=\"scroll\" tabindex=\"0\"><table><tr><th>method</th><th>macro</th><th>micro</th>"
		   "<th>head</th><th>tail</th><th>units</th><th>answers</th><th>requests</th>%s</tr>\n",
		   has_cost(c) ? "<th>cost</th>" : "");
	for (size_t m = 0; m < c->rows; m++)
		put_row(out, c, &c->row[m]);
	grown_put(out, "</table></div>\n<p>Scores in per cent, means over the seeds; head and tail are macro scores. ");
	if (c->baseline)
		grown_putf(out, "Beneath each the difference from " COMPARE_BASELINE "%s. ",
			   has_intervals(c) ? " with its 95 % interval, by paired bootstrap over the examples" : "");
	else
		grown_put(out, COMPARE_BASELINE " is not among the methods, so there are no differences. ");
	grown_putf(out, "Units used, usable answers, requests sent%s: of all seeds together.%s</p>\n",
		   has_cost(c) ? " and cost, spent and reserved, by the plan's prices" : "",
		   shares(c) ? " An answer that an earlier run of the comparison paid for is not paid again, so that the last "
			       "columns depend on the order." : "");
}

/* ---- picture ------------------------------------------------------------------------------------------- */

static struct report_axis axis_for(const struct comparison *c)
{
	double low = 100, high = 0;
	for (size_t m = 0; m < c->rows; m++) {
		low = fmin(fmin(low, 100 * c->row[m].mean[SCORING_MACRO]), 100 * c->row[m].spread[SCORING_MACRO].low);
		high = fmax(fmax(high, 100 * c->row[m].mean[SCORING_MACRO]),
			    100 * c->row[m].spread[SCORING_MACRO].high);
	}
	return report_axis(low, high, 1);
}

static double x_of(const struct report_axis *axis, double score)
{
	return LEFT + (RIGHT - LEFT) * (100 * score - axis->low) / (axis->high - axis->low);
}

static void put_axis(struct grown *out, const struct report_axis *axis, int bottom)
{
	for (int score = axis->low; score <= axis->high; score += axis->step) {
		double x = x_of(axis, score / 100.0);
		grown_putf(out,
			   "<path class=\"grid\" d=\"M%.1f 2V%d\"/><text x=\"%.1f\" y=\"%d\" "
			   "text-anchor=\"middle\">%d</text>\n",
			   x, bottom, x, bottom + 15, score);
	}
	grown_putf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">macro score, per cent</text>\n",
		   (LEFT + RIGHT) / 2, bottom + 31);
}

/* The name and the figures above the line, so that both are wide enough to read on a telephone. */
static void put_method(struct grown *out, const struct comparison *c, size_t m, const struct report_axis *axis)
{
	const struct comparison_row *row = &c->row[m];
	const struct metrics_interval *in = &row->spread[SCORING_MACRO];
	const int y = ROW * (int)m;
	grown_putf(out, "<text class=\"over\" x=\"%d\" y=\"%d\">", LEFT + 4, y + 15);
	report_put_text(out, row->method, 40);
	grown_putf(out, "</text><text class=\"over\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", RIGHT - 4, y + 15);
	report_put_score(out, row->mean[SCORING_MACRO]);
	if (!isnan(in->low))
		grown_putf(out, " (%.1f to %.1f)", 100 * in->low, 100 * in->high);
	grown_put(out, "</text>\n");
	if (!isnan(in->low))
		grown_putf(out, "<path class=\"line macro\" d=\"M%.1f %dH%.1f\"/>", x_of(axis, in->low), y + 27,
			   x_of(axis, in->high));
	if (!isnan(row->mean[SCORING_MACRO]))
		grown_putf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%d\" r=\"4.5\"/>\n",
			   row == c->baseline ? "tail" : "head", x_of(axis, row->mean[SCORING_MACRO]), y + 27);
}

static void put_picture(struct grown *out, const struct comparison *c)
{
	const struct report_axis axis = axis_for(c);
	const int bottom = ROW * (int)c->rows + 2;
	grown_putf(out,
		   "<h2>Macro score of each method</h2>\n<figure><svg role=\"img\" aria-label=\"macro score of each "
		   "method with its interval\" viewBox=\"0 0 %d %d\">\n",
		   WIDTH, bottom + FOOT);
	put_axis(out, &axis, bottom);
	for (size_t m = 0; m < c->rows; m++)
		put_method(out, c, m, &axis);
	grown_putf(out, "</svg><figcaption>Dot: mean over the seeds%s%s.</figcaption></figure>\n",
		   c->baseline ? ", open for " COMPARE_BASELINE : "",
		   has_intervals(c) ? "; line: its 95 % interval, by bootstrap over the examples" : "");
}

/* ---- the page ------------------------------------------------------------------------------------------ */

int comparison_save_page(const struct comparison *c, const char *directory, const char *version, struct err *err)
{
	struct grown out = {0};
	report_put_head(&out, "Comparison of methods");
	put_what(&out, c);
	put_table(&out, c);
	put_picture(&out, c);
	grown_put(&out, "<p><small>Each run has a report of its own, METHOD/SEED/report.html beside this file. ");
	report_put_text(&out, version, 200);
	grown_put(&out, "</small></p>\n</body>\n</html>\n");
	char *page = grown_take(&out, err);
	char *path = page ? grown_format(err, "%s/compare.html", directory) : NULL;
	int rc = path ? file_save(path, page, strlen(page), 0666, err) : -1;
	free(path);
	free(page);
	return rc;
}
