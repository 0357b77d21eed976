// SPDX-License-Identifier: Apache-2.0
/* What was spent and dropped, and every domain's numbers. */
#include <math.h>
#include <string.h>

#include "src/pipeline/report_parts.h"

/* ---- spend ---------------------------------------------------------------------------------------------- */

static void put_spent(struct grown *out, const struct report *report)
{
	static const char *const says[REPORT_COUNTS] = {
		[REPORT_BUDGET] = "budget",     [REPORT_USED] = "used",
		[REPORT_ANSWERED] = "answered", [REPORT_UNUSABLE] = "unusable",
		[REPORT_IN_DOUBT] = "in doubt", [REPORT_RELEASED] = "released, not billed",
		[REPORT_ARMED] = "in flight"};
	grown_put(out, "<div class=\"scroll\" tabindex=\"0\"><table><tr><th>teacher queries</th><th>units</th></tr>\n");
	for (int c = 0; c < REPORT_COUNTS; c++) {
		bool shown = c == REPORT_RELEASED ? report->billable : c != REPORT_ARMED || report->count[c];
		if (shown)
			grown_putf(out, "<tr><td>%s</td><td>%lld</td></tr>\n", says[c], (long long)report->count[c]);
	}
	if (!isnan(report->cost))
		grown_putf(out, "<tr><td>cost, spent and reserved, by the plan's prices</td><td>%.*f</td></tr>\n", report->cost < 1 ? 4 : 2,
			   report->cost);
	grown_put(out, "</table></div>\n");
}

static void put_stage_heads(struct grown *out, const struct report *report)
{
	for (size_t k = 0; k < report->K; k++)
		grown_putf(out, "<th>stage %zu</th>", k);
}

static void put_drops_row(struct grown *out, const int64_t *count, size_t K)
{
	int64_t sum = 0;
	for (size_t k = 0; k < K; k++) {
		grown_putf(out, "<td>%lld</td>", (long long)count[k]);
		sum += count[k];
	}
	grown_putf(out, "<td>%lld</td></tr>\n", (long long)sum);
}

static void put_replacements(struct grown *out, const struct report *report)
{
	int64_t all = 0;
	grown_put(out, "<tr><td>asked for in their place</td>");
	for (size_t k = 0; k < report->K; k++) {
		int64_t n = 0;
		for (size_t d = 0; d < report->l; d++)
			n += report->domain[d].cell[k].replacements;
		grown_putf(out, "<td>%lld</td>", (long long)n);
		all += n;
	}
	grown_putf(out, "<td>%lld</td></tr>\n", (long long)all);
}

static void put_rows(struct grown *out, const struct report *report)
{
	grown_put(out, "<tr><td>rows trained on</td>");
	for (size_t k = 0; k < report->K; k++)
		if (report->stages[k].collected)
			grown_putf(out, "<td>%lld</td>", (long long)report->stages[k].rows);
		else
			grown_put(out, "<td>&ndash;</td>");
	grown_put(out, "<td></td></tr>\n");
}

static void put_drops(struct grown *out, const struct report *report)
{
	grown_put(out, "<div class=\"scroll\" tabindex=\"0\"><table><tr><th>answers dropped</th>");
	put_stage_heads(out, report);
	grown_put(out, "<th>all</th></tr>\n");
	for (size_t c = 0; c < report->causes; c++) {
		grown_put(out, "<tr><td>");
		report_put_text(out, report->cause[c].name, 64);
		grown_put(out, "</td>");
		put_drops_row(out, report->cause[c].count, report->K);
	}
	put_replacements(out, report);
	put_rows(out, report);
	grown_put(out, "</table></div>\n");
}

void report_put_spend(struct grown *out, const struct report *report)
{
	bool collected = report->K && report->stages[0].collected;
	if (!report->has_status && !collected)
		return;
	grown_put(out, "<h2>What was spent</h2>\n");
	if (report->has_status)
		put_spent(out, report);
	if (collected)
		put_drops(out, report);
}

/* ---- domains ----------------------------------------------------------------------------------------------- */

static void put_cell(struct grown *out, const struct report_stage *stage, const struct report_cell *cell)
{
	if (!stage->allocated)
		grown_put(out, "<td>&ndash;</td>");
	else if (cell->synthetic || cell->repeated)
		grown_putf(out, "<td>%lld + %lld</td>", (long long)cell->real, (long long)(cell->synthetic + cell->repeated));
	else
		grown_putf(out, "<td>%lld</td>", (long long)cell->real);
}

static void put_domain(struct grown *out, const struct report *report, const struct report_domain *domain)
{
	int64_t dropped = 0;
	grown_put(out, "<tr><td>");
	report_put_text(out, domain->name, 100);
	grown_putf(out, "</td><td>%lld</td>", (long long)domain->pool);
	for (size_t k = 0; k < report->K; k++) {
		put_cell(out, &report->stages[k], &domain->cell[k]);
		dropped += domain->cell[k].dropped;
	}
	grown_putf(out, "<td>%lld</td>", (long long)dropped);
	if (report->final.there) {
		grown_putf(out, "<td>%lld</td><td>", (long long)domain->n);
		report_put_score(out, domain->score);
		grown_putf(out, "</td><td>%s</td>", domain->head ? "head" : "");
	}
	grown_put(out, "</tr>\n");
}

void report_put_domains(struct grown *out, const struct report *report)
{
	if (!report->l)
		return;
	grown_put(
		out,
		"<details><summary>All domains in numbers</summary>\n<p>Of each stage: real + synthetic (or repeated) examples asked "
		"for.</p>\n<div class=\"scroll\" tabindex=\"0\"><table><tr><th>domain</th><th>pool</th>");
	put_stage_heads(out, report);
	grown_put(out, "<th>dropped</th>");
	if (report->final.there)
		grown_put(out, "<th>scored</th><th>score</th><th></th>");
	grown_put(out, "</tr>\n");
	for (size_t d = 0; d < report->l; d++)
		put_domain(out, report, &report->domain[d]);
	grown_put(out, "</table></div></details>\n");
}
