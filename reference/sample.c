// SPDX-License-Identifier: Apache-2.0
/* One token per row: greedy, or drawn after temperature, top_k and top_p (Holtzman et al. 2020). */
#include <math.h>
#include <stdlib.h>

#include "reference/internal.h"
#include "reference/philox.h"

struct token {
	double z;     /* logit */
	double share; /* unnormalised probability at the rule's temperature */
	int32_t id;
};

/* A NaN counts as the least logit: it is never drawn, and orders with the others. */
static struct token token_of(double z, int32_t id)
{
	return (struct token){isnan(z) ? -(double)INFINITY : z, 0, id};
}

/* Logit descending, then id. */
static int by_logit(const void *a, const void *b)
{
	const struct token *x = a, *y = b;
	if (x->z != y->z)
		return x->z > y->z ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int by_id(const void *a, const void *b)
{
	const struct token *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* How many of the ordered tokens are kept: top_k, then the shortest start that reaches top_p of their share. */
static int64_t kept(const struct token *token, int64_t n, const struct sample_rule *rule)
{
	double total = 0, running = 0;
	n = rule->top_k > 0 && rule->top_k < n ? rule->top_k : n;
	for (int64_t i = 0; i < n; i++)
		total += token[i].share;
	for (int64_t i = 0; rule->top_p < 1 && i < n; i++) {
		running += token[i].share;
		if (running >= (double)rule->top_p * total)
			return i + 1;
	}
	return n;
}

/* The first id, by id, at which the running share of the kept ones exceeds u. */
static int32_t draw(struct token *token, int64_t n, double u)
{
	double total = 0, running = 0;
	qsort(token, (size_t)n, sizeof *token, by_id);
	for (int64_t i = 0; i < n; i++)
		total += token[i].share;
	for (int64_t i = 0; i < n; i++) {
		running += token[i].share;
		if (running > u * total)
			return token[i].id;
	}
	return token[n - 1].id;
}

static int32_t sample_row(struct token *token, int64_t n, const struct sample_rule *rule,
			  const struct sample_rng *rng, int64_t s)
{
	qsort(token, (size_t)n, sizeof *token, by_logit);
	if (rule->temperature <= 0)
		return token[0].id;
	double max = token[0].z;
	for (int64_t i = 0; i < n; i++)
		token[i].share = exp((token[i].z - max) / (double)rule->temperature);
	struct philox_key key = philox_stream(ref_u64(rng->seed, 0), PHILOX_SAMPLE, 0, 0, 0);
	double u = philox_uniform(philox_at(key, (uint32_t)ref_i32(rng->position, s), ref_u64(rng->row_id, s)));
	return draw(token, kept(token, n, rule), u);
}

static double log_sum(const struct token *token, int64_t n)
{
	double max = -INFINITY, sum = 0;
	for (int64_t i = 0; i < n; i++)
		max = token[i].z > max ? token[i].z : max;
	for (int64_t i = 0; i < n; i++)
		sum += exp(token[i].z - max);
	return max + log(sum);
}

static void ref_sample(struct device *dev, struct view id, struct view logp, struct view logits,
		       const struct sample_rule *rule, const struct sample_rng *rng)
{
	if (!check_sample(dev, id, logp, logits, rule, rng))
		return;
	size_t used = dev->scratch_used;
	struct token *token = device_scratch(dev, "sample", (size_t)logits.cols * sizeof *token);
	for (int64_t s = 0; token && s < logits.rows; s++) {
		for (int64_t v = 0; v < logits.cols; v++)
			token[v] = token_of(ref_get(logits, s, v), (int32_t)v);
		double lse = log_sum(token, logits.cols);
		int32_t chosen = sample_row(token, logits.cols, rule, rng, s);
		((int32_t *)view_row(id, 0))[s] = chosen;
		ref_put(logp, 0, s, ref_get(logits, s, chosen) - lse);
	}
	dev->scratch_used = used;
}

void ref_table_sample(struct kernels *table)
{
	table->sample = ref_sample;
}
