// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonfile.h"
#include "src/base/tree.h"
#include "src/dataset/rows.h"

/* ---- what it may cost --------------------------------------------------------------------------------------------- */

/* The most sends that all runs together can make in one start; *paid: whether anybody is paid for them. */
static int worst_case(int64_t *sends, bool *paid, const struct compare_options *o, struct err *err)
{
	*sends = 0;
	*paid = false;
	for (size_t m = 0; m < o->methods; m++) {
		struct plan plan;
		if (plan_load_variant(&plan, o->path, o->method[m], o->seed[0], err))
			return -1;
		int kind = (int)plan.teacher.kind;
		if (plan.method.method->teacher) {
			*sends += (int64_t)o->seeds * ledger_wire_cap(plan.budget);
			*paid |= kind == TEACHER_OPENAI || kind == TEACHER_COMMAND;
		}
		plan_release(&plan);
	}
	return 0;
}

static int check_bound(const struct compare_options *o, struct err *err)
{
	int64_t sends;
	bool paid;
	if (worst_case(&sends, &paid, o, err))
		return -1;
	voice_say(o->run.voice, "%zu methods, %zu seeds: at most %lld requests to the teacher", o->methods, o->seeds,
		  (long long)sends);
	if (paid && !o->max_queries)
		return err_set(err, ERR_CONFIG, "the teacher is paid: bound what is sent with --max-queries (at worst %lld)",
			       (long long)sends);
	if (paid && o->max_queries < sends)
		return err_set(err, ERR_CONFIG, "--max-queries %lld is less than the %lld that may be sent at worst, with what a teacher refuses unpaid and is asked again; raise it, or take fewer methods or seeds, or a smaller budget",
			       (long long)o->max_queries, (long long)sends);
	return 0;
}

/* ---- one run ------------------------------------------------------------------------------------------------------ */

static int read_prediction(const struct rows *rows, size_t i, const struct ifd_id *id, const char **text, struct err *err)
{
	if (ifd_id_compare(&rows->row[i].id, id)) {
		err_set(err, ERR_DATA, "not the id of the test set's row %zu", i + 1);
		return row_refuse(rows, i, err);
	}
	size_t n; /* a NUL ends the text */
	return json_get_string(json_in(json_root(rows->row[i].doc), "prediction"), text, &n, err) ? row_refuse(rows, i, err) : 0;
}

static int score_rows(struct comparison *c, struct comparison_cell *cell, const struct rows *rows, const struct plan *plan,
		      struct err *err)
{
	const struct scoring_options options = {.task = &c->data.task, .domains = c->data.names, .head = c->data.head,
						.l = c->data.l, .bootstrap = plan->evaluation.bootstrap, .seed = plan->seed};
	const char **text = mem_array(c->data.test.n, sizeof *text, err);
	int rc = text ? 0 : -1;
	if (!rc && rows->n != c->data.test.n)
		rc = err_set(err, ERR_DATA, "%s: %zu rows for %zu test examples", rows->path, rows->n, c->data.test.n);
	for (size_t i = 0; !rc && i < rows->n; i++)
		rc = read_prediction(rows, i, &c->data.test.row[i].id, &text[i], err);
	if (!rc)
		rc = scoring_compute(&cell->scoring, &c->data.test, text, &options, err);
	free(text);
	return rc;
}

static int score(struct comparison *c, struct comparison_cell *cell, const struct plan *plan, struct err *err)
{
	struct rows rows = {0};
	char *path = tree_join(plan->output_dir, "predictions.jsonl", err);
	int rc = !path || rows_load(&rows, path, err) || score_rows(c, cell, &rows, plan, err) ? -1 : 0;
	rows_release(&rows);
	free(path);
	return rc;
}

