// SPDX-License-Identifier: Apache-2.0
/* eval: scores of free-text predictions, or of a model, against gold answers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/cmd/cmd.h"
#include "src/cmd/eval_model.h"
#include "src/cmd/print.h"
#include "src/cmd/progress.h"
#include "src/dataset/rows.h"
#include "src/pipeline/evaluate.h"
#include "src/pipeline/scoring.h"

enum { MOST_REPLICATES = 1000000 };

struct settings {
	const char *predictions, *gold, *train, *type, *heads, *output;
	struct example_fields fields;
	bool keep_duplicates;
	uint64_t above, bootstrap, seed;
	struct eval_model model; /* directory NULL: predictions are given */
};

struct evaluation {
	enum answer_type type;
	struct rows predictions;
	struct examples gold, train; /* train: nothing in it where none is given */
	const char **text;           /* [gold.n] */
	struct completions said;     /* by the model */
	struct scoring scoring;
};

/* ---- predictions by id ------------------------------------------------------------------- */

struct place {
	const struct ifd_id *id;
	size_t i;
};

static int by_id(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	return ifd_id_compare(x->id, y->id);
}

/* "7" or "'seven'", safe to show */
static const char *show_id(char shown[128], const struct ifd_id *id)
{
	char text[96];
	if (id->is_number)
		snprintf(shown, 128, "%lld", (long long)id->number);
	else
		snprintf(shown, 128, "'%s'", text_escape_line(text, sizeof text, id->text, strlen(id->text)));
	return shown;
}

static int match(struct evaluation *e, const struct place *gold, const struct place *said, struct err *err)
{
	char shown[128];
	size_t n = e->gold.n, m = e->predictions.n;
	for (size_t g = 0, p = 0; g < n || p < m; g++, p++) {
		int order = g == n ? 1 : p == m ? -1 : ifd_id_compare(gold[g].id, said[p].id);
		if (order < 0)
			return err_set(err, ERR_DATA,
				       "%s: no row has the id %s, which '%s' asks for; predict every row once",
				       e->predictions.path, show_id(shown, gold[g].id), e->gold.path);
		const struct row *row = &e->predictions.row[said[p].i];
		if (order > 0)
			return err_set(err, ERR_DATA,
				       "%s:%zu: the id %s is not in '%s'; predict the rows of that file alone",
				       e->predictions.path, row->line, show_id(shown, said[p].id), e->gold.path);
		size_t length; /* a NUL ends the text */
		if (json_get_string(json_in(json_root(row->doc), "prediction"), &e->text[gold[g].i], &length, err))
			return row_refuse(&e->predictions, said[p].i, err);
	}
	return 0;
}

static int match_predictions(struct evaluation *e, struct err *err)
{
	struct place *gold = mem_array(e->gold.n, sizeof *gold, err);
	struct place *said = mem_array(e->predictions.n, sizeof *said, err);
	e->text = mem_array(e->gold.n, sizeof *e->text, err);
	int rc = gold && said && e->text ? 0 : -1;
	for (size_t i = 0; !rc && i < e->gold.n; i++)
		gold[i] = (struct place){&e->gold.row[i].id, i};
	for (size_t i = 0; !rc && i < e->predictions.n; i++)
		said[i] = (struct place){&e->predictions.row[i].id, i};
	if (!rc) {
		qsort(gold, e->gold.n, sizeof *gold, by_id);
		qsort(said, e->predictions.n, sizeof *said, by_id);
		rc = match(e, gold, said, err);
	}
	free(gold);
	free(said);
	return rc;
}

/* ---- classes and heads ------------------------------------------------------------------------ */

/* Domains and heads are those of the training file, or of the gold rows without one. */
static int score(struct evaluation *e, const struct settings *s, struct err *err)
{
	struct examples *known = e->train.l ? &e->train : &e->gold;
	const char **names = mem_array(known->l, sizeof *names, err);
	bool *head = mem_array(known->l, sizeof *head, err);
	examples_head_above(known, s->above);
	int rc = !names || !head || (s->heads && examples_head_listed(known, s->heads, err)) ? -1 : 0;
	for (size_t d = 0; !rc && d < known->l; d++) {
		names[d] = known->domain[d].name;
		head[d] = known->domain[d].head;
	}
	const struct answer_task task = {e->type, e->type == ANSWER_CLASS ? names : NULL,
					 e->type == ANSWER_CLASS ? known->l : 0};
	const struct scoring_options options = {
		&task, names, s->heads || s->train ? head : NULL, known->l, (int64_t)s->bootstrap, s->seed};
	rc = rc || scoring_compute(&e->scoring, &e->gold, e->text, &options, err) ? -1 : 0;
	free(names);
	free(head);
	return rc;
}

