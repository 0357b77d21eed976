// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reference/policy.h"
#include "src/base/file.h"
#include "src/base/grown.h"
#include "src/base/tree.h"
#include "src/ledger/step.h"
#include "src/pipeline/rehearsal.h"
#include "src/pipeline/run_ledger.h"
#include "src/pipeline/stage.h"
#include "src/pipeline/status.h"

enum { MAX_PLAN = 4 << 20 };

/* ---- names ------------------------------------------------------------------------------------------------------ */

char *run_path(const struct run *run, int64_t stage, const char *name, struct err *err)
{
	return grown_format(err, "%s/stage-%lld%s%s", run->directory, (long long)stage, *name ? "/" : "", name);
}

int64_t run_cumulative(const struct run *run, int64_t k)
{
	int64_t sum = 0;
	for (int64_t i = 0; i <= k; i++)
		sum += run->budget[i];
	return sum;
}

/* ---- directory and plan -------------------------------------------------------------------------------------------- */

/* A directory that is there must be a run's, or empty. A run's has a lock before it has anything else. */
static int check_directory(const struct run *run, struct err *err)
{
	struct arena arena;
	const char **names;
	size_t n;
	enum tree_kind kind;
	char *lock = tree_join(run->directory, "run.lock", err);
	int rc = lock ? tree_look(lock, &kind, err) : -1;
	free(lock);
	if (rc || kind != TREE_NOTHING)
		return rc;
	arena_init(&arena);
	rc = tree_list(&names, &n, run->directory, &arena, err);
	if (!rc && n)
		rc = err_set(err, ERR_CANTCREATE, "'%s' holds something else than a run ('%s'); choose another output_dir",
			     run->directory, names[0]);
	arena_release(&arena);
	return rc;
}

