// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/select_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/pipeline/bought.h"
#include "src/pipeline/draw.h"

/* ---- rows of a domain ------------------------------------------------------------------------------------ */

/* Unused rows of a domain (all domains: l) into list; scored_only: those with a score. */
static size_t unused_rows(const struct selection *s, size_t domain, bool scored_only, size_t *list)
{
	const struct data *data = &s->run->data;
	size_t all = data->pool.n, n = 0;
	const size_t *row = domain == data->pool.l ? NULL : data_domain(data, domain, &all);
	for (size_t i = 0; i < all; i++) {
		size_t at = row ? row[i] : i;
		if (!s->run->used[at] && (!scored_only || s->scored[at]))
			list[n++] = at;
	}
	return n;
}

/* The hardest `most` of the rows in list come first; how many there are, with the filter fewer. */
static size_t hardest(const struct selection *s, size_t *list, size_t n, size_t most, struct err *err)
{
	struct ifd_row *row = mem_array(n, sizeof *row, err);
	const struct ifd_row **order = row ? mem_array(n, sizeof *order, err) : NULL;
	size_t *sorted = order ? mem_array(n, sizeof *sorted, err) : NULL, taken = SIZE_MAX;
	for (size_t i = 0; sorted && i < n; i++)
		row[i] = (struct ifd_row){s->run->data.pool.row[list[i]].id, s->score[list[i]].ifd};
	if (sorted) {
		taken = ifd_rank(order, row, n, most, s->run->plan->method.ifd_filter == IFD_BELOW_ONE);
		for (size_t i = 0; i < n; i++)
			sorted[i] = list[order[i] - row];
		memcpy(list, sorted, n * sizeof *list);
	}
	free(sorted);
	free(order);
	free(row);
	return taken;
}

static void mark(bool *flag, const size_t *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		flag[list[i]] = true;
}

/* ---- candidates -------------------------------------------------------------------------------------------- */

bool select_by_difficulty(const struct run *run, int64_t k)
{
	const struct method *m = run->method;
	return m->ifd && (k || m->first_ifd || run->plan->method.first_stage == FIRST_IFD);
}

size_t select_candidates(const struct run *run, int64_t k, const struct allocation_domain *domain, size_t available)
{
	size_t least = (size_t)(domain ? domain->real : run->budget[k]);
	size_t most = (size_t)run->plan->selection.candidates_per_domain;
	if (domain && (!least || least == available))
		return 0;
	most = most && most < least ? least : most;
	return most && most < available ? most : available;
}

static int add_candidates(struct selection *s, size_t domain, struct err *err)
{
	const struct run *run = s->run;
	size_t *list = s->candidate + s->candidates, n = unused_rows(s, domain, false, list);
	const struct allocation_domain *a = s->allocation.domain ? &s->allocation.domain[domain] : NULL;
	size_t scored = select_candidates(run, s->k, a, n);
	if (scored && scored < n &&
	    draw_order(list, n, &run->data.pool, run->plan->seed, DRAW_CANDIDATES, (uint32_t)s->k, (uint32_t)domain, err))
		return -1;
	s->candidates += scored;
	return 0;
}

/* Score the candidates of the domains that have a choice to make. */
static int score_candidates(struct selection *s, const char *work, struct err *err)
{
	size_t pool_n = s->run->data.pool.n;
	s->candidate = mem_array(pool_n, sizeof *s->candidate, err);
	if (!s->candidate)
		return -1;
	for (size_t d = 0; d < s->run->data.pool.l; d++)
		if (add_candidates(s, d, err))
			return -1;
	draw_query_order(s->candidate, s->candidates, &s->run->data.pool);
	struct ifd_score *score = mem_array(s->candidates, sizeof *score, err);
	int rc = score ? 0 : -1;
	if (!rc && s->candidates)
		rc = difficulty_score(score, s->run, s->k, s->candidate, s->candidates, work, err);
	size_t scored = 0;
	for (size_t i = 0; !rc && i < s->candidates; i++) {
		s->score[s->candidate[i]] = score[i];
		s->scored[s->candidate[i]] = true;
		scored += score[i].has_value;
	}
	if (!rc && s->candidates && !scored)
		voice_say(s->run->options->voice, "the student gave no answer that has a difficulty to any of %zu candidates: they "
			  "are taken in the order of their ids", s->candidates);
	free(score);
	return rc;
}

/* ---- required numbers of methods without a policy ---------------------------------------------------------- */

/* How many of each domain stand among the first `taken` of list. */
static int fill_from(struct selection *s, const size_t *list, size_t taken, struct err *err)
{
	int64_t *required = mem_array(s->run->data.pool.l, sizeof *required, err);
	for (size_t i = 0; required && i < taken; i++)
		required[s->run->data.pool.row[list[i]].domain]++;
	int rc = required ? allocation_fill(&s->allocation, s->run, s->k, required, s->replacement, err) : -1;
	free(required);
	return rc;
}

