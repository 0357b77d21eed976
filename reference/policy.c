// SPDX-License-Identifier: Apache-2.0
#include "reference/policy.h"

#include <stdlib.h>
#include <string.h>

/*
 * Over the common denominator N K l the share of a domain is
 *     (n_d B_k (K - i) l + B_k i N) / (N K l).
 * With n_d <= N <= 2^40, B_k <= 2^40, l <= 2^20 and 0 <= i <= K <= 2^20 the
 * first product is at most 2^(40+40+20+20) = 2^120, the second at most
 * 2^(40+20+40) = 2^100, their sum below 2^121; the denominator is at most
 * 2^80. Nothing can wrap in 128 bits.
 */
typedef unsigned __int128 u128;

struct terms {
	u128 N, l, K, B, i;
};

struct share {
	const struct policy_domain *domain;
	u128 fraction; /* of the common denominator, below it */
	int64_t units; /* the floor, then r_d */
};

int64_t policy_part(int64_t total, int64_t parts, int64_t k)
{
	return total / parts + (k < total % parts);
}

int policy_budgets(int64_t *budget, int64_t K, int64_t B)
{
	if (K < 1 || K > POLICY_COUNT_MAX || B < K || B > POLICY_UNITS_MAX)
		return -1;
	for (int64_t k = 0; k < K; k++)
		budget[k] = policy_part(B, K, k);
	return 0;
}

int policy_grow(int64_t *budget, int64_t K, int64_t begun, int64_t B)
{
	int64_t kept = 0, before = 0;

	if (K < 1 || K > POLICY_COUNT_MAX || begun < 0 || begun > K || B > POLICY_UNITS_MAX)
		return -1;
	for (int64_t k = 0; k < K; k++) {
		if (budget[k] < 1 || budget[k] > POLICY_UNITS_MAX)
			return -1;
		before += budget[k];
		kept += k < begun ? budget[k] : 0;
	}
	if (B < before || (begun == K && B > before))
		return -1;
	for (int64_t k = begun; k < K; k++)
		budget[k] = policy_part(B - kept, K - begun, k - begun);
	return 0;
}

int policy_domain_compare(const struct policy_domain *a, const struct policy_domain *b)
{
	if (a->n != b->n)
		return a->n > b->n ? -1 : 1;
	return strcmp(a->name, b->name);
}

/*
 * Who is first to get a unit that is left: larger fraction, then larger share,
 * then earlier domain. Shares never rise with the order of domains (n_d stands
 * in them with a factor >= 0), so that order alone settles equal fractions.
 */
static int share_compare(const void *left, const void *right)
{
	const struct share *a = left, *b = right;

	if (a->fraction != b->fraction)
		return a->fraction > b->fraction ? -1 : 1;
	return policy_domain_compare(a->domain, b->domain);
}

/* Adaptive goes from proportional (i = 0) to even (i = K); naive stands at i = K in every stage. */
static int terms_init(struct terms *t, const struct policy *policy, const struct policy_domain *domain, size_t l,
		      int64_t B_k, int64_t k)
{
	int64_t K = policy->stages, N = 0, i = policy->kind == POLICY_NAIVE ? K : k + policy->index_base;

	if (K < 1 || K > POLICY_COUNT_MAX || k < 0 || k >= K || policy->index_base < 0 || policy->index_base > 1)
		return -1;
	if (l < 1 || l > (size_t)POLICY_COUNT_MAX || B_k < 1 || B_k > POLICY_UNITS_MAX)
		return -1;
	for (size_t d = 0; d < l; d++) {
		if (domain[d].n < 1 || domain[d].n > POLICY_UNITS_MAX - N)
			return -1;
		N += domain[d].n;
	}
	*t = (struct terms){.N = (u128)N, .l = l, .K = (u128)K, .B = (u128)B_k, .i = (u128)i};
	return 0;
}

/* share_d = (n_d B_k (K - i) l + B_k i N) / (N K l), as floor and fraction. */
static struct share share_of(const struct policy_domain *domain, const struct terms *t)
{
	u128 numerator = (u128)domain->n * t->B * (t->K - t->i) * t->l + t->B * t->i * t->N;
	u128 denominator = t->N * t->K * t->l;

	return (struct share){domain, numerator % denominator, (int64_t)(numerator / denominator)};
}

int policy_allocate(int64_t *required, const struct policy *policy, const struct policy_domain *domain, size_t l,
		    int64_t B_k, int64_t k)
{
	struct terms t;
	struct share *share;
	int64_t left = B_k;

	if (terms_init(&t, policy, domain, l, B_k, k))
		return -1;
	share = calloc(l, sizeof *share);
	if (!share)
		return -1;
	for (size_t d = 0; d < l; d++) {
		share[d] = share_of(&domain[d], &t);
		left -= share[d].units;
	}
	qsort(share, l, sizeof *share, share_compare);
	/* the fractions sum to `left` and each is below 1: left < l */
	for (size_t s = 0; s < l; s++)
		required[share[s].domain - domain] = share[s].units + ((int64_t)s < left);
	free(share);
	return 0;
}

struct policy_row policy_split(int64_t required, int64_t available)
{
	bool tail = required > available;
	int64_t real = tail ? available : required;

	return (struct policy_row){required, real, required - real, tail};
}

int policy_stage(struct policy_row *row, int64_t *available, const struct policy *policy,
		 const struct policy_domain *domain, size_t l, int64_t B_k, int64_t k)
{
	int64_t *required = calloc(l ? l : 1, sizeof *required);

	if (!required)
		return -1;
	if (policy_allocate(required, policy, domain, l, B_k, k)) {
		free(required);
		return -1;
	}
	for (size_t d = 0; d < l; d++) {
		row[d] = policy_split(required[d], available[d]);
		available[d] -= row[d].real;
	}
	free(required);
	return 0;
}

int policy_stages(struct policy_row *row, const struct policy *policy, const int64_t *budget,
		  const struct policy_domain *domain, size_t l)
{
	int64_t *available = calloc(l ? l : 1, sizeof *available);
	int failed = !available || policy->stages < 1 ? -1 : 0;

	for (size_t d = 0; !failed && d < l; d++)
		available[d] = domain[d].n;
	for (int64_t k = 0; !failed && k < policy->stages; k++)
		failed = policy_stage(row + (size_t)k * l, available, policy, domain, l, budget[k], k);
	free(available);
	return failed;
}