static int run_cell(struct comparison_cell *cell, const struct plan *plan, const struct run_options *options, struct err *err)
{
	struct ledger_counts counts;
	struct run run;
	int rc = run_open(&run, plan, options, err) || run_stages(&run, err) || run_finish(&run, err) ||
				 ledger_counts(run.ledger, &counts, err)
			 ? -1 : 0;
	run_close(&run);
	if (!rc)
		*cell = (struct comparison_cell){.used = counts.used, .answered = counts.answered, .sends = counts.wire, .cost = counts.cost};
	return rc;
}

/* Parents of the run directory: OUTPUT_DIR and OUTPUT_DIR/METHOD. */
static int make_parents(const char *directory, struct err *err)
{
	char *path = mem_strdup(directory, err);
	int rc = path ? 0 : -1;
	for (int up = 2; !rc && up > 0; up--) {
		strcpy(path, directory);
		for (int i = 0; i < up; i++)
			*strrchr(path, '/') = '\0';
		rc = tree_make(path, 0700, err);
	}
	free(path);
	return rc;
}

/* The cassette of a run that is done serves those after it, where somebody is paid. */
static int add_cassette(struct comparison *c, const struct plan *plan, struct err *err)
{
	int64_t kind = plan->teacher.kind;
	if (!plan->method.method->teacher || (kind != TEACHER_OPENAI && kind != TEACHER_COMMAND))
		return 0;
	char *path = tree_join(plan->output_dir, "cassette.jsonl", err);
	const char *kept = path ? arena_strdup(&c->data.arena, path, err) : NULL;
	free(path);
	if (!kept)
		return -1;
	c->cassette[c->cassettes++] = kept;
	return 0;
}

/* Once for all runs that need it. */
static int read_key(struct comparison *c, const struct plan *plan, bool erase, struct err *err)
{
	return c->key.text || !plan->method.method->teacher ? 0 : source_read_key(&c->key, &plan->teacher, erase, err);
}

static int do_cell(struct comparison *c, struct comparison_cell *cell, const struct compare_options *o, const char *method,
		   uint64_t seed, struct err *err)
{
	struct run_options options = o->run;
	struct plan plan;
	if (plan_load_variant(&plan, o->path, method, seed, err))
		return -1;
	options.cassette = c->cassette;
	options.cassettes = c->cassettes;
	options.key = &c->key;
	voice_say(o->run.voice, "%s, seed %llu", method, (unsigned long long)seed);
	int rc = make_parents(plan.output_dir, err) || read_key(c, &plan, o->run.erase_key, err) ||
				 run_cell(cell, &plan, &options, err) || score(c, cell, &plan, err) || add_cassette(c, &plan, err)
			 ? -1 : 0;
	plan_release(&plan);
	return rc ? err_prefix(err, "%s, seed %llu", method, (unsigned long long)seed) : 0;
}

/* ---- figures ----------------------------------------------------------------------------------------------------------- */

static int average(struct comparison_row *row, size_t seeds, int64_t bootstrap, uint64_t seed, struct err *err)
{
	const struct scoring **a = mem_array(seeds, sizeof *a, err);
	for (size_t s = 0; a && s < seeds; s++)
		a[s] = &row->cell[s].scoring;
	for (int f = 0; a && f < SCORING_FIGURES; f++)
		row->mean[f] = scoring_mean_figure(a, seeds, (enum scoring_figure)f);
	int rc = a ? scoring_mean(row->spread, a, seeds, bootstrap, seed, err) : -1;
	free(a);
	return rc;
}

static int subtract(struct comparison *c, struct comparison_row *row, int64_t bootstrap, uint64_t seed, struct err *err)
{
	const struct scoring **a = mem_array(c->seeds, sizeof *a, err), **b = mem_array(c->seeds, sizeof *b, err);
	for (size_t s = 0; a && b && s < c->seeds; s++) {
		a[s] = &row->cell[s].scoring;
		b[s] = &c->baseline->cell[s].scoring;
	}
	int rc = a && b ? scoring_difference(row->interval, a, b, c->seeds, bootstrap, seed, err) : -1;
	for (int f = 0; f < SCORING_FIGURES; f++)
		row->difference[f] = row->mean[f] - c->baseline->mean[f];
	free(a);
	free(b);
	return rc;
}

