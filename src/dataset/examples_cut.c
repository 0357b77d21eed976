// SPDX-License-Identifier: Apache-2.0
/* Pools made smaller: the long tail, a share of a domain, so many rows of all. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/dataset/examples_parts.h"

static int cut(struct examples *examples, const size_t *count, uint64_t seed, enum examples_purpose what,
	       struct err *err)
{
	bool *chosen = examples_choose(examples, count, seed, what, err);
	for (size_t i = 0; chosen && i < examples->n; i++)
		chosen[i] = !chosen[i];
	int rc = chosen ? examples_remove(examples, chosen, err) : -1;
	free(chosen);
	return rc;
}

int examples_zipf(struct examples *examples, double alpha, uint64_t seed, struct err *err)
{
	if (!(alpha > 0 && isfinite(alpha)))
		return err_set(err, ERR_CONFIG, "the exponent of the long tail is to be above 0, not %g", alpha);
	size_t *count = mem_array(examples->l, sizeof *count, err);
	for (size_t d = 0; count && d < examples->l; d++) {
		double wanted = round((double)examples->domain[0].n * pow((double)(d + 1), -alpha));
		size_t n = examples->domain[d].n;
		count[d] = wanted < 1 ? 1 : wanted < (double)n ? (size_t)wanted : n;
	}
	int rc = count ? cut(examples, count, seed, EXAMPLES_ZIPF, err) : -1;
	free(count);
	return rc;
}

int examples_draw(struct examples *examples, size_t n, uint64_t seed, struct err *err)
{
	return n < examples->n ? cut(examples, &n, seed, EXAMPLES_DRAW, err) : 0;
}

/* ---- shares of domains ------------------------------------------------------------------------------ */

/* "0.25" or "1/3", above 0 and at most 1; 0 for anything else. */
static double read_share(const char *text)
{
	char *end;
	double share = strtod(text, &end);
	if (end > text && *end == '/') {
		const char *below = end + 1;
		share /= strtod(below, &end);
		if (end == below)
			return 0;
	}
	return end > text && !*end && share > 0 && share <= 1 ? share : 0;
}

/* One "NAME=SHARE", which is cut apart. */
static int set_share(size_t *count, const struct examples *examples, char *item, struct err *err)
{
	char shown[128], *equal = strrchr(item, '=');
	double share = equal ? read_share(equal + 1) : 0;
	if (!(share > 0))
		return err_set(err, ERR_CONFIG, "'%s' is no NAME=SHARE such as Race=1/3; a share is above 0 and at most 1",
			       text_escape(shown, sizeof shown, item, strlen(item)));
	*equal = '\0';
	size_t d = examples_find_domain(examples, item);
	if (d == examples->l)
		return err_set(err, ERR_CONFIG, "there is no domain '%s' of which a share could be kept",
			       text_escape(shown, sizeof shown, item, strlen(item)));
	size_t wanted = (size_t)round(share * (double)examples->domain[d].n);
	count[d] = wanted ? wanted : 1;
	return 0;
}

int examples_keep(struct examples *examples, const char *shares, uint64_t seed, struct err *err)
{
	char *list = mem_strdup(shares, err), *rest = list;
	size_t *count = list ? mem_array(examples->l, sizeof *count, err) : NULL;
	int rc = count ? 0 : -1;
	for (size_t d = 0; count && d < examples->l; d++)
		count[d] = examples->domain[d].n;
	for (char *item; !rc && (item = text_list_next(&rest));)
		rc = set_share(count, examples, item, err);
	if (!rc)
		rc = cut(examples, count, seed, EXAMPLES_KEEP, err);
	free(count);
	free(list);
	return rc;
}
