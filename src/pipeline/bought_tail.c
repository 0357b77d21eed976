// SPDX-License-Identifier: Apache-2.0
/* What a tail domain gets beside its real examples: these once more, or new ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/grown.h"
#include "src/dataset/synthetic.h"
#include "src/pipeline/bought_parts.h"
#include "src/pipeline/draw.h"
#include "src/pipeline/synthesise.h"

/* ---- real examples once more -------------------------------------------------------------------------------- */

/* Row `at` again, under a name of its own. */
static int add_repeat(struct bought *b, size_t at, int64_t times, struct err *err)
{
	struct bought_row *row = bought_add_row(b, err);
	if (!row)
		return -1;
	*row = b->row[at];
	row->repeated = true;
	char *name = grown_format(err, "repeat/%s/%lld", row->id, (long long)times);
	const struct ifd_id id = {.text = name ? arena_strdup(&b->arena, name, err) : NULL};
	char *json = id.text ? data_id(&id, err) : NULL;
	row->id = json ? arena_strdup(&b->arena, json, err) : NULL;
	row->key = id;
	free(json);
	free(name);
	return row->id ? 0 : -1;
}

/* Kept rows of a domain once more, round and round in a drawn order, until it has what is required. */
static int repeat_domain(struct bought *b, const struct run *run, size_t domain, int64_t more, size_t real_rows,
			 struct err *err)
{
	size_t *list = mem_array(real_rows, sizeof *list, err), n = 0;
	for (size_t i = 0; list && i < real_rows; i++)
		if (b->row[i].domain == domain)
			list[n++] = b->row[i].pool;
	int rc = !list || draw_order(list, n, &run->data.pool, run->plan->seed, DRAW_REPEATS, (uint32_t)b->stage, 0, err)
			 ? -1 : 0;
	for (int64_t i = 0; !rc && n && i < more; i++) {
		size_t at = 0;
		while (b->row[at].pool != list[(size_t)i % n])
			at++;
		rc = add_repeat(b, at, i, err);
	}
	free(list);
	return rc;
}

int bought_repeats(struct bought *b, const struct run *run, const struct run_stage *stage, struct err *err)
{
	size_t real_rows = b->n;
	for (size_t d = 0; d < stage->allocation.l; d++)
		if (stage->allocation.domain[d].repeated &&
		    repeat_domain(b, run, d, stage->allocation.domain[d].repeated, real_rows, err))
			return -1;
	return 0;
}

/* ---- synthetic examples ---------------------------------------------------------------------------------------- */

static struct copies *shown_copies(const struct run *run, const size_t *shown, size_t n, struct err *err)
{
	const char *texts[BOUGHT_DEMONSTRATIONS];
	for (size_t i = 0; i < n; i++)
		texts[i] = run->data.pool.row[shown[i]].input;
	return copies_new(texts, n, run->data.usual, err);
}

static int verify(enum synthetic_cause *cause, const struct run *run, const struct synthetic *s, const char *domain,
		  const struct bought_row *row, struct err *err)
{
	if (*cause || run->plan->method.verify_synthetic != VERIFY_FULL)
		return 0;
	struct copies *shown = shown_copies(run, row->shown, row->n_shown, err);
	int rc = shown ? synthetic_verify(cause, s, &run->data.task, domain, shown, run->data.test_copies, err) : -1;
	copies_free(shown);
	return rc;
}

static int keep_choices(struct bought *b, struct bought_row *row, const struct synthetic *s, struct err *err)
{
	const char **list = arena_array(&b->arena, s->n_choices, sizeof *list, err);
	for (size_t i = 0; list && i < s->n_choices; i++)
		if (!(list[i] = arena_strdup(&b->arena, s->choices[i], err)))
			return -1;
	row->choices = list;
	row->n_choices = s->n_choices;
	return list ? 0 : -1;
}

static int keep_synthetic(struct bought *b, const struct bought_row *draft, const struct synthetic *s, struct err *err)
{
	struct bought_row *row = bought_add_row(b, err);
	if (!row)
		return -1;
	*row = *draft;
	row->input = arena_strdup(&b->arena, s->input, err);
	row->label = row->input ? arena_strdup(&b->arena, s->label, err) : NULL;
	row->rationale = row->label ? arena_strdup(&b->arena, s->rationale, err) : NULL;
	if (!row->rationale || keep_choices(b, row, s, err))
		return -1;
	row->completion = bought_close(b, row->rationale, (struct span){row->label, strlen(row->label)}, err);
	return row->completion ? 0 : -1;
}

static int add_synthetic(struct bought *b, const struct run *run, const struct bought_row *draft, const struct bought_outcome *o,
			 struct err *err)
{
	struct synthetic s = {0};
	enum synthetic_cause cause;
	if (!o->content)
		return bought_add_drop(b, draft->domain, o->cause, true, err);
	const char *domain = run->data.pool.domain[draft->domain].name;
	int rc = synthetic_parse(&s, &cause, &run->data.task, o->content, o->n, err) ||
				 verify(&cause, run, &s, domain, draft, err)
			 ? -1 : 0;
	if (!rc)
		rc = cause ? bought_add_drop(b, draft->domain, synthetic_causes[cause], true, err)
			   : keep_synthetic(b, draft, &s, err);
	synthetic_release(&s);
	return rc;
}

/* One draft for each query, in query order: domain, ordinal. */
static int make_drafts(struct bought *b, struct run *run, const struct run_stage *stage, struct rationales *known,
		       struct bought_row *draft, struct err *err)
{
	int rc = rationales_load(known, run, b->stage, err);
	size_t at = 0;
	for (size_t d = 0; d < stage->allocation.l; d++)
		for (int64_t i = 0; !rc && i < stage->allocation.domain[d].synthetic; i++) {
			struct bought_row *row = &draft[at++];
			*row = (struct bought_row){.synthetic = true, .domain = d, .pool = run->data.pool.n};
			row->id = synthetic_id(&b->arena, b->stage, run->data.pool.domain[d].name, i, err);
			int n = row->id ? demonstrations_draw(row->shown, run, known, b->stage, d, i, err) : -1;
			rc = n < 0 ? -1 : 0;
			row->n_shown = rc ? 0 : (size_t)n;
			row->key.text = row->id;
		}
	return rc;
}

static size_t count_synthetic(const struct run_stage *stage)
{
	int64_t n = 0;
	for (size_t d = 0; d < stage->allocation.l; d++)
		n += stage->allocation.domain[d].synthetic;
	return (size_t)n;
}

int bought_synthetic(struct bought *b, struct run *run, const struct run_stage *stage, struct rationales *known,
		     struct err *err)
{
	struct bought_gather g = {.bought = b, .step = "synthesise", .n = count_synthetic(stage)};
	if (!g.n)
		return 0;
	struct bought_row *draft = mem_array(g.n, sizeof *draft, err);
	g.id = mem_array(g.n, sizeof *g.id, err);
	int rc = !draft || !g.id || make_drafts(b, run, stage, known, draft, err) ? -1 : 0;
	for (size_t i = 0; !rc && i < g.n; i++)
		g.id[i] = draft[i].id;
	if (!rc)
		rc = bought_gather(&g, run, err);
	for (size_t i = 0; !rc && i < g.n; i++)
		rc = add_synthetic(b, run, &draft[i], &g.outcome[i], err);
	bought_gather_release(&g);
	free(draft);
	return rc;
}
