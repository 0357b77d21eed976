// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/libraries.h"
#include "src/pipeline/report_parts.h"
#include "src/pipeline/spare.h"

/* ---- headline ------------------------------------------------------------------------------------------ */

static bool is_done(const struct report *report)
{
	return report->has_status && !strcmp(report->step, "done");
}

static void put_what(struct grown *out, const struct report *report)
{
	grown_put(out, "<p>");
	if (report->method) {
		grown_put(out, "Method <b>");
		report_put_text(out, report->method, 100);
		grown_put(out, "</b>, ");
	}
	if (report->has_status)
		grown_putf(out, "budget %lld, ", (long long)report->count[REPORT_BUDGET]);
	grown_putf(out, "%zu stage%s%s, %zu domain%s.</p>\n", report->K, report->K == 1 ? "" : "s",
		   is_done(report) ? "" : " so far", report->l, report->l == 1 ? "" : "s");
}

static void put_standing(struct grown *out, const struct report *report)
{
	if (is_done(report))
		return;
	grown_put(out, "<p class=\"note\">This run is not finished");
	if (report->has_status) {
		grown_putf(out, ": it stands in stage %lld, step ", (long long)report->stage);
		report_put_text(out, report->step, 64);
	}
	grown_put(out, ".</p>\n");
}

static void put_card(struct grown *out, const char *name, double score, const struct metrics_interval *in)
{
	grown_putf(out, "<div class=\"card\">%s<b>", name);
	report_put_score(out, score);
	grown_put(out, "</b><span>");
	if (!isnan(in->low)) {
		report_put_score(out, in->low);
		grown_put(out, " to ");
		report_put_score(out, in->high);
	}
	grown_put(out, "</span></div>\n");
}

static void put_headline(struct grown *out, const struct report *report)
{
	static const char *const names[SCORING_FIGURES] = {"Macro", "Micro", "Head, macro", "Tail, macro"};
	const struct report_metrics *m = &report->final;
	if (!m->there) {
		grown_put(out, "<p class=\"note\">No scores: nothing has been evaluated.</p>\n");
		return;
	}
	grown_put(out, "<div class=\"cards\">\n");
	for (int f = 0; f < SCORING_FIGURES; f++)
		put_card(out, names[f], m->figure[f], &m->interval[f]);
	grown_putf(
		out,
		"</div>\n<p>Per cent%s, on %lld examples%s; %lld had no answer that could be "
		"read.</p>\n",
		report_has_intervals(m) ? ", with 95 % intervals" : "", (long long)m->n, report->finished ? "" : ", after the last stage evaluated so far",
		(long long)m->invalid);
}

/* ---- settings -------------------------------------------------------------------------------------------- */

static void put_settings(struct grown *out, const struct report *report)
{
	grown_put(out, "<h2>Settings and versions</h2>\n<pre tabindex=\"0\">");
	report_put_text(out, report->plan, 0);
	grown_put(out, "</pre>\n<p>");
	report_put_text(out, report->version, 200);
	for (const struct library *library = base_libraries; library->name; library++)
		grown_putf(out, ", %s %s", library->name, library->version());
	grown_put(out, "</p>\n</body>\n</html>\n");
}

static char *write_page(const struct report *report, struct err *err)
{
	struct grown out = {0};
	report_put_head(&out, "Distillation report");
	put_what(&out, report);
	put_standing(&out, report);
	put_headline(&out, report);
	report_put_scores(&out, report);
	report_put_allocation(&out, report);
	report_put_curve(&out, report);
	report_put_spend(&out, report);
	report_put_domains(&out, report);
	report_put_examples(&out, report);
	put_settings(&out, report);
	return grown_take(&out, err);
}

int report_write(const char *directory, const char *path, const char *version, struct err *err)
{
	struct report report;
	if ((path && run_spare(directory, path, ".html", err)) || report_read(&report, directory, err))
		return -1;
	report.version = version;
	char *own = path ? NULL : grown_format(err, "%s/report.html", directory);
	char *page = path || own ? write_page(&report, err) : NULL;
	int rc = page ? file_save(path ? path : own, page, strlen(page), 0666, err) : -1;
	free(page);
	free(own);
	report_release(&report);
	return rc;
}
