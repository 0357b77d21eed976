// SPDX-License-Identifier: Apache-2.0
/* What the JSON files of a run directory say. */
#include <math.h>
#include <string.h>

#include "src/pipeline/report_parts.h"

static const int64_t most_count = (int64_t)1 << 40; /* of anything counted: sums of them stay in an int64_t */

const char *const report_count_names[REPORT_COUNTS] = {"budget",   "used",     "answered", "unusable",
						       "in_doubt", "released", "armed"};

/* ---- values ------------------------------------------------------------------------------------- */

static int get_count(struct json_value object, const char *key, int64_t *out, struct err *err)
{
	uint64_t count;
	if (json_get_uint64(json_in(object, key), &count, err))
		return -1;
	if (count > (uint64_t)most_count)
		return err_set(err, ERR_DATA, "'%s' must be a count, not %llu", key, (unsigned long long)count);
	*out = (int64_t)count;
	return 0;
}

/* Counts by key into int64_t's that stand side by side. */
static int get_counts(struct json_value object, const char *const *keys, size_t n, int64_t *out, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (get_count(object, keys[i], &out[i], err))
			return -1;
	return 0;
}

/* A fraction, or NaN for null. */
static int get_share(struct json_value value, double *out, struct err *err)
{
	if (json_kind(value) == JSON_NULL) {
		*out = (double)NAN;
		return 0;
	}
	if (json_get_double(value, out, err))
		return -1;
	return *out >= 0 && *out <= 1 ? 0 : err_set(err, ERR_DATA, "a score of %g is not between 0 and 1", *out);
}

static int get_text(struct report *report, struct json_value value, const char **out, struct err *err)
{
	const char *text;
	if (json_get_string(value, &text, NULL, err))
		return -1;
	*out = arena_strdup(&report->arena, text, err);
	return *out ? 0 : -1;
}

/* The domain of this name, added where it is new. */
static struct report_domain *find_domain(struct report *report, struct json_value row, struct err *err)
{
	const char *name;
	if (json_get_string(json_in(row, "domain"), &name, NULL, err))
		return NULL;
	for (size_t d = 0; d < report->l; d++)
		if (!strcmp(report->domain[d].name, name))
			return &report->domain[d];
	if (mem_grow(&report->domain, &report->domain_room, report->l + 1, sizeof *report->domain, err))
		return NULL;
	struct report_domain *domain = &report->domain[report->l];
	*domain = (struct report_domain){.name = arena_strdup(&report->arena, name, err), .score = (double)NAN};
	if (!domain->name || !(domain->cell = arena_array(&report->arena, report->K + 1, sizeof *domain->cell, err)))
		return NULL;
	report->l++;
	return domain;
}

static int64_t *find_cause(struct report *report, const char *name, struct err *err)
{
	for (size_t c = 0; c < report->causes; c++)
		if (!strcmp(report->cause[c].name, name))
			return report->cause[c].count;
	if (mem_grow(&report->cause, &report->cause_room, report->causes + 1, sizeof *report->cause, err))
		return NULL;
	struct report_cause *cause = &report->cause[report->causes];
	cause->name = arena_strdup(&report->arena, name, err);
	cause->count = arena_array(&report->arena, report->K + 1, sizeof *cause->count, err);
	if (!cause->name || !cause->count)
		return NULL;
	report->causes++;
	return cause->count;
}

/* ---- files of a stage --------------------------------------------------------------------------- */