/* ---- the table --------------------------------------------------------------------------------- */

static void print_figure(const struct scoring *s, enum scoring_figure figure)
{
	static const char *const names[SCORING_FIGURES] = {"macro", "micro", "head macro", "tail macro"};
	printf("%-24s", names[figure]);
	print_score(s->figure[figure]);
	if (s->has_intervals && !isnan(s->interval[figure].low))
		printf("   [%.2f, %.2f]", 100 * s->interval[figure].low, 100 * s->interval[figure].high);
	putchar('\n');
}

static void print_table(const struct scoring *s)
{
	printf("%zu examples, %zu without an answer; scores in per cent\n\n", s->n, s->invalid);
	printf("%-24s %8s   %s\n", "", "score", s->has_intervals ? "95 % interval" : "");
	for (int f = 0; f < SCORING_FIGURES; f++)
		print_figure(s, (enum scoring_figure)f);
	printf("\n%-24s %8s %8s\n", "domain", "score", "examples");
	for (size_t d = 0; d < s->l; d++) {
		const struct scoring_domain *domain = &s->domain[d];
		print_name(domain->name, strlen(domain->name));
		print_score(domain->score);
		printf(" %8zu%s\n", domain->n, domain->head ? "  head" : "");
	}
}

/* ---- the command -------------------------------------------------------------------------------- */

static int print_result(const struct scoring *s, bool json, struct err *err)
{
	struct json_writer w;
	if (!json) {
		print_table(s);
		return 0;
	}
	json_writer_init(&w, 0);
	scoring_put(&w, s);
	return print_document(&w, err);
}

/* Told before the work. */
static int check_output(const struct settings *s, struct err *err)
{
	if (!s->output)
		return 0;
	return file_expect_apart(s->output, s->gold, err) || (s->train && file_expect_apart(s->output, s->train, err)) ||
			       file_check_output(s->output, err)
		       ? -1 : 0;
}

static int ask_model(struct evaluation *e, const struct settings *s, struct err *err)
{
	const struct examples *known = e->train.l ? &e->train : &e->gold;
	if (eval_model_answer(&e->said, &s->model, &e->gold, known, e->type, err))
		return -1;
	e->text = mem_array(e->gold.n, sizeof *e->text, err);
	for (size_t i = 0; e->text && i < e->gold.n; i++)
		e->text[i] = e->said.row[i].text;
	return e->text && (!s->output || !predictions_save(&e->gold, &e->said, s->output, err)) ? 0 : -1;
}

/* As a run does: the order of the domains, and which are the head, follow from their rows. */
static int drop_duplicates(struct examples *train, struct err *err)
{
	size_t dropped;
	return examples_drop_duplicates(train, &dropped, err);
}

static int load(struct evaluation *e, const struct settings *s, struct err *err)
{
	if (examples_load(&e->gold, s->gold, e->type, &s->fields, err) ||
	    (s->predictions && rows_load(&e->predictions, s->predictions, err)))
		return -1;
	if (s->train && examples_load(&e->train, s->train, e->type, &s->fields, err))
		return -1;
	return s->train && !s->keep_duplicates ? drop_duplicates(&e->train, err) : 0;
}

static int evaluate(const struct settings *s, bool json, struct err *err)
{
	struct evaluation e = {0};
	if (answer_type_parse(&e.type, s->type, err))
		return -1;
	examples_init(&e.gold);
	examples_init(&e.train);
	int rc = check_output(s, err) || load(&e, s, err) || (s->model.directory ? ask_model(&e, s, err) : match_predictions(&e, err)) ||
				 score(&e, s, err)
			 ? -1 : 0;
	if (!rc)
		rc = print_result(&e.scoring, json, err);
	scoring_release(&e.scoring);
	free(e.text);
	completions_release(&e.said);
	rows_release(&e.predictions);
	examples_release(&e.train);
	examples_release(&e.gold);
	return rc;
}

