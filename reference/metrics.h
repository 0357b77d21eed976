// SPDX-License-Identifier: Apache-2.0
/*
 * metrics.h - the scores of a test set, and how sure they are.
 *
 * Source: Zhou et al. 2024, section 4 (macro and micro scores); Rajpurkar et
 * al. 2016, "SQuAD" (word-level F1); Efron and Tibshirani 1993, chapter 13
 * (percentile bootstrap). Scores are fractions; NaN stands for a group that is
 * empty (null in a file).
 *
 * Classification:
 *     metrics_count(count, C, gold, predicted, NULL, n);
 *     for (c = 0; c < C; c++)
 *             f1[c] = metrics_f1(&count[c]);
 *     macro = metrics_macro(f1, NULL, METRICS_ALL, C);
 *     tail  = metrics_macro(f1, head, METRICS_TAIL, C);
 *     micro = metrics_micro_f1(count, C);
 * Any score per example (right or wrong as 1 and 0, word F1):
 *     metrics_domain_means(mean, count, D, score, domain, NULL, n);
 *     macro = metrics_macro(mean, NULL, METRICS_ALL, D);
 *     micro = metrics_mean(score, NULL, n);
 *
 * `sample` lists the n examples that count, with repetitions, so that a
 * statistic given to metrics_bootstrap is the same calls over its sample;
 * NULL means 0 ... n - 1.
 */
#ifndef BALDISTILL_REFERENCE_METRICS_H
#define BALDISTILL_REFERENCE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct metrics_class {
	int64_t tp, fp, fn; /* true positives, false positives, false negatives */
};

/*
 * count[C] from the class indexes gold[] and predicted[]. An index outside
 * 0 ... C - 1 is no class of the task: as a prediction (an invalid answer) it
 * is a false negative of the gold class and no false positive; as a gold label
 * it makes the prediction a false positive.
 */
void metrics_count(struct metrics_class *count, size_t C, const int32_t *gold, const int32_t *predicted,
		   const size_t *sample, size_t n);

/* 2 tp / (2 tp + fp + fn); 0 where the denominator is 0. */
double metrics_f1(const struct metrics_class *count);

/* F1 of the sums of tp, fp and fn over the classes; NaN where C is 0. */
double metrics_micro_f1(const struct metrics_class *count, size_t C);

enum metrics_group { METRICS_ALL, METRICS_HEAD, METRICS_TAIL };

/* Unweighted mean of score[D] over the group's domains, those with NaN left out. head may be NULL for METRICS_ALL. */
double metrics_macro(const double *score, const bool *head, enum metrics_group group, size_t D);

/* mean[D] = mean score of each domain's count[D] examples, NaN for a domain without any. 0 <= domain[] < D. */
void metrics_domain_means(double *mean, size_t *count, size_t D, const double *score, const int32_t *domain,
			  const size_t *sample, size_t n);

/* Mean over examples, NaN for none. */
double metrics_mean(const double *score, const size_t *sample, size_t n);

/*
 * Word-level F1 of an answer and the gold text: both in ASCII lower case,
 * without ASCII punctuation, split at ASCII white space, without the words a,
 * an and the; bytes from 0x80 are letters. With w words in common (as
 * multisets) P = w / |answer|, R = w / |gold|, F1 = 2 P R / (P + R); two empty
 * lists score 1, one empty list 0, as SQuAD 2.0 has it. -1 where memory is short.
 */
int metrics_word_f1(double *f1, const char *answer, const char *gold);

struct metrics_interval {
	double low, high;
};

typedef double metrics_statistic(void *context, const size_t *sample, size_t n);

/* A uniform random whole number in [0, below); below >= 1. */
typedef uint64_t metrics_draw(void *state, uint64_t below);

/*
 * 95 % percentile interval of a statistic over n test examples: R times n
 * examples are drawn with replacement (n calls draw(state, n) in order, one
 * replicate after the other) and the statistic taken of each sample. Ends by
 * nearest rank: of the sorted values those at floor(0.025 R) and
 * ceil(0.975 R) - 1 (from 0). Replicates that are NaN do not count; none left:
 * all NaN. *mean: of the replicates; less the statistic of the examples
 * themselves it is the bootstrap's estimate of bias (chapter 10). -1 where n or
 * R is 0 or memory is short.
 */
int metrics_bootstrap(struct metrics_interval *interval, double *mean, metrics_statistic *statistic, void *context,
		      size_t n, size_t R, metrics_draw *draw, void *state);

/* The same of statistic(a) - statistic(b), two methods answering the same examples: each replicate is one sample. */
int metrics_bootstrap_paired(struct metrics_interval *interval, double *mean, metrics_statistic *statistic, void *a,
			     void *b, size_t n, size_t R, metrics_draw *draw, void *state);

#ifdef __cplusplus
}
#endif
#endif
