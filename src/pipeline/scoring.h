// SPDX-License-Identifier: Apache-2.0
/*
 * scoring.h - METHOD section 7: free-text predictions against gold answers.
 *
 *     struct scoring_options options = {.task = &task, .domains = names, .head = flags, .l = l,
 *                                       .bootstrap = 1000, .seed = 1};
 *     struct scoring scoring;
 *     if (scoring_compute(&scoring, &gold, prediction, &options, &err))
 *             return -1;
 *     scoring_put(&w, &scoring);                  // metrics.json
 *     scoring_release(&scoring);
 *
 * Classification: per-class F1, macro over the classes given, micro from
 * global counts. Multiple choice and math: right or wrong; QA: word-level F1;
 * macro over domains, micro over examples (reference/metrics.h).
 *
 * Intervals are 95 % percentile bootstrap over the gold examples (Efron and
 * Tibshirani 1993, chapter 13), drawn with Philox (seed; SHUFFLE, "eval"),
 * less the bias of its replicates (chapter 10), around their figure and within
 * the range of a score. A class or domain that has gold examples but none in a
 * replicate says nothing there and is left out of that replicate's macro
 * figures: counted as 0 it would push the interval of a long tail below its own
 * figure. Left out, it draws a replicate towards the classes that stay, which
 * is the bias taken off.
 *
 * Two methods on the same gold examples:
 *     scoring_difference(interval, a, b, seeds, 1000, 1, &err)   // of a - b, every replicate one sample for all
 */
#ifndef BALDISTILL_PIPELINE_SCORING_H
#define BALDISTILL_PIPELINE_SCORING_H

#include "reference/metrics.h"
#include "src/base/jsonio.h"
#include "src/dataset/examples.h"

#ifdef __cplusplus
extern "C" {
#endif

struct scoring_options {
	const struct answer_task *task; /* classification: its names are the classes */
	const char *const *domains;     /* [l], in the order results are listed; classification: the classes */
	const bool *head;               /* [l]; NULL: not known, the head and tail figures are NaN */
	size_t l;
	int64_t bootstrap; /* replicates; 0: no intervals */
	uint64_t seed;
};

enum scoring_figure { SCORING_MACRO, SCORING_MICRO, SCORING_HEAD, SCORING_TAIL, SCORING_FIGURES };
/* "macro", "micro", "head_macro", "tail_macro" */
extern const char *const scoring_figure_names[SCORING_FIGURES];

struct scoring_domain {
	const char *name; /* borrowed from the options */
	size_t n;         /* gold examples */
	double score;     /* NaN: none */
	bool head;
};

struct scoring_detail;

struct scoring {
	size_t n, invalid;              /* invalid: no answer could be extracted */
	double figure[SCORING_FIGURES]; /* NaN: empty group */
	struct metrics_interval interval[SCORING_FIGURES];
	bool has_intervals;
	struct scoring_domain *domain; /* [l] */
	size_t l;
	struct scoring_detail *detail; /* private: every example's part, to be drawn from */
};

/*
 * prediction[i] is the raw text for gold->row[i]; NULL counts as invalid.
 * Failures: ERR_DATA where a gold domain is not listed, ERR_MEMORY; nothing is
 * to be released then.
 */
int scoring_compute(struct scoring *scoring, const struct examples *gold, const char *const *prediction,
		    const struct scoring_options *options, struct err *err);
void scoring_release(struct scoring *scoring);

/* The mean of a figure over scorings of several seeds. */
double scoring_mean_figure(const struct scoring *const *scoring, size_t seeds, enum scoring_figure figure);

/*
 * 95 % intervals of the mean of figure[f] over a[seeds] less that over b[seeds]
 * by paired bootstrap; NaN for an empty group, and all of them where bootstrap
 * is 0. All scored the same gold
 * examples in the same order, with the same domains (ERR_DATA otherwise);
 * seeds >= 1.
 */
int scoring_difference(struct metrics_interval difference[SCORING_FIGURES], const struct scoring *const *a,
		       const struct scoring *const *b, size_t seeds, int64_t bootstrap, uint64_t seed, struct err *err);

/* The same of one method alone: 95 % intervals of the mean of figure[f] over a[seeds]. */
int scoring_mean(struct metrics_interval interval[SCORING_FIGURES], const struct scoring *const *a, size_t seeds,
		 int64_t bootstrap, uint64_t seed, struct err *err);

/*
 * The object of metrics.json and `eval --json`: n, invalid, macro, micro,
 * head_macro, tail_macro, intervals, domains with domain, n, score, head;
 * fractions, null for an empty group; head only where it is known.
 */
void scoring_put(struct json_writer *w, const struct scoring *scoring);

#ifdef __cplusplus
}
#endif
#endif