static int each_domain(struct report *report, size_t k, struct json_value root, report_reader *read, struct err *err)
{
	size_t n;
	struct json_value rows = json_in(root, "domains");
	if (json_get_length(rows, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (read(report, k, json_at(rows, i), err))
			return -1;
	return 0;
}

static int read_allotted(struct report *report, size_t k, struct json_value row, struct err *err)
{
	static const char *const keys[] = {"real", "synthetic", "repeated", "replacements"};
	int64_t counts[4];
	struct report_domain *domain = find_domain(report, row, err);
	if (!domain || get_counts(row, keys, 4, counts, err) || get_count(row, "pool", &domain->pool, err))
		return -1;
	struct report_cell *cell = &domain->cell[k];
	cell->real = counts[0], cell->synthetic = counts[1], cell->repeated = counts[2], cell->replacements = counts[3];
	return 0;
}

int report_read_allocation(struct report *report, size_t k, struct json_value root, struct err *err)
{
	report->stages[k].allocated = true;
	return each_domain(report, k, root, read_allotted, err);
}

static int read_collected_row(struct report *report, size_t k, struct json_value row, struct err *err)
{
	struct json_iter it;
	int64_t n = 0;
	struct report_domain *domain = find_domain(report, row, err);
	if (!domain || json_members(json_in(row, "dropped"), &it, err))
		return -1;
	while (json_next(&it)) {
		int64_t *count = find_cause(report, it.key, err);
		if (!count || get_count(json_in(row, "dropped"), it.key, &n, err))
			return -1;
		count[k] += n;
		domain->cell[k].dropped += n;
	}
	return 0;
}

int report_read_collected(struct report *report, size_t k, struct json_value root, struct err *err)
{
	report->stages[k].collected = true;
	return get_count(root, "rows", &report->stages[k].rows, err)
		       ? -1
		       : each_domain(report, k, root, read_collected_row, err);
}

/* ---- metrics ------------------------------------------------------------------------------------- */

static int read_score(struct report *report, size_t k, struct json_value row, struct err *err)
{
	struct report_domain *domain = find_domain(report, row, err);
	(void)k;
	if (!domain || get_count(row, "n", &domain->n, err))
		return -1;
	return get_share(json_in(row, "score"), &domain->score, err) ||
			       json_opt_bool(json_in(row, "head"), false, &domain->head, err)
		       ? -1
		       : 0;
}

static int read_interval(struct metrics_interval *in, struct json_value value, struct err *err)
{
	*in = (struct metrics_interval){(double)NAN, (double)NAN};
	if (!json_is_there(value))
		return 0;
	if (get_share(json_at(value, 0), &in->low, err) || get_share(json_at(value, 1), &in->high, err))
		return -1;
	return isnan(in->low) == isnan(in->high) ? 0 : err_set(err, ERR_DATA, "an interval has one end");
}

/* The scores by domain that are read last are those shown. */
static int read_metrics(struct report *report, struct report_metrics *m, struct json_value root, struct err *err)
{
	m->there = true;
	if (get_count(root, "n", &m->n, err) || get_count(root, "invalid", &m->invalid, err))
		return -1;
	for (int f = 0; f < SCORING_FIGURES; f++)
		if (get_share(json_in(root, scoring_figure_names[f]), &m->figure[f], err) ||
		    read_interval(&m->interval[f], json_in(json_in(root, "intervals"), scoring_figure_names[f]), err))
			return -1;
	report->final = *m;
	return each_domain(report, 0, root, read_score, err);
}

int report_read_stage(struct report *report, size_t k, struct json_value root, struct err *err)
{
	return read_metrics(report, &report->stages[k].metrics, root, err);
}

int report_read_final(struct report *report, size_t k, struct json_value root, struct err *err)
{
	struct report_metrics m = {0};
	(void)k;
	report->finished = true;
	return read_metrics(report, &m, root, err);
}

/* ---- where the run stands ---------------------------------------------------------------------------- */

int report_read_status(struct report *report, size_t k, struct json_value root, struct err *err)
{
	(void)k;
	report->has_status = true;
	if (get_counts(json_in(root, "ledger"), report_count_names, REPORT_COUNTS, report->count, err) ||
	    json_opt_double(json_in(root, "cost"), (double)NAN, &report->cost, err) ||
	    get_count(root, "stage", &report->stage, err))
		return -1;
	return get_text(report, json_in(root, "step"), &report->step, err);
}
