// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/bought.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/dataset/grown.h"
#include "src/dataset/synthetic.h"
#include "src/ledger/cassette.h"
#include "src/pipeline/draw.h"
#include "src/pipeline/synthesise.h"

/* What became of one query, by its place in the step. */
struct outcome {
	const char *content; /* NULL: no usable answer */
	size_t n;
	const char *cause;   /* why there is none */
};

/* Queries of a step in query order, filled while the attempts pass by. */
struct gather {
	struct bought *bought;
	int64_t stage;
	const char *step;
	struct outcome *outcome;
	const char **id; /* [n] example ids as JSON */
	size_t n, at;
};

/* ---- answers out of the ledger --------------------------------------------------------------------------- */

/* Attempts come in query order; of several for one query the last says what became of it. */
static int take_row(void *context, const struct ledger_row *row, struct err *err)
{
	struct gather *g = context;
	if (row->query.stage != g->stage || strcmp(row->query.step, g->step))
		return 0;
	while (g->at < g->n && strcmp(g->id[g->at], row->query.example_id))
		g->at++;
	if (g->at == g->n)
		return err_set(err, ERR_LEDGER, "stage %lld asked for example %s, which the plan does not select",
			       (long long)g->stage, row->query.example_id);
	struct outcome *o = &g->outcome[g->at];
	bool answered = !strcmp(row->state, "answered") && row->content;
	const char *cause = row->reason && *row->reason ? row->reason : row->state;
	o->cause = arena_strdup(&g->bought->arena, cause, err);
	o->content = answered ? arena_strndup(&g->bought->arena, row->content, row->content_n, err) : NULL;
	o->n = row->content_n;
	return !o->cause || (answered && !o->content) ? -1 : 0;
}

