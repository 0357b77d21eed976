// SPDX-License-Identifier: Apache-2.0
/*
 * run.h - a whole distillation: a plan, its directory, its stages.
 *
 *     struct run_options options = {.voice = &voice, .version = PACKAGE_STRING};
 *     struct run run;
 *     if (!run_open(&run, &plan, &options, &err))
 *             rc = run_stages(&run, &err) || run_finish(&run, &err);
 *     run_close(&run);
 *
 * run_open begins a run directory or takes one up again: the plan must be the
 * one it was begun with (plan_compare), the ledger and every file of a done
 * step as they were left. The same call on a killed run goes on with the first
 * step that is not done and ends with the same bytes.
 *
 * Data flow of stage k, one file per arrow; what a step hands on lies in the
 * ledger and in stage-k/, and is read from there by whoever needs it:
 *
 *     policy.h     r_d of every domain                        allocation.json
 *     select.h     real examples, the hardest of the head     scores.jsonl
 *     annotate.h   queries of the real ones                   ledger
 *     synthesise.h queries for the tail                       ledger
 *     bought.h     what was bought, judged                    -
 *     finetune.h   training rows; the student from its base   train.jsonl, collected.json, adapter/
 *     evaluate.h   predictions and their scores               predictions.jsonl, metrics.json
 *
 * Failures are exit statuses (err.h); what must stop the run has left nothing
 * half-written.
 */
#ifndef BALDISTILL_PIPELINE_RUN_H
#define BALDISTILL_PIPELINE_RUN_H

#include "src/ledger/ledger.h"
#include "src/pipeline/collect.h"
#include "src/pipeline/data.h"
#include "src/pipeline/policy.h"
#include "src/pipeline/source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `--until [STAGE.]STEP` */
struct run_until {
	int64_t stage;
	const char *step; /* "select", …; NULL: to the end */
};

struct run_options {
	const struct voice *voice;
	const char *version;
	struct run_until until;
	bool allow_http, strict;
	const struct teacher_key *key; /* as struct source_options has it */
	bool erase_key;                /* likewise; for a process whose environment is its own */
	const char *const *cassette; /* [cassettes]: of runs whose paid answers serve here too */
	size_t cassettes;
};

/* A stage whose examples have been selected. */
struct run_stage {
	struct allocation allocation;
	size_t *real; /* [n_real]: rows of the pool, in query order */
	size_t n_real;
};

struct run {
	const struct plan *plan;
	const struct method *method;
	const struct run_options *options;
	const char *directory;  /* plan->output_dir */
	struct data data;
	struct source source;   /* teacher NULL: the method buys nothing */
	struct collector collector;
	struct ledger *ledger;
	int64_t stages;         /* K, 1 for a single-pass method */
	int64_t *budget;        /* [stages] B_k */
	struct run_stage *stage; /* [stages], the first `selected` filled */
	int64_t selected;
	bool *used;             /* [pool.n]: taken by a stage */
	int64_t at;             /* stage and step in work, for status.json */
	const char *step;
	bool stopped;           /* `until` was reached */
	bool worked;            /* a step was run at this start */
};

int run_open(struct run *run, const struct plan *plan, const struct run_options *options, struct err *err);
int run_stages(struct run *run, struct err *err);
/* final/, predictions.jsonl, metrics.json, cassette.jsonl, report.html. */
int run_finish(struct run *run, struct err *err);
void run_close(struct run *run);

/* Units that may be used up to the end of stage k. */
int64_t run_cumulative(const struct run *run, int64_t k);

/* "DIRECTORY/stage-K/NAME", released with free(); NAME "": the stage's directory. */
char *run_path(const struct run *run, int64_t stage, const char *name, struct err *err);

/* A line of log.jsonl: {"at", "event", "stage", "step"}; at: UTC. For people; nothing reads it back. */
int run_log(const struct run *run, const char *event, struct err *err);

/* status.json as things stand. */
int run_status(struct run *run, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
