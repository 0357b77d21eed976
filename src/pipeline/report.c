// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/libraries.h"
#include "src/pipeline/report_parts.h"

/* Greys alone would do: filled and open, solid and dashed say what the colours say. */
static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Distillation "
	"report</title>\n<style>\n"
	"body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: #fff; color: #1a1a1a;\n"
	"\tfont: 16px/1.5 system-ui, \"Segoe UI\", \"DejaVu Sans\", sans-serif; }\n"
	"h1 { margin: 0 0 .25rem; font-size: 1.6rem; }\n"
	"h2 { margin: 2.25rem 0 .75rem; border-bottom: 1px solid #bbb; font-size: 1.25rem; }\n"
	"h3 { margin: 0 0 .25rem; font-size: 1.05rem; } h4 { margin: .75rem 0 .25rem; }\n"
	"h3, h4, td:first-child { overflow-wrap: anywhere; } small { color: #555; font-weight: normal; }\n"
	".cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: "
	"1rem 0; }\n"
	".card { border: 1px solid #999; border-radius: .4rem; padding: .5rem .8rem; }\n"
	".card b { display: block; font-size: 1.9rem; line-height: 1.2; } .card span { color: #444; white-space: "
	"nowrap; }\n"
	".note { border-left: .3rem solid #555; background: #f2f2f2; padding: .5rem .8rem; }\n"
	".scroll { overflow-x: auto; margin: .75rem 0; } table { border-collapse: collapse; font-size: .95rem; }\n"
	"th, td { padding: .15rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }\n"
	"th:first-child, td:first-child { text-align: left; padding-left: 0; } td { font-variant-numeric: "
	"tabular-nums; }\n"
	"figure { margin: 0; max-width: 38rem; } figcaption { color: #444; font-size: .9rem; }\n"
	"svg { display: block; width: 100%; height: auto; font: 11.5px system-ui, \"Segoe UI\", \"DejaVu Sans\", "
	"sans-serif; }\n"
	"svg text { fill: #1a1a1a; } svg .small, svg .name { font-size: 10.5px; }\n"
	"svg .name { stroke: #fff; stroke-width: 3; paint-order: stroke; } .cut { stroke: #fff; stroke-width: 2; } "
	".grid { stroke: #d0d0d0; } .axis { stroke: #555; }\n"
	".head { fill: #1f4e79; stroke: #1f4e79; } .tail { fill: #fff; stroke: #b0560f; stroke-width: 1.6; }\n"
	".real { fill: #1f4e79; background: #1f4e79; } .made { fill: #f2a65e; background: #f2a65e; }\n"
	".line { fill: none; stroke-width: 2; } .macro { stroke: #1f4e79; }\n"
	".micro { stroke: #b0560f; stroke-dasharray: 5 4; } .whisker { stroke: #777; }\n"
	".pair { white-space: nowrap; } .key { display: inline-block; width: .8em; height: .8em; }\n"
	".row { border: 1px solid #bbb; border-radius: .4rem; padding: .75rem; margin: .75rem 0; }\n"
	".what { margin: .4rem 0 .1rem; color: #555; font-size: .85rem; }\n"
	".text, pre { margin: 0; max-height: 18rem; overflow: auto; border: 1px solid #ddd; padding: .4rem .6rem;\n"
	"\tbackground: #f7f7f7; font-size: .9rem; }\n"
	".text { white-space: pre-wrap; overflow-wrap: anywhere; } pre { font-size: .85rem; line-height: 1.35; }\n"
	"summary { cursor: pointer; margin: .5rem 0; }\n"
	"</style>\n</head>\n<body>\n<h1>Distillation report</h1>\n";

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
		report_put(out, "budget %lld, ", (long long)report->count[REPORT_BUDGET]);
	report_put(out, "%zu stage%s%s, %zu domains.</p>\n", report->K, report->K == 1 ? "" : "s",
		   is_done(report) ? "" : " so far", report->l);
}

static void put_standing(struct grown *out, const struct report *report)
{
	if (is_done(report))
		return;
	grown_put(out, "<p class=\"note\">This run is not finished");
	if (report->has_status) {
		report_put(out, ": it stands in stage %lld, step ", (long long)report->stage);
		report_put_text(out, report->step, 64);
	}
	grown_put(out, ".</p>\n");
}

static void put_card(struct grown *out, const char *name, double score, const struct metrics_interval *in)
{
	report_put(out, "<div class=\"card\">%s<b>", name);
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
	report_put(
		out,
		"</div>\n<p>Per cent, with 95 %% intervals, on %lld test examples%s; %lld had no answer that could be "
		"read.</p>\n",
		(long long)m->n, report->finished ? "" : ", after the last stage evaluated so far",
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
		report_put(out, ", %s %s", library->name, library->version());
	grown_put(out, "</p>\n</body>\n</html>\n");
}

static char *write_page(const struct report *report, struct err *err)
{
	struct grown out = {0};
	grown_put(&out, head);
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
	if (report_read(&report, directory, err))
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
