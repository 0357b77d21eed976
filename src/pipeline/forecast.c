// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/forecast.h"

#include <stdlib.h>

#include "src/pipeline/evaluate.h"
#include "src/pipeline/select.h"

/* A run without directory, ledger and teacher, whose stages take any rows in place of those that would be chosen. */
static int open_run(struct run *run, struct forecast *f, const struct plan *plan, struct err *err)
{
	*run = (struct run){.plan = plan, .method = plan->method.method, .data = f->data};
	run->stages = f->stages = run->method->staged ? plan->stages : 1;
	run->budget = mem_array((size_t)run->stages, sizeof *run->budget, err);
	run->used = run->budget ? mem_array(f->data.pool.n, sizeof *run->used, err) : NULL;
	f->stage = run->used ? mem_array((size_t)run->stages, sizeof *f->stage, err) : NULL;
	if (!f->stage)
		return -1;
	return policy_budgets(run->budget, run->stages, plan->budget)
		       ? err_set(err, ERR_CONFIG, "budget: %lld is less than one unit for each stage", (long long)plan->budget) : 0;
}

static void close_run(struct run *run)
{
	free(run->budget);
	free(run->used);
}

/* Draws from the whole pool, in proportion to what each domain still has. */
static int expected(struct allocation *a, const struct run *run, int64_t k, struct err *err)
{
	const struct examples *pool = &run->data.pool;
	struct policy_domain *domain = mem_array(pool->l, sizeof *domain, err);
	int64_t *required = domain ? mem_array(pool->l, sizeof *required, err) : NULL, *some = NULL, left = 0;
	const struct policy policy = {POLICY_ADAPTIVE, 0, 1};
	size_t n = 0;
	some = required ? mem_array(pool->l, sizeof *some, err) : NULL;
	for (size_t i = 0; some && i < pool->n; i++)
		if (!run->used[i])
			left += ++required[pool->row[i].domain] > 0;
	for (size_t d = 0; some && d < pool->l; d++)
		if (required[d])
			domain[n++] = (struct policy_domain){pool->domain[d].name, required[d]};
	int64_t budget = run->method->draw == DRAW_NONE ? 0 : run->budget[k] < left ? run->budget[k] : left;
	int rc = some ? 0 : -1;
	if (!rc && n && budget)
		rc = allocation_divide(some, &policy, domain, n, budget, 0, err);
	for (size_t d = 0, at = 0; !rc && d < pool->l; d++)
		required[d] = required[d] ? some[at++] : 0;
	if (!rc)
		rc = allocation_fill(a, run, k, required, NULL, err);
	free(some);
	free(required);
	free(domain);
	return rc;
}

/* Any `real` unused rows of each domain. */
static int take(struct run *run, const struct allocation *a, struct err *err)
{
	int64_t *left = mem_array(a->l, sizeof *left, err);
	if (!left)
		return -1;
	for (size_t d = 0; d < a->l; d++)
		left[d] = a->domain[d].real;
	for (size_t i = 0; i < run->data.pool.n; i++)
		if (!run->used[i] && left[run->data.pool.row[i].domain] > 0) {
			left[run->data.pool.row[i].domain]--;
			run->used[i] = true;
		}
	free(left);
	return 0;
}

static void count(struct forecast *f, const struct run *run, int64_t k, int64_t *rows)
{
	const struct allocation *a = &f->stage[k];
	bool scores = select_by_difficulty(run, k), whole = run->method->draw == DRAW_HARDEST;
	for (size_t d = 0; d < a->l; d++) {
		const struct allocation_domain *domain = whole ? NULL : &a->domain[d];
		f->annotate += run->method->teacher ? a->domain[d].real : 0;
		f->synthesise += a->domain[d].synthetic;
		f->candidates += scores ? (int64_t)select_candidates(run, k, domain, (size_t)a->domain[d].available) : 0;
		*rows += a->domain[d].real + a->domain[d].synthetic + a->domain[d].repeated;
	}
	f->trained += *rows;
	f->evaluated += evaluate_wanted(run, k) ? (int64_t)f->data.test.n : 0;
}

static int walk(struct forecast *f, struct run *run, struct err *err)
{
	int64_t rows = 0;
	bool policy = run->method->draw == DRAW_NAIVE || run->method->draw == DRAW_ADAPTIVE;
	for (int64_t k = 0; k < run->stages; k++) {
		if (policy ? allocation_make(&f->stage[k], run, k, NULL, err) : expected(&f->stage[k], run, k, err))
			return -1;
		if (take(run, &f->stage[k], err))
			return -1;
		count(f, run, k, &rows);
	}
	return 0;
}

int forecast_make(struct forecast *f, const struct plan *plan, const struct voice *voice, struct err *err)
{
	struct run run = {0};
	*f = (struct forecast){.cost = -1};
	int rc = data_load(&f->data, plan, err);
	if (rc)
		return -1;
	rc = open_run(&run, f, plan, err) || walk(f, &run, err) || forecast_probe(f, plan, voice, err) ? -1 : 0;
	close_run(&run);
	if (rc)
		forecast_release(f);
	return rc;
}

void forecast_release(struct forecast *f)
{
	for (int64_t k = 0; f->stage && k < f->stages; k++)
		allocation_release(&f->stage[k]);
	free(f->stage);
	data_release(&f->data);
	*f = (struct forecast){0};
}
