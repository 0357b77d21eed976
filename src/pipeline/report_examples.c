// SPDX-License-Identifier: Apache-2.0
/* Some synthetic rows, with what the teacher was shown for them. */
#include "src/pipeline/report_parts.h"

enum { MOST_TEXT = 1200 };

static void put_block(struct grown *out, const char *what, const char *text)
{
	if (!text)
		return;
	grown_putf(out, "<p class=\"what\">%s</p><div class=\"text\" dir=\"auto\">", what);
	report_put_text(out, text, MOST_TEXT);
	grown_put(out, "</div>\n");
}

static void put_row(struct grown *out, const struct report_text *row)
{
	put_block(out, "input", row->input);
	put_block(out, "rationale", row->rationale);
	put_block(out, "label", row->label);
}

static void put_demonstrations(struct grown *out, const struct report_example *example)
{
	grown_putf(out, "<details><summary>%zu demonstration%s</summary>\n", example->n, example->n == 1 ? "" : "s");
	for (size_t i = 0; i < example->n; i++) {
		grown_put(out, "<h4>");
		report_put_text(out, example->shown[i].id, 100);
		grown_put(out, "</h4>\n");
		if (example->shown[i].input)
			put_row(out, &example->shown[i]);
		else
			grown_put(out, "<p>An example of the pool that is no training row.</p>\n");
	}
	grown_put(out, "</details>\n");
}

void report_put_examples(struct grown *out, const struct report *report)
{
	if (!report->synthetic)
		return;
	grown_putf(
		out,
		"<h2>Synthetic examples</h2>\n<p>%zu of %zu synthetic training rows, each with the examples that the "
		"teacher was shown.</p>\n",
		report->examples, report->synthetic);
	for (size_t e = 0; e < report->examples; e++) {
		const struct report_example *example = &report->example[e];
		grown_put(out, "<section class=\"row\"><h3>");
		report_put_text(out, example->made.domain ? example->made.domain : "", 100);
		grown_put(out, " <small>");
		report_put_text(out, example->made.id, 200);
		grown_put(out, "</small></h3>\n");
		put_row(out, &example->made);
		if (example->n)
			put_demonstrations(out, example);
		grown_put(out, "</section>\n");
	}
}
