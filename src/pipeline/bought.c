// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/bought_parts.h"

#include <stdlib.h>
#include <string.h>

#include "src/ledger/cassette.h"

/* ---- answers out of the ledger --------------------------------------------------------------------------- */

/* Attempts come in query order; of several for one query the last says what became of it. */
static int take_row(void *context, const struct ledger_row *row, struct err *err)
{
	struct bought_gather *g = context;
	while (g->at < g->n && strcmp(g->id[g->at], row->query.example_id))
		g->at++;
	if (g->at == g->n)
		return err_set(err, ERR_LEDGER, "stage %lld asked for example %s, which the plan does not select",
			       (long long)g->bought->stage, row->query.example_id);
	struct bought_outcome *o = &g->outcome[g->at];
	bool answered = !strcmp(row->state, "answered") && row->content;
	const char *cause = row->reason && *row->reason ? row->reason : row->state;
	o->cause = arena_strdup(&g->bought->arena, cause, err);
	o->content = answered ? arena_strndup(&g->bought->arena, row->content, row->content_n, err) : NULL;
	o->n = row->content_n;
	return !o->cause || (answered && !o->content) ? -1 : 0;
}

int bought_gather(struct bought_gather *g, struct run *run, struct err *err)
{
	g->outcome = mem_array(g->n, sizeof *g->outcome, err);
	if (!g->outcome)
		return -1;
	for (size_t i = 0; i < g->n; i++)
		g->outcome[i].cause = "not asked";
	return ledger_step_attempts(run->ledger, g->bought->stage, g->step, take_row, g, err);
}

void bought_gather_release(struct bought_gather *g)
{
	free(g->id);
	free(g->outcome);
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

struct bought_row *bought_add_row(struct bought *b, struct err *err)
{
	if (mem_grow(&b->row, &b->room, b->n + 1, sizeof *b->row, err))
		return NULL;
	struct bought_row *row = &b->row[b->n++];
	*row = (struct bought_row){0};
	return row;
}

int bought_add_drop(struct bought *b, size_t domain, const char *cause, bool synthetic, struct err *err)
{
	if (mem_grow(&b->drop, &b->drop_room, b->drops + 1, sizeof *b->drop, err))
		return -1;
	b->drop[b->drops++] = (struct bought_drop){domain, cause, synthetic};
	return 0;
}

/* The label where the teacher knew it, or says nothing else: the last number of a proof is often its check's. */
static struct span said_in(const struct run *run, const struct example *example, const char *rationale)
{
	struct answer answer;
	struct span label = {example->label, strlen(example->label)};
	if (run->data.task.type == ANSWER_QA || data_gold_shown(&run->data))
		return label;
	data_answer(&answer, &run->data, example, rationale);
	return answer.found ? answer.span : label;
}

const char *bought_close(struct bought *b, const char *rationale, struct span said, struct err *err)
{
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
	struct span said;
	double score = 1;
	*wrong = false;
	if (m->on_wrong_answer == WRONG_KEEP || (data_gold_shown(&run->data) && m->preset != PRESET_AUTHORS))
		return 0;
	data_answer(&answer, &run->data, example, text);
	if (!answer.found && answer_closing(&said, text, strlen(text)))
		score = 0;
	if (answer.found && answer_score(&score, &task, &answer, example->label, strlen(example->label), err))
		return -1;
	*wrong = score < 1 && task.type != ANSWER_QA;
	return 0;
}

static int add_annotated(struct bought *b, const struct run *run, size_t pool, const char *id, const struct bought_outcome *o,
			 struct err *err)
{
	const struct example *example = &run->data.pool.row[pool];
	bool wrong = false;
	if (!o->content)
		return bought_add_drop(b, example->domain, o->cause, false, err);
	if (judge(&wrong, run, example, o->content, err))
		return -1;
	if (wrong)
		return bought_add_drop(b, example->domain, "wrong answer", false, err);
	struct bought_row *row = bought_add_row(b, err);
	if (!row)
		return -1;
	fill_pool_row(row, run, pool, id);
	row->rationale = o->content;
	row->completion = bought_close(b, o->content, said_in(run, example, o->content), err);
	return row->completion ? 0 : -1;
}

/* "The answer is LABEL." for methods that buy nothing. */
static int add_gold(struct bought *b, const struct run *run, size_t pool, const char *id, struct err *err)
{
	struct bought_row *row = bought_add_row(b, err);
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
	struct bought_gather g = {.bought = b, .step = "annotate", .n = stage->n_real};
	g.id = pool_ids(b, run, stage, err);
	int rc = g.id ? 0 : -1;
	if (!rc && run->method->teacher)
		rc = bought_gather(&g, run, err);
	for (size_t i = 0; !rc && i < g.n; i++)
		rc = run->method->teacher ? add_annotated(b, run, stage->real[i], g.id[i], &g.outcome[i], err)
					  : add_gold(b, run, stage->real[i], g.id[i], err);
	bought_gather_release(&g);
	return rc;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

int bought_load(struct bought *b, struct run *run, int64_t k, struct rationales *known, struct err *err)
{
	const struct run_stage *stage = &run->stage[k];
	*b = (struct bought){.stage = k};
	arena_init(&b->arena);
	if (!load_annotated(b, run, stage, err) &&
	    (!known || (!bought_repeats(b, run, stage, err) && !bought_synthetic(b, run, stage, known, err))))
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
