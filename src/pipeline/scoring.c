// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/scoring.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/pipeline/scoring_parts.h"

static void detail_free(struct scoring_detail *d)
{
	if (!d)
		return;
	answer_index_free(d->index);
	free(d->domain);
	free(d->predicted);
	free(d->score);
	free(d->head);
	free(d->by_domain);
	free(d->examples);
	free(d->count);
	free(d->gold);
	free(d);
}

static struct scoring_detail *detail_new(const struct scoring_options *options, size_t n, struct err *err)
{
	struct scoring_detail *d = mem_array(1, sizeof *d, err);
	if (!d)
		return NULL;
	*d = (struct scoring_detail){.by_class = options->task->type == ANSWER_CLASS, .n = n, .l = options->l};
	if ((!d->by_class || (d->index = answer_index_new(options->task, err))) &&
	    (d->domain = mem_array(n, sizeof *d->domain, err)) &&
	    (d->predicted = mem_array(n, sizeof *d->predicted, err)) &&
	    (d->score = mem_array(n, sizeof *d->score, err)) &&
	    (d->by_domain = mem_array(d->l, sizeof *d->by_domain, err)) &&
	    (d->examples = mem_array(d->l, sizeof *d->examples, err)) &&
	    (d->count = mem_array(d->l, sizeof *d->count, err)) && (d->gold = mem_array(d->l, sizeof *d->gold, err)) &&
	    (!options->head || (d->head = mem_dup(options->head, d->l * sizeof *d->head, err))))
		return d;
	detail_free(d);
	return NULL;
}

/* ---- examples -------------------------------------------------------------------------- */

static size_t find(const char *const *names, size_t l, const char *name)
{
	size_t d = 0;
	while (d < l && strcmp(names[d], name))
		d++;
	return d;
}

/* to[d]: where each of the gold file's domains, or of the task's classes, stands in the options. */
static int place_domains(int32_t *to, const char *name, size_t i, const struct scoring_options *options,
			 struct err *err)
{
	char shown[256];
	size_t d = find(options->domains, options->l, name);
	to[i] = (int32_t)d;
	if (d < options->l)
		return 0;
	return err_set(err, ERR_DATA,
		       "the gold examples have the domain '%s', which is none of the %zu known; name it in the "
		       "training file",
		       text_escape(shown, sizeof shown, name, strlen(name)), options->l);
}

/* place[0 … l): of the gold file's domains; behind them those of the task's classes. */
static int32_t *places(const struct examples *gold, const struct scoring_options *options, struct err *err)
{
	size_t classes = options->task->type == ANSWER_CLASS ? options->task->n : 0;
	int32_t *place = mem_array(gold->l + classes, sizeof *place, err);
	int rc = place ? 0 : -1;
	for (size_t i = 0; !rc && i < gold->l; i++)
		rc = place_domains(place, gold->domain[i].name, i, options, err);
	for (size_t c = 0; !rc && c < classes; c++)
		rc = place_domains(place, options->task->names[c], gold->l + c, options, err);
	if (!rc)
		return place;
	free(place);
	return NULL;
}

static int judge(struct scoring *s, size_t i, const struct examples *gold, const char *text, const int32_t *place,
		 const struct answer_task *task, struct err *err)
{
	const struct example *row = &gold->row[i];
	struct scoring_detail *d = s->detail;
	struct answer_task own = *task;
	struct answer answer = {0};
	if (task->type == ANSWER_CHOICE)
		own = (struct answer_task){ANSWER_CHOICE, row->choices, row->n_choices};
	if (text)
		answer_extract_by(&answer, &own, d->index, text, strlen(text));
	s->invalid += !answer.found;
	d->domain[i] = place[row->domain];
	d->gold[d->domain[i]]++;
	d->predicted[i] = d->by_class && answer.found ? place[gold->l + answer.index] : -1;
	return d->by_class ? 0 : answer_score(&d->score[i], &own, &answer, row->label, strlen(row->label), err);
}

/* ---- scores ------------------------------------------------------------------------------------- */

static int fill(struct scoring *s, const struct scoring_options *options, struct err *err)
{
	struct scoring_detail *d = s->detail;
	if (!(s->domain = mem_array(s->l, sizeof *s->domain, err)))
		return -1;
	scoring_sample(d, NULL, s->n);
	for (size_t i = 0; i < s->l; i++)
		s->domain[i] = (struct scoring_domain){options->domains[i], d->gold[i], d->by_domain[i],
						       options->head && options->head[i]};
	for (int f = 0; f < SCORING_FIGURES; f++)
		s->figure[f] = scoring_figure(d, (enum scoring_figure)f, NULL, s->n);
	return scoring_intervals(s, options, err);
}

int scoring_compute(struct scoring *s, const struct examples *gold, const char *const *prediction,
		    const struct scoring_options *options, struct err *err)
{
	*s = (struct scoring){.n = gold->n, .l = options->l};
	int32_t *place = places(gold, options, err);
	s->detail = place ? detail_new(options, gold->n, err) : NULL;
	int rc = s->detail ? 0 : -1;
	for (size_t i = 0; !rc && i < gold->n; i++)
		rc = judge(s, i, gold, prediction[i], place, options->task, err);
	rc = rc || fill(s, options, err) ? -1 : 0;
	free(place);
	if (rc)
		scoring_release(s);
	return rc;
}

void scoring_release(struct scoring *s)
{
	detail_free(s->detail);
	free(s->domain);
	*s = (struct scoring){0};
}
