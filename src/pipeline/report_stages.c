// SPDX-License-Identifier: Apache-2.0
/* Where the budget goes, from stage to stage. */
#include <stdlib.h>

#include "src/pipeline/report_parts.h"

/* ---- allocation --------------------------------------------------------------------------------------- */

/* Units of the drawing: a strip for each stage; left of it a number of six figures. */
enum { WIDTH = 400, LEFT = 46, RIGHT = 396, STRIP = 86, BARS = 58, TITLE = 18, NAMED = 3 };

static int64_t sum_of(const struct report *report, size_t d, size_t k)
{
	const struct report_cell *cell = &report->domain[d].cell[k];
	return cell->real + cell->synthetic + cell->repeated;
}

static int descending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x < y) - (x > y);
}

/* What the height of a strip stands for: a twentieth of the bars may be cut, or the tail would not be seen. -1: failed.
 */
static int64_t full_height(const struct report *report, size_t k, struct err *err)
{
	int64_t *sum = mem_array(report->l, sizeof *sum, err);
	if (!sum)
		return -1;
	for (size_t d = 0; d < report->l; d++)
		sum[d] = sum_of(report, d, k);
	qsort(sum, report->l, sizeof *sum, descending);
	int64_t most = sum[0], cut = sum[report->l / 20] * 5 / 4 + 1;
	free(sum);
	return most > cut ? cut : most + !most;
}

static void put_counts(struct grown *out, int64_t real, int64_t synthetic, int64_t repeated)
{
	grown_putf(out, ": %lld real, %lld synthetic", (long long)real, (long long)synthetic);
	if (repeated)
		grown_putf(out, ", %lld repeated", (long long)repeated);
}

/* A bar of the height of the strip that stands for more is broken by a white line. */
static void put_bar(struct grown *out, const struct report_domain *domain, size_t k, double x, double width,
		    double base, int64_t full)
{
	const struct report_cell *cell = &domain->cell[k];
	int64_t sum = cell->real + cell->synthetic + cell->repeated;
	double scale = BARS / (double)(sum > full ? sum : full);
	double real = scale * (double)cell->real, made = scale * (double)(cell->synthetic + cell->repeated);
	if (!sum)
		return;
	grown_put(out, "<g><title>");
	report_put_text(out, domain->name, 0);
	put_counts(out, cell->real, cell->synthetic, cell->repeated);
	grown_put(out, "</title>");
	grown_putf(out, "<rect class=\"real\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>", x, base - real,
		   width, real);
	if (cell->synthetic || cell->repeated)
		grown_putf(out, "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>",
			   cell->repeated ? "again" : "made", x, base - real - made, width, made);
	if (sum > full)
		grown_putf(out, "<path class=\"cut\" d=\"M%.2f %.2fl%.2f -3\"/>", x - 1, base - BARS + 10, width + 2);
	grown_put(out, "</g>\n");
}

/* "cut: 226, 127" at the right of the strip's title */
static void put_cut(struct grown *out, const struct report *report, size_t k, int64_t full, int y)
{
	int n = 0;
	for (size_t d = 0; d < report->l; d++) {
		if (sum_of(report, d, k) <= full || n++ > NAMED)
			continue;
		if (n == 1)
			grown_putf(out, "<text class=\"small\" x=\"%d\" y=\"%d\" text-anchor=\"end\">cut: ", RIGHT, y);
		if (n <= NAMED)
			grown_putf(out, "%s%lld", n == 1 ? "" : ", ", (long long)sum_of(report, d, k));
		else
			grown_put(out, ", ...");
	}
	grown_put(out, n ? "</text>\n" : "");
}

static void put_strip(struct grown *out, const struct report *report, size_t k, int top)
{
	int64_t real = 0, made = 0, again = 0, full = full_height(report, k, &out->err);
	double base = top + TITLE + BARS, step = (double)(RIGHT - LEFT) / (double)report->l;
	for (size_t d = 0; d < report->l; d++) {
		real += report->domain[d].cell[k].real;
		made += report->domain[d].cell[k].synthetic;
		again += report->domain[d].cell[k].repeated;
	}
	grown_putf(out, "<text x=\"%d\" y=\"%d\">stage %zu", LEFT, top + 12, k);
	put_counts(out, real, made, again);
	grown_put(out, "</text>\n");
	put_cut(out, report, k, full, top + 12);
	grown_putf(out,
		   "<text class=\"small\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%lld</text><path class=\"grid\" "
		   "d=\"M%d %dH%d\"/>\n",
		   LEFT - 4, top + TITLE + 7, (long long)full, LEFT, top + TITLE, RIGHT);
	for (size_t d = 0; d < report->l; d++)
		put_bar(out, &report->domain[d], k, LEFT + step * ((double)d + 0.1), step * 0.8, base, full);
	grown_putf(out, "<path class=\"axis\" d=\"M%d %.1fH%d\"/>\n", LEFT, base, RIGHT);
}

/* Stages to draw: 0 where none asks for anything. */
static size_t count_allocated(const struct report *report)
{
	size_t n = 0;
	int64_t sum = 0;
	for (; n < report->K && report->stages[n].allocated; n++)
		for (size_t d = 0; d < report->l; d++)
			sum += sum_of(report, d, n);
	return sum ? n : 0;
}

static bool repeats(const struct report *report)
{
	for (size_t d = 0; d < report->l; d++)
		for (size_t k = 0; k < report->K; k++)
			if (report->domain[d].cell[k].repeated)
				return true;
	return false;
}

void report_put_allocation(struct grown *out, const struct report *report)
{
	size_t n = count_allocated(report);
	if (!n)
		return;
	grown_putf(out,
		   "<h2>Where the budget went</h2>\n<figure><svg role=\"img\" aria-label=\"real and synthetic examples "
		   "of each "
		   "domain by stage\" viewBox=\"0 0 %d %zu\">\n",
		   WIDTH, n * STRIP + 22);
	for (size_t k = 0; k < n; k++)
		put_strip(out, report, k, (int)k * STRIP);
	grown_putf(out, "<text class=\"small\" x=\"%d\" y=\"%zu\">", LEFT, n * STRIP + 12);
	report_put_text(out, report->domain[0].name, 24);
	grown_putf(out, "</text><text class=\"small\" x=\"%d\" y=\"%zu\" text-anchor=\"end\">", RIGHT, n * STRIP + 12);
	report_put_text(out, report->domain[report->l - 1].name, 24);
	grown_put(out,
		  "</text>\n</svg><figcaption>Examples asked for in each stage, one bar for each domain, the largest "
		  "on the left. <span class=\"pair\"><span class=\"key real\"></span> real,</span> "
		  "<span class=\"pair\"><span class=\"key made\"></span> synthetic.</span> ");
	if (repeats(report))
		grown_put(out, "<span class=\"pair\"><span class=\"key again\"></span> Shown again.</span> ");
	grown_put(out, "Each stage has its own scale, that of the number at its upper left; a bar with a white line is cut, its "
		       "number stands on the right.</figcaption></figure>\n");
}
