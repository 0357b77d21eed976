// SPDX-License-Identifier: Apache-2.0
/* Score of each domain over its share of the pool (Zhou et al. 2024, figure 2). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/pipeline/report_parts.h"

/* Units of the drawing. */
enum { WIDTH = 400, HEIGHT = 300, LEFT = 32, RIGHT = 396, TOP = 10, BOTTOM = 256, LABELS = 16, NAME = 16, STEPS = 14 };
static const double radius = 3.2, line = 11, letter = 6.4; /* height of a line, most of a letter's width */
static const double widest_step = 3.4; /* of the axis: more than lies between two of its numbers */

struct box {
	double x0, y0, x1, y1;
};

struct dot {
	const struct report_domain *domain;
	double x, y;
};

struct plot {
	struct dot *dot; /* largest domain first */
	size_t n;
	double least, most; /* share of the pool at both ends of the axis, logarithms */
	struct box label[LABELS];
	size_t labels;
};

/* ---- where the dots are ---------------------------------------------------------------------------- */

static double x_of(const struct plot *p, double share)
{
	return LEFT + 8 + (RIGHT - LEFT - 16) * (log(share) - p->least) / (p->most - p->least);
}

static double y_of(double score)
{
	return BOTTOM - (BOTTOM - TOP) * score;
}

/* Is a dot there already, or the end of the axis? */
static bool is_taken(const struct plot *p, size_t n, double x, double y)
{
	if (x < LEFT + radius || x > RIGHT - radius)
		return true;
	for (size_t i = 0; i < n; i++)
		if (hypot(p->dot[i].x - x, p->dot[i].y - y) < 1.6 * radius)
			return true;
	return false;
}

/* Domains of one size and one score would hide each other: they are set side by side. */
static void place_dot(struct plot *p, size_t i, double total)
{
	struct dot *dot = &p->dot[i];
	double x = x_of(p, (double)dot->domain->pool / total), y = y_of(dot->domain->score);
	dot->x = x, dot->y = y;
	for (int step = 1; step <= STEPS && is_taken(p, i, dot->x, y); step++)
		dot->x = step == STEPS ? x : x + (step % 2 ? 1 : -1) * ((step + 1) / 2) * 1.7 * radius;
}

static int by_pool(const void *a, const void *b)
{
	const struct dot *x = a, *y = b;
	if (x->domain->pool != y->domain->pool)
		return x->domain->pool > y->domain->pool ? -1 : 1;
	return strcmp(x->domain->name, y->domain->name);
}

/* The domains that there are to draw, where they go. */
static int plot_init(struct plot *p, const struct report *report, struct err *err)
{
	double total = 0;
	*p = (struct plot){.dot = mem_array(report->l, sizeof *p->dot, err)};
	if (!p->dot)
		return -1;
	for (size_t d = 0; d < report->l; d++) {
		total += (double)report->domain[d].pool;
		if (report->domain[d].pool && !isnan(report->domain[d].score))
			p->dot[p->n++].domain = &report->domain[d];
	}
	if (!p->n)
		return 0;
	qsort(p->dot, p->n, sizeof *p->dot, by_pool);
	p->least = log((double)p->dot[p->n - 1].domain->pool / total / 1.3);
	p->most = log((double)p->dot[0].domain->pool / total * 1.3);
	double missing = log(widest_step) - (p->most - p->least);
	if (missing > 0)
		p->least -= missing / 2, p->most += missing / 2;
	for (size_t i = 0; i < p->n; i++)
		place_dot(p, i, total);
	return 0;
}

/* ---- labels ------------------------------------------------------------------------------------------- */

static bool overlap(const struct box *a, const struct box *b)
{
	return a->x0 < b->x1 && b->x0 < a->x1 && a->y0 < b->y1 && b->y0 < a->y1;
}

static bool is_free(const struct plot *p, const struct box *box)
{
	if (box->x0 < LEFT + 2 || box->x1 > RIGHT || box->y0 < TOP || box->y1 > BOTTOM)
		return false;
	for (size_t i = 0; i < p->labels; i++)
		if (overlap(box, &p->label[i]))
			return false;
	for (size_t i = 0; i < p->n; i++) {
		const struct dot *dot = &p->dot[i];
		const double r = radius + 1;
		const struct box around = {dot->x - r, dot->y - r, dot->x + r, dot->y + r};
		if (overlap(box, &around))
			return false;
	}
	return true;
}