/* The plan must be the one the run was begun with. */
static int check_plan(const struct run *run, const char *path, bool *same, struct err *err)
{
	size_t n;
	struct plan_changes changes = {0};
	*same = false;
	enum tree_kind kind;
	if (tree_look(path, &kind, err))
		return -1;
	if (kind == TREE_NOTHING)
		return 0;
	char *before = file_read(path, MAX_PLAN, &n, err);
	int rc = before ? plan_compare(run->plan, before, &changes, err) : -1;
	*same = !rc && !strcmp(before, run->plan->resolved);
	free(before);
	if (changes.moved)
		voice_say(run->options->voice, "%s names another place than before; what lies there must be the same", changes.moved);
	if (changes.backend)
		voice_say(run->options->voice, "another backend than before: from here on results may differ in their last digits");
	return rc;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------------- */

static int open_directory(struct run *run, struct err *err)
{
	bool same;
	if (tree_make(run->directory, 0700, err))
		return -1;
	char *path = tree_join(run->directory, "plan.yaml", err);
	int rc = !path || check_directory(run, err) || check_plan(run, path, &same, err) || run_open_ledger(run, err) ||
				 tree_remove_asides(run->directory, true, err)
			 ? -1 : 0;
	if (!rc && !same)
		rc = file_save(path, run->plan->resolved, strlen(run->plan->resolved), 0600, err);
	free(path);
	return rc || run_log(run, "start", err) ? -1 : ledger_verify_files(run->ledger, err);
}

static void say_data(const struct run *run)
{
	const struct data *d = &run->data;
	voice_say(run->options->voice, "%s: %zu examples in %zu domains (%zu duplicates and %zu without a recorded answer left out)",
		  run->plan->task.train, d->pool.n, d->pool.l, d->duplicates, d->unrecorded);
	if (!d->test.n)
		voice_say(run->options->voice, "no test file: the run reports no scores");
	if (run->method->draw != DRAW_NONE && run->method->tail == TAIL_NOTHING && run->plan->budget > (int64_t)d->pool.n)
		voice_say(run->options->voice, "the budget of %lld is more than the pool's %zu examples; the rest stays unused",
			  (long long)run->plan->budget, d->pool.n);
}

static int check_until(const struct run *run, struct err *err)
{
	const struct run_until *until = &run->options->until;
	if (!until->step || until->stage < run->stages)
		return 0;
	return err_set(err, ERR_CONFIG, "'--until' names stage %lld; this run has %lld, from 0", (long long)until->stage,
		       (long long)run->stages);
}

static int make_budgets(struct run *run, struct err *err)
{
	run->stages = run->method->staged ? run->plan->stages : 1;
	run->budget = mem_array((size_t)run->stages, sizeof *run->budget, err);
	run->stage = run->budget ? mem_array((size_t)run->stages, sizeof *run->stage, err) : NULL;
	if (!run->stage)
		return -1;
	if (policy_budgets(run->budget, run->stages, run->plan->budget))
		return err_set(err, ERR_CONFIG, "budget: %lld is less than one unit for each of %lld stages",
			       (long long)run->plan->budget, (long long)run->stages);
	if (run->stages != run->plan->stages)
		voice_say(run->options->voice, "%s trains once: stages is ignored", run->method->name);
	return 0;
}

static int open_all(struct run *run, struct err *err)
{
	const struct source_options options = {.allow_http = run->options->allow_http, .key = run->options->key,
					       .erase_key = run->options->erase_key, .voice = run->options->voice};
	if (data_load(&run->data, run->plan, err) || make_budgets(run, err) || check_until(run, err))
		return -1;
	say_data(run);
	run->used = mem_array(run->data.pool.n, sizeof *run->used, err);
	if (!run->used || (run->method->teacher && source_open(&run->source, run->plan, &options, err)))
		return -1;
	return rehearse(run, err) || open_directory(run, err) ? -1 : 0;
}

int run_open(struct run *run, const struct plan *plan, const struct run_options *options, struct err *err)
{
	*run = (struct run){.plan = plan, .method = plan->method.method, .options = options, .directory = plan->output_dir,
			    .step = "select"};
	return open_all(run, err);
}

void run_close(struct run *run)
{
	ledger_close(run->ledger);
	source_close(&run->source);
	for (int64_t k = 0; run->stage && k < run->stages; k++) {
		allocation_release(&run->stage[k].allocation);
		free(run->stage[k].real);
	}
	free(run->stage);
	free(run->budget);
	free(run->used);
	data_release(&run->data);
	*run = (struct run){0};
}

/* ---- going on ------------------------------------------------------------------------------------------------------------------ */

int run_stages(struct run *run, struct err *err)
{
	for (int64_t k = 0; k < run->stages && !run->stopped; k++)
		if (stage_run(run, k, err))
			return -1;
	/* Where --until names a step of an earlier start, the run stands further on than that. */
	return run->stopped && !run->worked ? 0 : run_status(run, err);
}

static int append(const char *path, const char *line, size_t n, struct err *err)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set_errno(err, ERR_CANTCREATE, "cannot open '%s'", path);
	int rc = file_put(fd, line, n, -1) ? err_set_errno(err, ERR_IO, "cannot write '%s'", path) : 0;
	close(fd);
	return rc;
}

int run_log(const struct run *run, const char *event, struct err *err)
{
	char at[32], *path = tree_join(run->directory, "log.jsonl", err);
	struct tm tm;
	time_t now = time(NULL);
	strftime(at, sizeof at, "%FT%TZ", gmtime_r(&now, &tm));
	char *line = path ? grown_format(err, "{\"at\":\"%s\",\"event\":\"%s\",\"stage\":%lld,\"step\":\"%s\"}\n", at, event,
					 (long long)run->at, run->step)
			  : NULL;
	int rc = line ? append(path, line, strlen(line), err) : -1;
	free(line);
	free(path);
	return rc;
}

int run_status(struct run *run, struct err *err)
{
	size_t l = run->data.pool.l;
	struct status_domain *domain = mem_array(l, sizeof *domain, err);
	const struct plan_teacher *t = &run->plan->teacher;
	struct status status = {.stage = run->at, .step = run->step, .seconds_left = -1, .domain = domain, .l = l,
				.has_cost = t->price_input >= 0 && t->price_output >= 0};
	if (!domain)
		return -1;
	for (size_t d = 0; d < l; d++)
		domain[d].name = run->data.pool.domain[d].name;
	for (int64_t k = 0; k < run->selected; k++)
		for (size_t d = 0; d < l; d++)
			domain[d].required += run->stage[k].allocation.domain[d].required;
	int rc = status_write(run->directory, run->ledger, &status, err);
	free(domain);
	return rc;
}