static int check(const struct settings *s, bool above_given, struct err *err)
{
	if (!s->predictions == !s->model.directory || !s->gold || !s->type)
		return err_set(err, ERR_USAGE,
			       "'eval' needs --type and --predictions with --gold, or --model with --data; see 'baldistill eval --help'");
	if (s->output && !s->model.directory)
		return err_set(err, ERR_USAGE, "'--output' is for the answers of a --model");
	if (s->model.max_new_tokens < 1 || s->model.max_new_tokens > 1 << 20 || s->model.slots > 1 << 20 || s->model.threads > 4096)
		return err_set(err, ERR_CONFIG, "'--max-new-tokens' takes 1 to 1048576, '--slots' at most 1048576, '--threads' at most 4096");
	if (above_given && !s->train)
		return err_set(err, ERR_USAGE, "'--head-above' counts training rows; give them with --train");
	if (above_given && s->heads)
		return err_set(err, ERR_USAGE, "'--head-above' and '--head-domains' exclude one another");
	if (s->bootstrap > MOST_REPLICATES)
		return err_set(err, ERR_CONFIG, "'--bootstrap' takes at most %d replicates", MOST_REPLICATES);
	return 0;
}

static int run(struct arguments *args, struct err *err)
{
	struct settings s = {.above = UINT64_MAX, .bootstrap = 1000, .seed = 1,
			     .model = {.backend = "auto", .dtype = "float32", .max_new_tokens = 200}};
	const struct option_row rows[] = {
		{"predictions", OPTION_TEXT, &s.predictions, "FILE", "rows of id and prediction, a free text"},
		{"gold", OPTION_TEXT, &s.gold, "FILE", "the examples with their labels and domains"},
		{"model", OPTION_TEXT, &s.model.directory, "DIR", "let this model answer instead: Hugging Face directory"},
		{"adapter", OPTION_TEXT, &s.model.adapter, "DIR", "run with this PEFT adapter"},
		{"data", OPTION_TEXT, &s.gold, "FILE", "as --gold: what the model is to answer"},
		{"output", OPTION_TEXT, &s.output, "FILE", "the model's answers: rows of id and prediction"},
		{"prompts", OPTION_TEXT, &s.model.prompts, "DIR", "prompt templates (built in)"},
		{"chat-template", OPTION_TEXT, &s.model.chat, "NAME", "auto, none, chatml, llama2, llama3, mistral or zephyr (none)"},
		{"max-new-tokens", OPTION_NUMBER, &s.model.max_new_tokens, "N", "tokens of an answer at most (200)"},
		{"slots", OPTION_NUMBER, &s.model.slots, "N", "rows decoded together (64; on a GPU 256)"},
		{"batch-invariant", OPTION_FLAG, &s.model.batch_invariant, NULL, "rows do not depend on their neighbours, exactly"},
		{"backend", OPTION_TEXT, &s.model.backend, "NAME", "backend (auto)"},
		{"dtype", OPTION_TEXT, &s.model.dtype, "TYPE", "base weights as float32 or bfloat16 (float32)"},
		{"memory", OPTION_SIZE, &s.model.memory, "SIZE", "bound of weights and arrays, such as 8GiB (none)"},
		{"threads", OPTION_NUMBER, &s.model.threads, "N", "threads (all of the machine's)"},
		{"type", OPTION_TEXT, &s.type, "TYPE", "classification, multiple_choice, math or qa"},
		{"train", OPTION_TEXT, &s.train, "FILE", "training examples: the domains, and which are the head"},
		{"keep-duplicates", OPTION_FLAG, &s.keep_duplicates, NULL, "count equal training rows as often as they are there"},
		{"head-domains", OPTION_TEXT, &s.heads, "NAME,...", "the head by name"},
		{"head-above", OPTION_NUMBER, &s.above, "N", "domains of more training rows are the head (50)"},
		FIELD_OPTIONS(&s.fields, ""),
		{"bootstrap", OPTION_NUMBER, &s.bootstrap, "N", "replicates for the intervals; 0: none (1000)"},
		{"seed", OPTION_NUMBER, &s.seed, "N", "what the replicates draw (1)"},
		{0},
	};
	int go = options_parse(&cmd_eval, rows, args, err);
	if (go <= 0)
		return go;
	bool above_given = s.above != UINT64_MAX;
	if (options_expect(&cmd_eval, args, 0, 0, err) || check(&s, above_given, err))
		return -1;
	struct progress_output progress = progress_of(args->quiet);
	const struct voice voice = {.say = print_note, .context = args, .progress = &progress};
	s.model.voice = &voice;
	s.above = above_given ? s.above : 50;
	return evaluate(&s, args->json, err);
}

const struct command cmd_eval = {"eval", "score predictions, or a model, against gold answers", NULL, run, NEEDS_JSON};
