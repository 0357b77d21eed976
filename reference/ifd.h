// SPDX-License-Identifier: Apache-2.0
/*
 * ifd.h - instruction-following difficulty, and the choice it makes.
 *
 * Source: Li et al. 2024, "Superfiltering" (arXiv 2402.00530); Zhou et al.
 * 2024, section 3.5: IFD(x, y) = PPL(y | x) / PPL(y), both by one model, over
 * one and the same set of tokens.
 *
 *     struct ifd_row row[n] = {{id, ifd_measure(logp_c, logp_u, T, bos).ifd}, ...};
 *     const struct ifd_row *order[n];
 *     size_t taken = ifd_rank(order, row, n, r, false);   // order[0 .. taken)
 *
 * Nothing here allocates but ifd_spearman.
 */
#ifndef BALDISTILL_REFERENCE_IFD_H
#define BALDISTILL_REFERENCE_IFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ifd_score {
	bool has_value;        /* false: all below but the count are NaN (null in a file) */
	size_t counted_tokens; /* tokens that both means run over */
	double nll_conditional, nll_unconditional; /* nats per counted token */
	double ppl_conditional, ppl_unconditional; /* exp of these */
	double ifd;                                /* exp(nll_conditional - nll_unconditional) */
};

/* An example's id as it stands in its file. */
struct ifd_id {
	bool is_number;
	int64_t number;   /* where is_number */
	const char *text; /* elsewhere; not owned */
};

struct ifd_row {
	struct ifd_id id;
	double ifd; /* NaN or infinite: no value. An empty completion has none, whatever its end token scores. */
};

/*
 * Scores of one completion from the log-probabilities (nats) of its T target
 * tokens, with the prompt before them and without it. Counted are all of them
 * where a beginning token precedes the completion in the unconditional pass
 * (bos), else all but the first, which that pass cannot predict: element 0 of
 * either array is then not read.
 *     nll = -1/C sum of logp over the C counted tokens
 *     ifd = exp(nll_conditional - nll_unconditional)
 * No counted token, or a figure that is not finite: has_value is false.
 */
struct ifd_score ifd_measure(const float *logp_conditional, const float *logp_unconditional, size_t T, bool bos);

/* Numbers by value and before strings, strings by bytes. Negative where a comes first. */
int ifd_id_compare(const struct ifd_id *a, const struct ifd_id *b);

/*
 * order[n] = rows by IFD descending, ties by id, rows without value last (by
 * id too). Returns how many of the first are chosen: min(n, r), or with
 * below_one, which leaves out rows of IFD >= 1 (not those without value),
 * min(what stays, r); the rows left out stand behind the others.
 */
size_t ifd_rank(const struct ifd_row **order, const struct ifd_row *row, size_t n, size_t r, bool below_one);

/*
 * Spearman's rank correlation of x[n] and y[n], ties with their average rank:
 * *rho = Pearson's correlation of the ranks, NaN where n < 2 or all of x or
 * all of y are equal. -1 where an element is NaN or memory is short.
 */
int ifd_spearman(double *rho, const double *x, const double *y, size_t n);

#ifdef __cplusplus
}
#endif
#endif
