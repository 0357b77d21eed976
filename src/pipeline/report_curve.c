// SPDX-License-Identifier: Apache-2.0
/* Macro and micro score over the stages. */
#include <math.h>

#include "src/pipeline/report_parts.h"

/* Units of the drawing. */
enum { WIDTH = 400, HEIGHT = 250, LEFT = 32, RIGHT = 352, TOP = 10, BOTTOM = 196 };

static void widen(double range[2], double value)
{
	if (isnan(value))
		return;
	range[0] = fmin(range[0], 100 * value);
	range[1] = fmax(range[1], 100 * value);
}

static struct report_axis axis_for(const struct report *report)
{
	double range[2] = {100, 0};
	for (size_t k = 0; k < report->K; k++)
		for (int f = SCORING_MACRO; report->stages[k].metrics.there && f <= SCORING_MICRO; f++) {
			widen(range, report->stages[k].metrics.figure[f]);
			widen(range, report->stages[k].metrics.interval[f].low);
			widen(range, report->stages[k].metrics.interval[f].high);
		}
	return report_axis(range[0], range[1], 5);
}

static double y_of(const struct report_axis *axis, double score)
{
	return BOTTOM - (BOTTOM - TOP) * (100 * score - axis->low) / (axis->high - axis->low);
}

static double x_of(const struct report *report, size_t k)
{
	return LEFT + 24 + (RIGHT - LEFT - 48) * (double)k / (double)(report->K - 1);
}

static void put_axes(struct grown *out, const struct report *report, const struct report_axis *axis)
{
	for (int score = axis->low; score <= axis->high; score += axis->step)
		grown_putf(out,
			   "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
			   "text-anchor=\"end\">%d</text>\n",
			   LEFT, y_of(axis, score / 100.0), RIGHT, LEFT - 5, y_of(axis, score / 100.0) + 4, score);
	for (size_t k = 0, every = report->K / 8 + 1; k < report->K; k += every) {
		grown_putf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%zu</text>\n", x_of(report, k),
			   BOTTOM + 16, k);
		if (report->stages[k].collected)
			grown_putf(out,
				   "<text class=\"small\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%lld</text>\n",
				   x_of(report, k), BOTTOM + 30, (long long)report->stages[k].rows);
	}
	grown_putf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">stage, and rows trained on</text>\n",
		   (LEFT + RIGHT) / 2, HEIGHT - 6);
}

/* A little left and right of the stage, so that the whiskers of two figures do not cover each other. */
static double beside(enum scoring_figure figure)
{
	return figure == SCORING_MACRO ? -2.5 : 2.5;
}

static void put_line(struct grown *out, const struct report *report, const struct report_axis *axis,
		     enum scoring_figure figure)
{
	bool begun = false;
	grown_putf(out, "<path class=\"line %s\" d=\"", scoring_figure_names[figure]);
	for (size_t k = 0; k < report->K; k++) {
		const struct report_metrics *m = &report->stages[k].metrics;
		if (!m->there || isnan(m->figure[figure]))
			continue;
		grown_putf(out, "%s%.1f %.1f", begun ? "L" : "M", x_of(report, k) + beside(figure),
			   y_of(axis, m->figure[figure]));
		begun = true;
	}
	grown_put(out, "\"/>\n");
}

static void put_point(struct grown *out, const struct report_metrics *m, double x, const struct report_axis *axis,
		      enum scoring_figure figure)
{
	double y = y_of(axis, m->figure[figure]);
	if (!isnan(m->interval[figure].low))
		grown_putf(out, "<path class=\"whisker\" d=\"M%.1f %.1fV%.1f\"/>", x,
			   y_of(axis, m->interval[figure].low), y_of(axis, m->interval[figure].high));
	if (figure == SCORING_MACRO)
		grown_putf(out, "<circle class=\"head\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n", x, y);
	else
		grown_putf(out, "<rect class=\"tail\" x=\"%.1f\" y=\"%.1f\" width=\"7\" height=\"7\"/>\n", x - 3.5,
			   y - 3.5);
}

/* Points, and the name beside the last one; two names that would touch are moved apart. */
static void put_points(struct grown *out, const struct report *report, const struct report_axis *axis,
		       enum scoring_figure figure)
{
	const struct report_metrics *m = NULL;
	for (size_t k = 0; k < report->K; k++)
		if (report->stages[k].metrics.there && !isnan(report->stages[k].metrics.figure[figure])) {
			m = &report->stages[k].metrics;
			put_point(out, m, x_of(report, k) + beside(figure), axis, figure);
		}
	if (!m)
		return;
	double y = y_of(axis, m->figure[figure]), other = y_of(axis, m->figure[SCORING_MACRO + SCORING_MICRO - figure]);
	bool above = y < other || (y == other && figure == SCORING_MICRO);
	if (fabs(y - other) < 14)
		y += (14 - fabs(y - other)) / 2 * (above ? -1 : 1);
	grown_putf(out, "<text x=\"%d\" y=\"%.1f\">%s</text>\n", RIGHT + 6, y + 4, scoring_figure_names[figure]);
}

static size_t count_scored(const struct report *report)
{
	size_t n = 0;
	for (size_t k = 0; k < report->K; k++)
		n += report->stages[k].metrics.there;
	return n;
}

void report_put_curve(struct grown *out, const struct report *report)
{
	if (count_scored(report) < 2)
		return;
	struct report_axis axis = axis_for(report);
	grown_putf(out,
		   "<h2>Learning over the stages</h2>\n<figure><svg role=\"img\" aria-label=\"macro and micro score "
		   "over the "
		   "stages\" viewBox=\"0 0 %d %d\">\n",
		   WIDTH, HEIGHT);
	put_axes(out, report, &axis);
	for (int f = SCORING_MACRO; f <= SCORING_MICRO; f++)
		put_line(out, report, &axis, (enum scoring_figure)f);
	for (int f = SCORING_MACRO; f <= SCORING_MICRO; f++)
		put_points(out, report, &axis, (enum scoring_figure)f);
	grown_putf(out,
		   "</svg><figcaption>Score in per cent after each stage%s. Filled circles: macro; open squares: "
		   "micro.</figcaption></figure>\n",
		   report_has_intervals(&report->final) ? ", with 95 % intervals" : "");
}