static int compute(struct comparison *c, const struct plan *plan, struct err *err)
{
	int64_t bootstrap = plan->evaluation.bootstrap;
	for (size_t m = 0; m < c->rows; m++) {
		if (average(&c->row[m], c->seeds, bootstrap, c->seed[0], err))
			return -1;
		if (!strcmp(c->row[m].method, COMPARE_BASELINE))
			c->baseline = &c->row[m];
	}
	for (size_t m = 0; c->baseline && m < c->rows; m++)
		if (&c->row[m] != c->baseline && subtract(c, &c->row[m], bootstrap, c->seed[0], err))
			return -1;
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

static int save(const struct comparison *c, const struct plan *plan, const struct run_options *options, struct err *err)
{
	char *path = tree_join(plan->output_dir, "compare.json", err);
	struct json_writer w;
	if (!path)
		return -1;
	json_writer_init(&w, 0);
	comparison_put(&w, c);
	int rc = json_save(&w, path, 0666, err);
	free(path);
	if (!rc)
		rc = comparison_save_page(c, plan->output_dir, options->version, err);
	if (!rc)
		voice_say(options->voice, "done; see %s/compare.html", plan->output_dir);
	return rc;
}

static int do_rows(struct comparison *c, const struct compare_options *o, struct err *err)
{
	for (size_t m = 0; m < c->rows; m++) {
		c->row[m].method = o->method[m];
		c->row[m].cell = mem_array(c->seeds, sizeof *c->row[m].cell, err);
		if (!c->row[m].cell)
			return -1;
		for (size_t s = 0; s < c->seeds; s++)
			if (do_cell(c, &c->row[m].cell[s], o, o->method[m], o->seed[s], err))
				return -1;
	}
	return 0;
}

static int compare(struct comparison *c, const struct compare_options *o, const struct plan *plan, struct err *err)
{
	static const char *const presets[] = {"recommended", "paper", "authors"};
	*c = (struct comparison){.rows = o->methods, .seeds = o->seeds, .seed = o->seed,
				 .preset = presets[plan->method.preset], .budget = plan->budget};
	c->row = mem_array(c->rows, sizeof *c->row, err);
	c->cassette = c->row ? mem_array(c->rows * c->seeds, sizeof *c->cassette, err) : NULL;
	if (!c->cassette || data_load(&c->data, plan, err))
		return -1;
	if (plan->evaluation.stages == EVALUATE_NONE)
		return err_set(err, ERR_CONFIG, "%s: a comparison needs evaluation.stages last or all", plan->path);
	if (!c->data.test.n)
		return err_set(err, ERR_CONFIG, "%s: a comparison needs task.%s", plan->path,
			       plan->evaluation.on == EVALUATE_VALID ? "valid" : "test");
	return do_rows(c, o, err) || compute(c, plan, err) || save(c, plan, &o->run, err) ? -1 : 0;
}

int compare_run(struct comparison *c, const struct compare_options *o, struct err *err)
{
	struct plan plan;
	if (check_bound(o, err) || plan_load(&plan, o->path, err))
		return -1;
	int rc = compare(c, o, &plan, err);
	plan_release(&plan);
	if (rc)
		comparison_release(c);
	return rc;
}

void comparison_release(struct comparison *c)
{
	for (size_t m = 0; c->row && m < c->rows; m++) {
		for (size_t s = 0; c->row[m].cell && s < c->seeds; s++)
			scoring_release(&c->row[m].cell[s].scoring);
		free(c->row[m].cell);
	}
	free(c->row);
	free(c->cassette);
	teacher_key_release(&c->key);
	data_release(&c->data);
	*c = (struct comparison){0};
}
