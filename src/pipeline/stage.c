// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/grown.h"
#include "src/base/tree.h"
#include "src/ledger/step.h"
#include "src/pipeline/evaluate.h"
#include "src/pipeline/finetune.h"
#include "src/pipeline/select.h"
#include "src/pipeline/synthesise.h"

enum { MAX_RESULTS = 4 };

struct step {
	const char *name;
	int (*work)(struct run *run, int64_t k, const char *work, struct err *err);
	const char *result[MAX_RESULTS]; /* names in stage-K, files or directories; absent ones are left out */
	bool asks;                       /* its queries open it in the ledger */
};

static int annotate(struct run *run, int64_t k, const char *work, struct err *err)
{
	(void)work;
	return annotate_step(run, k, err);
}

static int synthesise(struct run *run, int64_t k, const char *work, struct err *err)
{
	(void)work;
	return synthesise_step(run, k, err);
}

static const struct step steps[] = {
	{"select", select_step, {"allocation.json", "scores.jsonl"}, false},
	{"annotate", annotate, {0}, true},
	{"synthesise", synthesise, {0}, true},
	{"train", finetune_step, {"train.jsonl", "collected.json", "adapter", "checkpoint"}, false},
	{"evaluate", evaluate_step, {"predictions.jsonl", "metrics.json"}, false},
};
enum { STEPS = sizeof steps / sizeof *steps };

const char *stage_step(const char *name)
{
	for (size_t i = 0; i < STEPS; i++)
		if (!strcmp(steps[i].name, name))
			return steps[i].name;
	return NULL;
}

/* ---- the place of work ------------------------------------------------------------------------------------- */

static char *work_path(const struct run *run, int64_t k, const struct step *step, struct err *err)
{
	char name[32];
	snprintf(name, sizeof name, "%s.part", step->name);
	return run_path(run, k, name, err);
}

/* What a part directory was begun for: the plan, and the budget of the stage. */
static char *configuration(const struct run *run, int64_t k, struct err *err)
{
	unsigned char digest[HASH_SIZE];
	char hex[HASH_HEX_ROOM];
	if (plan_hash(digest, run->plan, err))
		return NULL;
	hash_hex(hex, digest);
	return grown_format(err, "%s %lld %lld %s\n", hex, (long long)k, (long long)run->budget[k],
			    run->plan->student.backend);
}

/* 1: the file holds this text, 0: it does not or is not there, -1. */
static int same_file(const char *path, const char *text, struct err *err)
{
	enum tree_kind kind;
	size_t n;
	if (tree_look(path, &kind, err))
		return -1;
	if (kind == TREE_NOTHING)
		return 0;
	char *found = file_read(path, 4096, &n, err);
	int same = found ? !strcmp(found, text) : err->code == ERR_DATA || err->code == ERR_NOINPUT ? 0 : -1;
	free(found);
	return same;
}

/* A directory of the same configuration is gone on with, any other removed. */
static int open_work(const struct run *run, int64_t k, const char *work, struct err *err)
{
	char *text = configuration(run, k, err), *path = text ? tree_join(work, "configuration", err) : NULL;
	int same = path ? same_file(path, text, err) : -1, rc = same < 0 ? -1 : 0;
	if (!same)
		rc = tree_remove(work, err) || tree_make(work, 0777, err) || file_save(path, text, strlen(text), 0666, err) ? -1 : 0;
	free(path);
	free(text);
	return rc;
}

/* What a killed step had renamed already. */
static int remove_results(const struct run *run, int64_t k, const struct step *step, struct err *err)
{
	for (int i = 0; i < MAX_RESULTS && step->result[i]; i++) {
		char *path = run_path(run, k, step->result[i], err);
		int rc = path ? tree_remove(path, err) : -1;
		free(path);
		if (rc)
			return -1;
	}
	return 0;
}

/* ---- results ------------------------------------------------------------------------------------------------ */

struct results {
	const char *name[1024]; /* paths inside the run directory, of the arena */
	size_t n;
	struct arena arena;
};

static int add_result(struct results *r, int64_t k, const char *name, const char *inside, struct err *err)
{
	if (r->n == sizeof r->name / sizeof *r->name)
		return err_set(err, ERR_INTERNAL, "a step has more than %zu result files", r->n);
	char *path = grown_format(err, "stage-%lld/%s%s%s", (long long)k, name, *inside ? "/" : "", inside);
	if (!path)
		return -1;
	r->name[r->n] = arena_strdup(&r->arena, path, err);
	free(path);
	return r->name[r->n++] ? 0 : -1;
}

