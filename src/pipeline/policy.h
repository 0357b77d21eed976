// SPDX-License-Identifier: Apache-2.0
/*
 * policy.h - the allocation of a stage: what each domain is to get.
 *
 * The numbers r_d are reference/policy.h's for the naive and the adaptive
 * policy; methods without a policy fill them from what they draw (select.h).
 *
 *     struct allocation allocation;
 *     if (allocation_make(&allocation, &run, k, NULL, &err))   // available, required, real, synthetic
 *             return -1;
 *     allocation_save(&allocation, &run, directory, &err);  // allocation.json
 *     allocation_release(&allocation);
 *
 * Replacements (METHOD section 2): as many dropped rows of the stage before as
 * units were left over are asked for again, one more of the same domain each,
 * beside r_d.
 */
#ifndef BALDISTILL_PIPELINE_POLICY_H
#define BALDISTILL_PIPELINE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reference/policy.h"
#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct run;

struct allocation_domain {
	int64_t available;    /* a_d: unused in the pool when the stage began */
	int64_t required;     /* r_d */
	int64_t replacements; /* asked for beside r_d */
	int64_t real;         /* taken from the pool */
	int64_t synthetic;    /* asked of the teacher */
	int64_t repeated;     /* real ones shown again (duplicate-finetune-cot) */
	bool tail;            /* r_d > a_d */
};

struct allocation {
	int64_t stage, budget, cumulative;
	struct allocation_domain *domain; /* [l], in the order of the pool's domains */
	size_t l;
};

/* policy_allocate, its failures told: ERR_CONFIG outside its limits, ERR_MEMORY. */
int allocation_divide(int64_t *required, const struct policy *policy, const struct policy_domain *domain, size_t l,
		      int64_t budget, int64_t k, struct err *err);
/* available[l] of stage k, and the policy's split; replacement[l] or NULL. */
int allocation_make(struct allocation *allocation, const struct run *run, int64_t k, const int64_t *replacement,
		    struct err *err);
/* The same when the required numbers are known: required[l]. */
int allocation_fill(struct allocation *allocation, const struct run *run, int64_t k, const int64_t *required,
		    const int64_t *replacement, struct err *err);
void allocation_release(struct allocation *allocation);

/* allocation.json */
int allocation_save(const struct allocation *allocation, const struct run *run, const char *path, struct err *err);
int allocation_load(struct allocation *allocation, const struct run *run, int64_t k, const char *path,
		    struct err *err);

#ifdef __cplusplus
}
#endif
#endif
