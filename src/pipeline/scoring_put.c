// SPDX-License-Identifier: Apache-2.0
/* Scores as JSON. */
#include <math.h>

#include "src/pipeline/scoring_parts.h"

const char *const scoring_figure_names[SCORING_FIGURES] = {"macro", "micro", "head_macro", "tail_macro"};

static void put_intervals(struct json_writer *w, const struct scoring *s)
{
	json_put_key(w, "intervals");
	json_begin_object(w);
	for (int f = 0; s->has_intervals && f < SCORING_FIGURES; f++) {
		json_put_key(w, scoring_figure_names[f]);
		if (isnan(s->interval[f].low)) {
			json_put_null(w);
			continue;
		}
		json_begin_array(w);
		json_put_double(w, s->interval[f].low);
		json_put_double(w, s->interval[f].high);
		json_end_array(w);
	}
	json_end_object(w);
}

static void put_domain(struct json_writer *w, const struct scoring_domain *domain, bool has_head)
{
	json_begin_object(w);
	json_member_text(w, "domain", domain->name);
	json_member_uint(w, "n", domain->n);
	json_put_key(w, "score");
	json_put_known(w, domain->score, !isnan(domain->score));
	if (has_head)
		json_member_bool(w, "head", domain->head);
	json_end_object(w);
}

void scoring_put(struct json_writer *w, const struct scoring *s)
{
	json_begin_object(w);
	json_member_uint(w, "n", s->n);
	json_member_uint(w, "invalid", s->invalid);
	for (int f = 0; f < SCORING_FIGURES; f++) {
		json_put_key(w, scoring_figure_names[f]);
		json_put_known(w, s->figure[f], !isnan(s->figure[f]));
	}
	put_intervals(w, s);
	json_put_key(w, "domains");
	json_begin_array(w);
	for (size_t i = 0; i < s->l; i++)
		put_domain(w, &s->domain[i], s->detail->head);
	json_end_array(w);
	json_end_object(w);
}
