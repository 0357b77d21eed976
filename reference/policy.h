// SPDX-License-Identifier: Apache-2.0
/*
 * policy.h - how many examples each domain gets in each stage, exactly.
 *
 * Source: Zhou et al. 2024, "Multi-Stage Balanced Distillation", sections 3.2,
 * 3.3 and algorithm 1. Integers only: every share is a fraction over one
 * denominator common to all domains of a stage, so nothing is ever rounded.
 *
 *     struct policy policy = {POLICY_ADAPTIVE, .index_base = 0, .stages = K};
 *     policy_budgets(budget, K, B);                       // B_0 ... B_(K-1)
 *     policy_stages(row, &policy, budget, domain, l);     // row[k * l + d]
 *
 * or stage by stage with policy_stage, where `available` is what the pool
 * really still holds. The results follow the order of `domain`, whatever it
 * is; they do not depend on it.
 *
 * Limits (what proves that 128 bits are enough stands in policy.c):
 * N = sum of n_d and B at most 2^40, l and K at most 2^20; every n_d at least
 * 1, because a domain without a real example can be neither shown nor asked
 * for; names distinct. Outside the limits, and where memory is short (errno is
 * ENOMEM then), the functions return -1 and leave their outputs as they were.
 */
#ifndef BALDISTILL_REFERENCE_POLICY_H
#define BALDISTILL_REFERENCE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POLICY_UNITS_MAX ((int64_t)1 << 40) /* of N and of B */
#define POLICY_COUNT_MAX ((int64_t)1 << 20) /* of l and of K */

enum policy_kind {
	POLICY_NAIVE,    /* B_k / l for each domain */
	POLICY_ADAPTIVE, /* from proportional to even, stage by stage */
};

struct policy {
	enum policy_kind kind;
	int index_base; /* the paper's i is k + index_base; 0 or 1 */
	int64_t stages; /* K */
};

struct policy_domain {
	const char *name; /* not owned */
	int64_t n;        /* n_d: examples in the pool before the first stage */
};

/* One domain in one stage. required = real + synthetic. */
struct policy_row {
	int64_t required;  /* r_d */
	int64_t real;      /* taken from the pool: min(r_d, a_d) */
	int64_t synthetic; /* r_d - real: asked of the teacher */
	bool tail;         /* r_d > a_d */
};

/* Part k of `total` in `parts` parts as even as whole numbers allow, larger parts first. 0 <= k < parts. */
int64_t policy_part(int64_t total, int64_t parts, int64_t k);

/* budget[K] = B_0 ... B_(K-1). -1 where K < 1 or B < K. */
int policy_budgets(int64_t *budget, int64_t K, int64_t B);

/*
 * A budget grown to B after `begun` stages have begun: these keep their
 * budget[k]; what is left of B is split over the others as above. -1 where B
 * is less than the sum of budget[K], or more and every stage has begun.
 */
int policy_grow(int64_t *budget, int64_t K, int64_t begun, int64_t B);

/* The order of domains: n_d descending, then name in byte order. Negative where a comes first. */
int policy_domain_compare(const struct policy_domain *a, const struct policy_domain *b);

/*
 * required[l] = the whole numbers r_d of stage k, 0 <= k < K, with budget B_k:
 *     naive     share_d = B_k / l
 *     adaptive  share_d = (n_d / N * B_k) * (K - i) / K + (B_k / l) * i / K,  i = k + index_base
 * by largest remainder: the floors, then one unit each to the largest
 * fractional parts until their sum is B_k; equal fractions to the larger
 * share, then to the earlier domain.
 */
int policy_allocate(int64_t *required, const struct policy *policy, const struct policy_domain *domain, size_t l,
		    int64_t B_k, int64_t k);

/* Head or tail: a tail domain gives all `available` examples and has the rest synthesised. Both counts >= 0. */
struct policy_row policy_split(int64_t required, int64_t available);

/* Stage k: row[l] from available[l], the examples still unused, which is lowered by what the stage takes. */
int policy_stage(struct policy_row *row, int64_t *available, const struct policy *policy,
		 const struct policy_domain *domain, size_t l, int64_t B_k, int64_t k);

/* Every stage in turn, from a whole pool: row[K * l], stage k in rows k * l ...; on -1 row is unspecified. */
int policy_stages(struct policy_row *row, const struct policy *policy, const int64_t *budget,
		  const struct policy_domain *domain, size_t l);

#ifdef __cplusplus
}
#endif
#endif
