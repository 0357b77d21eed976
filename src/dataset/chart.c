// SPDX-License-Identifier: Apache-2.0
#include "src/dataset/chart.h"

#include <math.h>
#include <string.h>

#include "src/base/grown.h"
#include "src/base/text.h"

/* Pixels. */
enum { WIDTH = 760, LEFT = 220, LONGEST = 440, ROW = 18, BAR = 12, TOP = 64 };

/* Bytes of a name that fit left of the bars, and of the title. */
enum { NAME = 34, TITLE = 200 };

double chart_share(size_t n, size_t most)
{
	return most ? log1p((double)n) / log1p((double)most) : 0;
}

/* Text as XML has it, cut; control characters, which XML does not have, as \xHH. */
static void put_xml(struct grown *out, const char *text, size_t most)
{
	char shown[TITLE + 1];
	text_escape_line(shown, most + 1, text, strlen(text));
	grown_put_xml(out, shown);
}

static void put_bar(struct grown *out, const struct example_domain *domain, size_t most, size_t i)
{
	size_t y = TOP + i * ROW;
	double length = LONGEST * chart_share(domain->n, most);
	grown_putf(out, "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">", LEFT - 8, y + BAR - 2);
	put_xml(out, domain->name, NAME);
	grown_putf(out, "</text><rect x=\"%d\" y=\"%zu\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", LEFT, y, length,
		   BAR, domain->head ? "#1f4e79" : "#8db3d9");
	grown_putf(out, "<text x=\"%.1f\" y=\"%zu\">%zu</text>\n", LEFT + length + 6, y + BAR - 2, domain->n);
}

char *chart_domains(const struct examples *examples, const char *title, struct err *err)
{
	struct grown out = {0};
	size_t most = examples->l ? examples->domain[0].n : 0, height = TOP + examples->l * ROW + 16;
	grown_putf(&out,
		   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" viewBox=\"0 0 %d %zu\" "
		   "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<title>",
		   WIDTH, height, WIDTH, height);
	put_xml(&out, title, TITLE);
	grown_putf(&out,
		   "</title>\n<rect width=\"%d\" height=\"%zu\" fill=\"#fff\"/>\n<text x=\"16\" y=\"26\" "
		   "font-size=\"16\">",
		   WIDTH, height);
	put_xml(&out, title, TITLE);
	grown_putf(&out,
		   "</text>\n<text x=\"16\" y=\"46\">%zu examples in %zu domains; bars on a logarithmic scale, dark: "
		   "head, light: "
		   "tail</text>\n",
		   examples->n, examples->l);
	for (size_t d = 0; d < examples->l; d++)
		put_bar(&out, &examples->domain[d], most, d);
	grown_put(&out, "</svg>\n");
	return grown_take(&out, err);
}