static int draw_uniform(struct selection *s, struct err *err)
{
	const struct examples *pool = &s->run->data.pool;
	size_t *list = mem_array(pool->n, sizeof *list, err), most = (size_t)s->run->budget[s->k];
	size_t n = list ? unused_rows(s, pool->l, false, list) : 0;
	int rc = !list || draw_order(list, n, pool, s->run->plan->seed, DRAW_HEAD, (uint32_t)s->k, 0, err) ? -1 : 0;
	most = n < most ? n : most;
	if (!rc)
		rc = fill_from(s, list, most, err);
	if (!rc)
		mark(s->chosen, list, most);
	free(list);
	return rc;
}

static int draw_hardest(struct selection *s, const char *work, struct err *err)
{
	const struct examples *pool = &s->run->data.pool;
	if (score_candidates(s, work, err))
		return -1;
	size_t *list = mem_array(pool->n, sizeof *list, err);
	size_t n = list ? unused_rows(s, pool->l, true, list) : 0;
	size_t taken = list ? hardest(s, list, n, (size_t)s->run->budget[s->k], err) : SIZE_MAX;
	int rc = taken == SIZE_MAX ? -1 : fill_from(s, list, taken, err);
	free(list);
	return rc;
}

/* ---- the choice ---------------------------------------------------------------------------------------------- */

/* `real` of the domain: the hardest where it was scored, else drawn. */
static int choose_domain(struct selection *s, size_t d, size_t *list, struct err *err)
{
	struct allocation_domain *a = &s->allocation.domain[d];
	size_t n = unused_rows(s, d, true, list), taken = n < (size_t)a->real ? n : (size_t)a->real;
	if (n) {
		taken = hardest(s, list, n, (size_t)a->real, err);
	} else {
		n = unused_rows(s, d, false, list);
		taken = n < (size_t)a->real ? n : (size_t)a->real;
		if (draw_order(list, n, &s->run->data.pool, s->run->plan->seed, DRAW_HEAD, (uint32_t)s->k, (uint32_t)d, err))
			taken = SIZE_MAX;
	}
	if (taken == SIZE_MAX)
		return -1;
	mark(s->chosen, list, taken);
	a->real = (int64_t)taken;
	return 0;
}

static int choose(struct selection *s, struct err *err)
{
	size_t *list = mem_array(s->run->data.pool.n, sizeof *list, err);
	int rc = list ? 0 : -1;
	for (size_t d = 0; !rc && d < s->allocation.l; d++)
		if (s->allocation.domain[d].real)
			rc = choose_domain(s, d, list, err);
	free(list);
	return rc;
}

static int select_rows(struct selection *s, const char *work, struct err *err)
{
	switch (s->run->method->draw) {
	case DRAW_NONE:
		return fill_from(s, NULL, 0, err);
	case DRAW_UNIFORM:
		return draw_uniform(s, err);
	case DRAW_HARDEST:
		return draw_hardest(s, work, err) || choose(s, err) ? -1 : 0;
	default:
		if (allocation_make(&s->allocation, s->run, s->k, s->replacement, err) ||
		    (select_by_difficulty(s->run, s->k) && score_candidates(s, work, err)))
			return -1;
		return choose(s, err);
	}
}

/* ---- replacements ---------------------------------------------------------------------------------------------- */

/* One more for each row the stage before has dropped, in query order, as far as units were left over. */
static int count_replacements(struct selection *s, struct err *err)
{
	struct run *run = s->run;
	struct ledger_counts counts;
	struct rationales known = {0};
	struct bought before;
	s->replacement = mem_array(run->data.pool.l, sizeof *s->replacement, err);
	if (!s->replacement)
		return -1;
	if (!s->k || !run->method->teacher || !run->plan->method.replace_unusable)
		return 0;
	int rc = ledger_counts(run->ledger, &counts, err) || bought_load(&before, run, s->k - 1, &known, err) ? -1 : 0;
	rationales_release(&known);
	if (rc)
		return -1;
	int64_t left = run_cumulative(run, s->k - 1) - counts.used;
	for (size_t i = 0; i < before.drops && (int64_t)i < left; i++)
		s->replacement[before.drop[i].domain]++;
	bought_release(&before);
	return 0;
}

/* ---- the step --------------------------------------------------------------------------------------------------------- */

int select_step(struct run *run, int64_t k, const char *work, struct err *err)
{
	struct selection s = {.run = run, .k = k};
	size_t n = run->data.pool.n;
	s.score = mem_array(n, sizeof *s.score, err);
	s.scored = s.score ? mem_array(n, sizeof *s.scored, err) : NULL;
	s.chosen = s.scored ? mem_array(n, sizeof *s.chosen, err) : NULL;
	int rc = !s.chosen || count_replacements(&s, err) || select_rows(&s, work, err) || selection_save(&s, work, err) ? -1 : 0;
	allocation_release(&s.allocation);
	free(s.replacement);
	free(s.candidate);
	free(s.score);
	free(s.scored);
	free(s.chosen);
	return rc;
}