static int gather(struct gather *g, struct run *run, struct err *err)
{
	g->outcome = mem_array(g->n, sizeof *g->outcome, err);
	if (!g->outcome)
		return -1;
	for (size_t i = 0; i < g->n; i++)
		g->outcome[i].cause = "not asked";
	return ledger_attempts(run->ledger, take_row, g, err);
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

static struct bought_row *add_row(struct bought *b, struct err *err)
{
	if (mem_grow(&b->row, &b->room, b->n + 1, sizeof *b->row, err))
		return NULL;
	struct bought_row *row = &b->row[b->n++];
	*row = (struct bought_row){0};
	return row;
}

static int add_drop(struct bought *b, size_t domain, const char *cause, bool synthetic, struct err *err)
{
	if (mem_grow(&b->drop, &b->drop_room, b->drops + 1, sizeof *b->drop, err))
		return -1;
	b->drop[b->drops++] = (struct bought_drop){domain, cause, synthetic};
	return 0;
}

/* The rationale as the student learns it; the gold or requested answer closes one that states none. */
static const char *close_rationale(struct bought *b, const struct answer_task *task, const char *rationale,
				   const char *label, struct err *err)
{
	struct answer answer;
	answer_extract(&answer, task, rationale, strlen(rationale));
	struct span said = answer.found && task->type != ANSWER_QA ? answer.span : (struct span){label, strlen(label)};
	char *text = answer_close(rationale, strlen(rationale), said, err);
	const char *kept = text ? arena_strdup(&b->arena, text, err) : NULL;
	free(text);
	return kept;
}

static void fill_pool_row(struct bought_row *row, const struct run *run, size_t pool, const char *id)
{
	const struct example *example = &run->data.pool.row[pool];
	*row = (struct bought_row){.domain = example->domain, .pool = pool, .id = id, .key = example->id,
				  .input = example->input, .label = example->label, .choices = example->choices,
				  .n_choices = example->n_choices};
}

/* Does its answer differ from the gold one, and is that a reason to drop it? */
static int judge(bool *wrong, const struct run *run, const struct example *example, const char *text, struct err *err)
{
	const struct plan_method *m = &run->plan->method;
	struct answer_task task = data_task(&run->data, example);
	struct answer answer;
	double score = 1;
	*wrong = false;
	if (m->on_wrong_answer == WRONG_KEEP || (data_gold_shown(&run->data) && m->preset != PRESET_AUTHORS))
		return 0;
	answer_extract(&answer, &task, text, strlen(text));
	if (answer.found && answer_score(&score, &task, &answer, example->label, strlen(example->label), err))
		return -1;
	*wrong = score < 1 && task.type != ANSWER_QA;
	return 0;
}

static int add_annotated(struct bought *b, const struct run *run, size_t pool, const char *id, const struct outcome *o,
			 struct err *err)
{
	const struct example *example = &run->data.pool.row[pool];
	bool wrong = false;
	if (!o->content)
		return add_drop(b, example->domain, o->cause, false, err);
	if (judge(&wrong, run, example, o->content, err))
		return -1;
	if (wrong)
		return add_drop(b, example->domain, "wrong answer", false, err);
	struct answer_task task = data_task(&run->data, example);
	struct bought_row *row = add_row(b, err);
	if (!row)
		return -1;
	fill_pool_row(row, run, pool, id);
	row->rationale = o->content;
	row->completion = close_rationale(b, &task, o->content, example->label, err);
	return row->completion ? 0 : -1;
}

/* "The answer is LABEL." for methods that buy nothing. */
static int add_gold(struct bought *b, const struct run *run, size_t pool, const char *id, struct err *err)
{
	struct bought_row *row = add_row(b, err);
	if (!row)
		return -1;
	fill_pool_row(row, run, pool, id);
	char *text = answer_close("", 0, (struct span){row->label, strlen(row->label)}, err);
	row->completion = text ? arena_strdup(&b->arena, text, err) : NULL;
	free(text);
	return row->completion ? 0 : -1;
}

/* ---- real examples ------------------------------------------------------------------------------------------- */

static const char **pool_ids(struct bought *b, const struct run *run, const struct run_stage *stage, struct err *err)
{
	const char **id = mem_array(stage->n_real, sizeof *id, err);
	for (size_t i = 0; id && i < stage->n_real; i++) {
		char *text = data_id(&run->data.pool.row[stage->real[i]].id, err);
		id[i] = text ? arena_strdup(&b->arena, text, err) : NULL;
		free(text);
		if (!id[i]) {
			free(id);
			return NULL;
		}
	}
	return id;
}

static int load_annotated(struct bought *b, struct run *run, const struct run_stage *stage, struct err *err)
{
	struct gather g = {.bought = b, .stage = b->stage, .step = "annotate", .n = stage->n_real};
	g.id = pool_ids(b, run, stage, err);
	int rc = g.id ? 0 : -1;
	if (!rc && run->method->teacher)
		rc = gather(&g, run, err);
	for (size_t i = 0; !rc && i < g.n; i++)
		rc = run->method->teacher ? add_annotated(b, run, stage->real[i], g.id[i], &g.outcome[i], err)
					  : add_gold(b, run, stage->real[i], g.id[i], err);
	free(g.id);
	free(g.outcome);
	return rc;
}

/* Row `at` again, under a name of its own. */
static int add_repeat(struct bought *b, size_t at, int64_t times, struct err *err)
{
	char number[32];
	struct bought_row *row = add_row(b, err);
	if (!row)
		return -1;
	*row = b->row[at];
	row->repeated = true;
	snprintf(number, sizeof number, "%lld", (long long)row->key.number);
	char *name = grown_format(err, "repeat/%s/%lld", row->key.is_number ? number : row->key.text, (long long)times);
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

static int load_repeats(struct bought *b, const struct run *run, const struct run_stage *stage, struct err *err)
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
	return copies_new(texts, n, err);
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

static int keep_synthetic(struct bought *b, const struct run *run, const struct bought_row *draft,
			  const struct synthetic *s, struct err *err)
{
	struct bought_row *row = add_row(b, err);
	if (!row)
		return -1;
	*row = *draft;
	row->input = arena_strdup(&b->arena, s->input, err);
	row->label = row->input ? arena_strdup(&b->arena, s->label, err) : NULL;
	row->rationale = row->label ? arena_strdup(&b->arena, s->rationale, err) : NULL;
	if (!row->rationale || keep_choices(b, row, s, err))
		return -1;
	struct answer_task task = run->data.task;
	if (task.type == ANSWER_CHOICE)
		task = (struct answer_task){ANSWER_CHOICE, row->choices, row->n_choices};
	row->completion = close_rationale(b, &task, row->rationale, row->label, err);
	return row->completion ? 0 : -1;
}

static int add_synthetic(struct bought *b, const struct run *run, const struct bought_row *draft, const struct outcome *o,
			 struct err *err)
{
	struct synthetic s = {0};
	enum synthetic_cause cause;
	if (!o->content)
		return add_drop(b, draft->domain, o->cause, true, err);
	const char *domain = run->data.pool.domain[draft->domain].name;
	int rc = synthetic_parse(&s, &cause, &run->data.task, o->content, o->n, err) ||
				 verify(&cause, run, &s, domain, draft, err)
			 ? -1 : 0;
	if (!rc)
		rc = cause ? add_drop(b, draft->domain, synthetic_causes[cause], true, err)
			   : keep_synthetic(b, run, draft, &s, err);
	synthetic_release(&s);
	return rc;
}

/* One draft for each query, in query order: domain, ordinal. */
static int make_drafts(struct bought *b, struct run *run, const struct run_stage *stage, struct bought_row *draft,
		       struct err *err)
{
	struct rationales known;
	if (rationales_load(&known, run, b->stage, err))
		return -1;
	int rc = 0;
	size_t at = 0;
	for (size_t d = 0; d < stage->allocation.l; d++)
		for (int64_t i = 0; !rc && i < stage->allocation.domain[d].synthetic; i++) {
			struct bought_row *row = &draft[at++];
			*row = (struct bought_row){.synthetic = true, .domain = d, .pool = run->data.pool.n};
			row->id = synthetic_id(&b->arena, b->stage, run->data.pool.domain[d].name, i, err);
			int n = row->id ? demonstrations_draw(row->shown, run, &known, b->stage, d, i, err) : -1;
			rc = n < 0 ? -1 : 0;
			row->n_shown = rc ? 0 : (size_t)n;
			row->key.text = row->id;
		}
	rationales_release(&known);
	return rc;
}

static size_t count_synthetic(const struct run_stage *stage)
{
	int64_t n = 0;
	for (size_t d = 0; d < stage->allocation.l; d++)
		n += stage->allocation.domain[d].synthetic;
	return (size_t)n;
}

static int load_synthetic(struct bought *b, struct run *run, const struct run_stage *stage, struct err *err)
{
	struct gather g = {.bought = b, .stage = b->stage, .step = "synthesise", .n = count_synthetic(stage)};
	if (!g.n)
		return 0;
	struct bought_row *draft = mem_array(g.n, sizeof *draft, err);
	g.id = mem_array(g.n, sizeof *g.id, err);
	int rc = !draft || !g.id || make_drafts(b, run, stage, draft, err) ? -1 : 0;
	for (size_t i = 0; !rc && i < g.n; i++)
		g.id[i] = draft[i].id;
	if (!rc)
		rc = gather(&g, run, err);
	for (size_t i = 0; !rc && i < g.n; i++)
		rc = add_synthetic(b, run, &draft[i], &g.outcome[i], err);
	free(g.outcome);
	free(g.id);
	free(draft);
	return rc;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

int bought_load(struct bought *b, struct run *run, int64_t k, enum bought_part part, struct err *err)
{
	const struct run_stage *stage = &run->stage[k];
	*b = (struct bought){.stage = k};
	arena_init(&b->arena);
	if (!load_annotated(b, run, stage, err) &&
	    (part == BOUGHT_ANNOTATED || (!load_repeats(b, run, stage, err) && !load_synthetic(b, run, stage, err))))
		return 0;
	bought_release(b);
	return -1;
}

void bought_release(struct bought *b)
{
	free(b->row);
	free(b->drop);
	arena_release(&b->arena);
	*b = (struct bought){0};
}

char *bought_prompt(const struct run *run, const struct bought_row *row, struct err *err)
{
	const struct example example = {.input = row->input, .label = row->label, .choices = row->choices,
					.n_choices = row->n_choices};
	return data_prompt(&run->data, PROMPT_STUDENT, &example, run->data.pool.domain[row->domain].name, NULL, err);
}
