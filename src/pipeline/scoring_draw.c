// SPDX-License-Identifier: Apache-2.0
/* The figures of a sample of the examples, and how much they vary over drawn samples. */
#include <math.h>
#include <string.h>

#include "reference/philox.h"
#include "src/pipeline/scoring_parts.h"

/* A stream of philox.h: "eval" in letters. */
enum { STREAM = 0x6576616c };

/* ---- figures ----------------------------------------------------------------------------- */

void scoring_sample(struct scoring_detail *d, const size_t *sample, size_t n)
{
	if (!d->by_class) {
		metrics_domain_means(d->by_domain, d->examples, d->l, d->score, d->domain, sample, n);
		return;
	}
	metrics_count(d->count, d->l, d->domain, d->predicted, sample, n);
	for (size_t c = 0; c < d->l; c++) {
		bool missed = d->gold[c] && d->count[c].tp + d->count[c].fn == 0;
		d->by_domain[c] = missed ? (double)NAN : metrics_f1(&d->count[c]);
	}
}

double scoring_figure(const struct scoring_detail *d, enum scoring_figure figure, const size_t *sample, size_t n)
{
	static const enum metrics_group group[SCORING_FIGURES] = {
		[SCORING_MACRO] = METRICS_ALL, [SCORING_HEAD] = METRICS_HEAD, [SCORING_TAIL] = METRICS_TAIL};
	if (figure == SCORING_MICRO)
		return d->by_class ? metrics_micro_f1(d->count, d->l) : metrics_mean(d->score, sample, n);
	if (figure != SCORING_MACRO && !d->head)
		return (double)NAN;
	return metrics_macro(d->by_domain, d->head, group[figure], d->l);
}

static double statistic(void *context, const size_t *sample, size_t n)
{
	struct scoring_detail *d = context;
	scoring_sample(d, sample, n);
	return scoring_figure(d, d->figure, sample, n);
}

/* ---- intervals ------------------------------------------------------------------------------ */

struct draws {
	struct philox_key key;
	uint64_t next;
};

static struct draws draws_begin(uint64_t seed)
{
	return (struct draws){philox_stream(seed, PHILOX_SHUFFLE, STREAM, 0, 0), 0};
}

static uint64_t draw(void *state, uint64_t below)
{
	struct draws *draws = state;
	return (uint64_t)(philox_uniform(philox_at(draws->key, 0, draws->next++)) * (double)below);
}

static int no_memory(int64_t bootstrap, struct err *err)
{
	return err_set(err, ERR_MEMORY, "out of memory for a bootstrap of %lld replicates; ask for fewer",
		       (long long)bootstrap);
}

static const struct metrics_interval no_interval = {(double)NAN, (double)NAN};

/* The replicates' bias off both ends, which stay on their sides of the figure and within [least, 1]. */
static void take_off(struct metrics_interval *interval, double mean, double figure, double least)
{
	double bias = mean - figure;
	if (isnan(bias))
		return;
	interval->low = fmax(fmin(interval->low - bias, figure), least);
	interval->high = fmin(fmax(interval->high - bias, figure), 1);
}

static bool same_gold(const struct scoring_detail *a, const struct scoring_detail *b)
{
	return a->n == b->n && a->l == b->l && a->by_class == b->by_class &&
	       !memcmp(a->domain, b->domain, a->n * sizeof *a->domain) && !a->head == !b->head &&
	       (!a->head || !memcmp(a->head, b->head, a->l * sizeof *a->head));
}

/* One method's scores, a seed each, of the same examples. */
struct seeds {
	const struct scoring *const *scoring;
	size_t n;
	enum scoring_figure figure;
};

static double mean_statistic(void *context, const size_t *sample, size_t n)
{
	const struct seeds *seeds = context;
	double sum = 0;
	for (size_t s = 0; s < seeds->n; s++) {
		seeds->scoring[s]->detail->figure = seeds->figure;
		sum += statistic(seeds->scoring[s]->detail, sample, n);
	}
	return sum / (double)seeds->n;
}

double scoring_mean_figure(const struct scoring *const *scoring, size_t seeds, enum scoring_figure figure)
{
	double sum = 0;
	for (size_t s = 0; s < seeds; s++)
		sum += scoring[s]->figure[figure];
	return sum / (double)seeds;
}

int scoring_difference(struct metrics_interval difference[SCORING_FIGURES], const struct scoring *const *a,
		       const struct scoring *const *b, size_t seeds, int64_t bootstrap, uint64_t seed, struct err *err)
{
	for (size_t s = 0; s < seeds; s++)
		if (!same_gold(a[0]->detail, a[s]->detail) || !same_gold(a[0]->detail, b[s]->detail))
			return err_set(err, ERR_DATA,
				       "only scores of the same examples and domains can be compared in pairs");
	for (int f = 0; f < SCORING_FIGURES; f++) {
		double mean = (double)NAN;
		struct draws draws = draws_begin(seed);
		struct seeds x = {a, seeds, (enum scoring_figure)f}, y = {b, seeds, (enum scoring_figure)f};
		difference[f] = no_interval;
		if (bootstrap && !isnan(a[0]->figure[f]) && metrics_bootstrap_paired(&difference[f], &mean, mean_statistic, &x, &y, a[0]->n,
									(size_t)bootstrap, draw, &draws))
			return no_memory(bootstrap, err);
		take_off(&difference[f], mean, scoring_mean_figure(a, seeds, x.figure) - scoring_mean_figure(b, seeds, y.figure), -1);
	}
	return 0;
}

int scoring_mean(struct metrics_interval interval[SCORING_FIGURES], const struct scoring *const *a, size_t seeds,
		 int64_t bootstrap, uint64_t seed, struct err *err)
{
	for (int f = 0; f < SCORING_FIGURES; f++) {
		double mean = (double)NAN;
		struct draws draws = draws_begin(seed);
		struct seeds x = {a, seeds, (enum scoring_figure)f};
		interval[f] = no_interval;
		if (bootstrap && !isnan(a[0]->figure[f]) && metrics_bootstrap(&interval[f], &mean, mean_statistic, &x, a[0]->n,
								 (size_t)bootstrap, draw, &draws))
			return no_memory(bootstrap, err);
		take_off(&interval[f], mean, scoring_mean_figure(a, seeds, x.figure), 0);
	}
	return 0;
}

int scoring_intervals(struct scoring *s, const struct scoring_options *options, struct err *err)
{
	const struct scoring *one = s;
	s->has_intervals = options->bootstrap > 0 && s->n;
	return s->has_intervals ? scoring_mean(s->interval, &one, 1, options->bootstrap, options->seed, err) : 0;
}