static size_t letters(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += ((unsigned char)*text & 0xC0) != 0x80;
	return n < NAME ? n : NAME;
}

/* Right of the dot, left, above, below: the first place that is free; none: no label. */
static void put_label(struct grown *out, struct plot *p, const struct dot *dot)
{
	static const char *const anchors[] = {"start", "end", "middle", "middle"};
	double w = letter * (double)letters(dot->domain->name), gap = radius + 3;
	const double x[] = {dot->x + gap, dot->x - gap, dot->x, dot->x}, left[] = {0, w, w / 2, w / 2};
	const double top[] = {dot->y - line / 2, dot->y - line / 2, dot->y - gap - line, dot->y + gap};
	for (size_t i = 0; i < sizeof top / sizeof *top; i++) {
		const struct box box = {x[i] - left[i], top[i], x[i] - left[i] + w, top[i] + line};
		if (!is_free(p, &box))
			continue;
		p->label[p->labels++] = box;
		grown_putf(out, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x[i], box.y1 - 2,
			   anchors[i]);
		report_put_text(out, dot->domain->name, NAME + 1);
		grown_put(out, "</text>\n");
		return;
	}
}

/* The largest first, then the tail at equal steps. */
static void put_labels(struct grown *out, struct plot *p)
{
	size_t first = p->n < LABELS / 2 ? p->n : LABELS / 2, rest = p->n - first;
	for (size_t i = 0; i < first; i++)
		put_label(out, p, &p->dot[i]);
	size_t step = rest / (LABELS / 2) + 1;
	for (size_t i = 0; i < rest && p->labels < LABELS; i += step)
		put_label(out, p, &p->dot[p->n - 1 - i]);
}

/* ---- the drawing ---------------------------------------------------------------------------------------- */

static void put_axes(struct grown *out, const struct plot *p)
{
	for (int score = 0; score <= 100; score += 20) {
		double y = y_of(score / 100.0);
		grown_putf(out,
			   "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
			   "text-anchor=\"end\">%d</text>\n",
			   LEFT, y, RIGHT, LEFT - 5, y + 4, score);
	}
	for (int e = -6; e <= 0; e++)
		for (int m = 1; m <= 3; m += 2) {
			double share = m * pow(10, e);
			if (log(share) < p->least || log(share) > p->most)
				continue;
			grown_putf(out,
				   "<path class=\"grid\" d=\"M%.1f %dv4\"/><text x=\"%.1f\" y=\"%d\" "
				   "text-anchor=\"middle\">%g</text>\n",
				   x_of(p, share), BOTTOM, x_of(p, share), BOTTOM + 16, 100 * share);
		}
	grown_putf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">share of the pool, %% (logarithmic)</text>\n",
		   (LEFT + RIGHT) / 2, HEIGHT - 10);
}

static void put_dots(struct grown *out, const struct plot *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct dot *dot = &p->dot[i];
		grown_putf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>",
			   dot->domain->head ? "head" : "tail", dot->x, dot->y, radius);
		report_put_text(out, dot->domain->name, 0);
		grown_putf(out, ": %lld in the pool, %.1f %%</title></circle>\n", (long long)dot->domain->pool,
			   100 * dot->domain->score);
	}
}

void report_put_scores(struct grown *out, const struct report *report)
{
	struct plot plot;
	if (!report->final.there || plot_init(&plot, report, &out->err))
		return;
	if (plot.n) {
		grown_putf(out,
			   "<h2>Scores over the domains</h2>\n<figure><svg role=\"img\" aria-label=\"score of each "
			   "domain over "
			   "its share of the pool\" viewBox=\"0 0 %d %d\">\n",
			   WIDTH, HEIGHT);
		put_axes(out, &plot);
		put_labels(out, &plot);
		put_dots(out, &plot);
		grown_put(out, "</svg><figcaption>Score of each domain in per cent over its share of the pool. Filled: "
			       "head; open: "
			       "tail. Dots that would lie on each other stand side by side, as far as there is room.</figcaption></figure>\n");
	}
	free(plot.dot);
}
