// SPDX-License-Identifier: Apache-2.0
#include "reference/ifd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -1/(T - first) sum over t in [first, T) of logp[t] */
static double mean_nll(const float *logp, size_t first, size_t T)
{
	double sum = 0;

	for (size_t t = first; t < T; t++)
		sum -= (double)logp[t];
	return sum / (double)(T - first);
}

struct ifd_score ifd_measure(const float *logp_conditional, const float *logp_unconditional, size_t T, bool bos)
{
	size_t first = bos ? 0 : 1, counted = T > first ? T - first : 0;
	double c = counted ? mean_nll(logp_conditional, first, T) : (double)NAN;
	double u = counted ? mean_nll(logp_unconditional, first, T) : (double)NAN;
	struct ifd_score score = {true, counted, c, u, exp(c), exp(u), exp(c - u)};

	if (isfinite(score.ppl_conditional) && isfinite(score.ppl_unconditional) && isfinite(score.ifd))
		return score;
	return (struct ifd_score){false, counted, (double)NAN, (double)NAN, (double)NAN, (double)NAN, (double)NAN};
}

int ifd_id_compare(const struct ifd_id *a, const struct ifd_id *b)
{
	if (a->is_number != b->is_number)
		return a->is_number ? -1 : 1;
	if (a->is_number)
		return (a->number > b->number) - (a->number < b->number);
	return strcmp(a->text, b->text);
}

static int rank_compare(const void *left, const void *right)
{
	const struct ifd_row *a = *(const struct ifd_row *const *)left, *b = *(const struct ifd_row *const *)right;
	bool has_a = isfinite(a->ifd), has_b = isfinite(b->ifd);

	if (has_a != has_b)
		return has_a ? -1 : 1;
	if (has_a && a->ifd != b->ifd)
		return a->ifd > b->ifd ? -1 : 1;
	return ifd_id_compare(&a->id, &b->id);
}

size_t ifd_rank(const struct ifd_row **order, const struct ifd_row *row, size_t n, size_t r, bool below_one)
{
	size_t stay = 0, out = n;

	for (size_t j = 0; j < n; j++) {
		bool drop = below_one && isfinite(row[j].ifd) && row[j].ifd >= 1;

		order[drop ? --out : stay++] = &row[j];
	}
	qsort(order, stay, sizeof *order, rank_compare);
	qsort(order + stay, n - stay, sizeof *order, rank_compare);
	return stay < r ? stay : r;
}

static int value_compare(const void *left, const void *right)
{
	double a = **(const double *const *)left, b = **(const double *const *)right;

	return (a > b) - (a < b);
}

/* rank[n] of x from 1; a run of equal values shares the mean of its places. place[n] is scratch. */
static void average_ranks(double *rank, const double **place, const double *x, size_t n)
{
	for (size_t j = 0; j < n; j++)
		place[j] = &x[j];
	qsort(place, n, sizeof *place, value_compare);
	for (size_t begin = 0, end; begin < n; begin = end) {
		for (end = begin + 1; end < n && *place[end] == *place[begin]; end++)
			;
		for (size_t j = begin; j < end; j++)
			rank[place[j] - x] = (double)(begin + 1 + end) / 2;
	}
}

/* sum (a - m)(b - m) / sqrt(sum (a - m)^2 sum (b - m)^2), m = (n + 1) / 2 the mean of any ranks; 0/0 is NaN */
static double rank_correlation(const double *a, const double *b, size_t n)
{
	double mean = ((double)n + 1) / 2, ab = 0, aa = 0, bb = 0;

	for (size_t j = 0; j < n; j++) {
		ab += (a[j] - mean) * (b[j] - mean);
		aa += (a[j] - mean) * (a[j] - mean);
		bb += (b[j] - mean) * (b[j] - mean);
	}
	return ab / (sqrt(aa) * sqrt(bb));
}

int ifd_spearman(double *rho, const double *x, const double *y, size_t n)
{
	double *rank = calloc(n ? n : 1, 2 * sizeof *rank);
	const double **place = calloc(n ? n : 1, sizeof *place);
	bool good = rank && place;

	for (size_t j = 0; good && j < n; j++)
		good = !isnan(x[j]) && !isnan(y[j]);
	if (good) {
		average_ranks(rank, place, x, n);
		average_ranks(rank + n, place, y, n);
		*rho = rank_correlation(rank, rank + n, n);
	}
	free(rank);
	free(place);
	return good ? 0 : -1;
}
