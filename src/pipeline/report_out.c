// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/pipeline/report_parts.h"

/* Greys alone would do: filled and open, solid and dashed say what the colours say. */
static const char style[] =
	"<style>\n"
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
	"svg .name, svg .over { stroke: #fff; stroke-width: 3; paint-order: stroke; } .cut { stroke: #fff; stroke-width: 2; } "
	".grid { stroke: #d0d0d0; } .axis { stroke: #555; }\n"
	".head { fill: #1f4e79; stroke: #1f4e79; } .tail { fill: #fff; stroke: #b0560f; stroke-width: 1.6; }\n"
	".real { fill: #1f4e79; background: #1f4e79; } .made { fill: #f2a65e; background: #f2a65e; }\n"
	".again { fill: #fff; stroke: #1f4e79; background: #fff; border: 1px solid #1f4e79; }\n"
	".line { fill: none; stroke-width: 2; } .macro { stroke: #1f4e79; }\n"
	".micro { stroke: #b0560f; stroke-dasharray: 5 4; } .whisker { stroke: #777; }\n"
	".pair { white-space: nowrap; } .key { display: inline-block; width: .8em; height: .8em; }\n"
	".row { border: 1px solid #bbb; border-radius: .4rem; padding: .75rem; margin: .75rem 0; }\n"
	".what { margin: .4rem 0 .1rem; color: #555; font-size: .85rem; }\n"
	".text, pre { margin: 0; max-height: 18rem; overflow: auto; border: 1px solid #ddd; padding: .4rem .6rem;\n"
	"\tbackground: #f7f7f7; font-size: .9rem; }\n"
	".text { white-space: pre-wrap; overflow-wrap: anywhere; } pre { font-size: .85rem; line-height: 1.35; }\n"
	"summary { cursor: pointer; margin: .5rem 0; }\n"
	"</style>\n";

void report_put_text(struct grown *out, const char *text, size_t most)
{
	size_t n = strlen(text), room;
	if (!size_mul(&room, n, 4) || !size_add(&room, room, 5)) {
		err_set(&out->err, ERR_MEMORY, "a text of %zu bytes is too long", n);
		return;
	}
	if (most && room > most)
		room = most;
	char *shown = mem_array(room, 1, &out->err);
	if (shown)
		grown_put_xml(out, text_escape(shown, room, text, n));
	free(shown);
}

void report_put_score(struct grown *out, double score)
{
	if (isnan(score))
		grown_put(out, "&ndash;");
	else
		grown_putf(out, "%.1f", 100 * score);
}

bool report_has_intervals(const struct report_metrics *metrics)
{
	return !isnan(metrics->interval[SCORING_MACRO].low);
}

struct report_axis report_axis(double low, double high, int least)
{
	if (!(low <= high))
		low = 0, high = 100;
	int step = high - low > 40 ? 20 : high - low > 15 ? 10 : high - low > 6 ? 5 : least;
	int first = step * (int)floor(low / step), last = step * (int)ceil(high / step);
	if (last <= first)
		last = first + step;
	if (last > 100)
		first -= last - 100, last = 100;
	return (struct report_axis){first, last, step};
}

void report_put_head(struct grown *out, const char *title)
{
	grown_putf(out,
		   "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
		   "'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width, "
		   "initial-scale=1\">\n<title>%s</title>\n",
		   title);
	grown_put(out, style);
	grown_putf(out, "</head>\n<body>\n<h1>%s</h1>\n", title);
}