static int add_directory(struct results *r, int64_t k, const char *name, const char *path, struct err *err)
{
	const char **files;
	size_t n;
	if (tree_list(&files, &n, path, &r->arena, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_result(r, k, name, files[i], err))
			return -1;
	return 0;
}

/* Sync one result and give it its place. */
static int publish(struct results *r, const char *from, const char *to, int64_t k, const char *name, struct err *err)
{
	enum tree_kind kind;
	if (tree_look(from, &kind, err))
		return -1;
	if (kind == TREE_NOTHING)
		return 0;
	if (kind == TREE_DIRECTORY ? add_directory(r, k, name, from, err) : add_result(r, k, name, "", err))
		return -1;
	if (tree_sync(from, err))
		return -1;
	return rename(from, to) ? err_set_errno(err, ERR_IO, "cannot rename '%s' to '%s'", from, to) : 0;
}

static int publish_all(struct results *r, const struct run *run, int64_t k, const struct step *step, const char *work,
		       struct err *err)
{
	int rc = 0;
	for (int i = 0; !rc && i < MAX_RESULTS && step->result[i]; i++) {
		char *from = tree_join(work, step->result[i], err), *to = run_path(run, k, step->result[i], err);
		rc = from && to ? publish(r, from, to, k, step->result[i], err) : -1;
		free(from);
		free(to);
	}
	char *stage = rc ? NULL : run_path(run, k, "", err);
	if (!rc)
		rc = stage ? file_sync_dir(stage, err) : -1;
	free(stage);
	return rc;
}

static int finish(struct run *run, int64_t k, const struct step *step, const char *work, struct err *err)
{
	struct results r = {.n = 0};
	arena_init(&r.arena);
	int rc = publish_all(&r, run, k, step, work, err) ||
				 ledger_step_done(run->ledger, k, step->name, r.name, r.n, NULL, err)
			 ? -1 : 0;
	arena_release(&r.arena);
	return rc ? -1 : tree_remove(work, err);
}

/* ---- walking --------------------------------------------------------------------------------------------------- */

static int do_step(struct run *run, int64_t k, const struct step *step, struct err *err)
{
	char *stage = run_path(run, k, "", err), *work = stage ? work_path(run, k, step, err) : NULL;
	int rc = !work || tree_make(stage, 0777, err) || remove_results(run, k, step, err) || open_work(run, k, work, err) ||
				 (!step->asks && ledger_step_open(run->ledger, k, step->name, NULL, 0, err)) ||
				 step->work(run, k, work, err) || finish(run, k, step, work, err)
			 ? -1 : 0;
	free(work);
	free(stage);
	return rc;
}

static int is_done(bool *done, struct run *run, int64_t k, const struct step *step, struct err *err)
{
	struct ledger_step state;
	struct arena arena;
	arena_init(&arena);
	int rc = ledger_step_get(run->ledger, k, step->name, &state, &arena, err);
	*done = !rc && state.state == LEDGER_STEP_DONE;
	arena_release(&arena);
	return rc;
}

/* A kill between a step's end and the removal of its place of work. */
static int remove_work(const struct run *run, int64_t k, const struct step *step, struct err *err)
{
	char *work = work_path(run, k, step, err);
	int rc = work ? tree_remove(work, err) : -1;
	free(work);
	return rc;
}

static bool reached(const struct run *run, int64_t k, const struct step *step)
{
	const struct run_until *until = &run->options->until;
	return until->step && until->stage == k && !strcmp(until->step, step->name);
}

/* A stage that another has followed is done. */
static int open_stage(struct run *run, int64_t k, struct err *err)
{
	int64_t later;
	if (ledger_stage_cum(run->ledger, k + 1, &later, err))
		return -1;
	return later < 0 ? ledger_stage_open(run->ledger, k, run_cumulative(run, k), err) : 0;
}

int stage_run(struct run *run, int64_t k, struct err *err)
{
	if (open_stage(run, k, err))
		return -1;
	for (const struct step *step = steps; step < steps + STEPS && !run->stopped; step++) {
		bool done;
		run->at = k;
		run->step = step->name;
		if (is_done(&done, run, k, step, err))
			return -1;
		if (done && remove_work(run, k, step, err))
			return -1;
		if (!done) {
			run->worked = true;
			voice_say(run->options->voice, "stage %lld of %lld: %s", (long long)k, (long long)run->stages, step->name);
			if (run_status(run, err) || run_log(run, "begin", err) || do_step(run, k, step, err) ||
			    run_log(run, "done", err))
				return -1;
		}
		if (step == steps) {
			if (select_load(run, k, err))
				return -1;
			run->selected = k + 1;
		}
		run->stopped = reached(run, k, step);
	}
	return 0;
}
