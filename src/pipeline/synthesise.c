// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/synthesise.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/grown.h"
#include "src/pipeline/bought.h"
#include "src/pipeline/draw.h"

/* ---- rationales ------------------------------------------------------------------------------------- */

static int keep_rationales(struct rationales *known, struct run *run, int64_t k, struct err *err)
{
	struct bought bought;
	if (bought_load(&bought, run, k, NULL, err))
		return -1;
	int rc = 0;
	for (size_t i = 0; !rc && i < bought.n; i++)
		if (bought.row[i].rationale) {
			const char *text = arena_strdup(&known->arena, bought.row[i].rationale, err);
			known->of[bought.row[i].pool] = text;
			rc = text ? 0 : -1;
		}
	bought_release(&bought);
	return rc;
}

int rationales_load(struct rationales *known, struct run *run, int64_t k, struct err *err)
{
	if (!known->of && !(known->of = mem_array(run->data.pool.n, sizeof *known->of, err)))
		return -1;
	for (; known->stages <= k; known->stages++)
		if (keep_rationales(known, run, known->stages, err))
			return -1;
	return 0;
}

void rationales_release(struct rationales *known)
{
	free(known->of);
	arena_release(&known->arena);
	*known = (struct rationales){0};
}

/* ---- demonstrations ----------------------------------------------------------------------------------- */

int demonstrations_draw(size_t *shown, const struct run *run, const struct rationales *known, int64_t k, size_t domain,
			int64_t ordinal, struct err *err)
{
	const struct examples *pool = &run->data.pool;
	size_t n;
	const size_t *row = data_domain(&run->data, domain, &n);
	size_t *list = mem_dup(row, n * sizeof *list, err);
	int taken = 0;
	/* The domain's own number keeps the draws of two domains with ids alike apart. */
	if (!list || draw_order(list, n, pool, run->plan->seed, DRAW_DEMONSTRATIONS, (uint32_t)((size_t)k * pool->l + domain),
				(uint32_t)ordinal, err)) {
		free(list);
		return -1;
	}
	for (int with = 1; with >= 0; with--)
		for (size_t i = 0; i < n && taken < BOUGHT_DEMONSTRATIONS; i++)
			if ((known->of[list[i]] != NULL) == with)
				shown[taken++] = list[i];
	free(list);
	return taken;
}

static char *demonstrations_text(const struct run *run, const struct rationales *known, const size_t *shown, int n,
				 struct err *err)
{
	struct prompt_demonstration list[BOUGHT_DEMONSTRATIONS] = {0};
	char *choices[BOUGHT_DEMONSTRATIONS] = {0};
	int rc = 0;
	for (int i = 0; !rc && i < n; i++) {
		const struct example *row = &run->data.pool.row[shown[i]];
		if (row->n_choices && !(choices[i] = prompt_choices(row->choices, row->n_choices, err)))
			rc = -1;
		list[i] = (struct prompt_demonstration){row->input, row->label, known->of[shown[i]], choices[i]};
	}
	char *text = rc ? NULL : prompt_demonstrations(list, (size_t)n, err);
	for (int i = 0; i < n; i++)
		free(choices[i]);
	return text;
}

/* ---- queries --------------------------------------------------------------------------------------------- */

const char *synthetic_id(struct arena *arena, int64_t k, const char *domain, int64_t ordinal, struct err *err)
{
	char *plain = grown_format(err, "synthetic/%lld/%s/%lld", (long long)k, domain, (long long)ordinal);
	const struct ifd_id id = {.text = plain};
	char *json = plain ? data_id(&id, err) : NULL;
	const char *kept = json ? arena_strdup(arena, json, err) : NULL;
	free(json);
	free(plain);
	return kept;
}

/* Synthesis queries that the domain had in earlier stages. */
static int64_t earlier(const struct run *run, int64_t k, size_t domain)
{
	int64_t n = 0;
	for (int64_t i = 0; i < k; i++)
		n += run->stage[i].allocation.domain[domain].synthetic;
	return n;
}

static int make_query(struct collect_query *q, struct run *run, const struct rationales *known, struct arena *arena,
		      int64_t k, size_t domain, int64_t ordinal, struct err *err)
{
	size_t shown[BOUGHT_DEMONSTRATIONS];
	const char *name = run->data.pool.domain[domain].name;
	const struct example of_domain = {.label = name}; /* for a classification the label is the domain */
	int n = demonstrations_draw(shown, run, known, k, domain, ordinal, err);
	char *text = n >= 0 ? demonstrations_text(run, known, shown, n, err) : NULL;
	char *prompt = text ? data_prompt(&run->data, PROMPT_SYNTHESISE, &of_domain, name, text, err) : NULL;
	char *body = prompt ? data_request(run->plan, prompt, run->plan->teacher.temperature_synthesise, &q->body_n, err)
			    : NULL;
	q->kind = "synthesise";
	q->domain = name;
	q->ordinal = (uint64_t)ordinal;
	q->position = (uint64_t)(earlier(run, k, domain) + ordinal);
	q->example_id = synthetic_id(arena, k, name, ordinal, err);
	q->body = body ? arena_strdup(arena, body, err) : NULL;
	free(body);
	free(prompt);
	free(text);
	return q->body && q->example_id ? 0 : -1;
}

static int make_queries(struct collect_query *queries, struct run *run, struct arena *arena, int64_t k, struct err *err)
{
	const struct allocation *a = &run->stage[k].allocation;
	struct rationales known = {0};
	size_t at = 0;
	int rc = rationales_load(&known, run, k, err);
	for (size_t d = 0; d < a->l; d++)
		for (int64_t i = 0; !rc && i < a->domain[d].synthetic; i++)
			rc = make_query(&queries[at++], run, &known, arena, k, d, i, err);
	rationales_release(&known);
	return rc;
}

int synthesise_step(struct run *run, int64_t k, struct err *err)
{
	const struct allocation *a = &run->stage[k].allocation;
	struct collect_counts counts;
	struct arena arena;
	size_t n = 0;
	for (size_t d = 0; d < a->l; d++)
		n += (size_t)a->domain[d].synthetic;
	struct collect_query *queries = mem_array(n, sizeof *queries, err);
	arena_init(&arena);
	int rc = !queries || (n && make_queries(queries, run, &arena, k, err)) ? -1 : 0;
	if (!rc)
		rc = collect_step(&run->collector, k, "synthesise", queries, n, &counts, err);
	arena_release(&arena);
	free(queries);
	return rc;
}
