// SPDX-License-Identifier: Apache-2.0
/* A run's ledger: what it is held to, and what a grown budget does to the stages to come. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reference/policy.h"
#include "src/ledger/step.h"
#include "src/model/identity.h"
#include "src/pipeline/run_ledger.h"

enum { SLOT_BYTES = 4 << 20 };

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Stages begun keep their part; what a grown budget adds goes to the others. */
static int grow_budgets(void *context, struct ledger *ledger, struct err *err)
{
	struct run *run = context;
	int64_t begun = 0, cum = 0, before = 0;
	for (; begun < run->stages; begun++) {
		if (ledger_stage_cum(ledger, begun, &cum, err))
			return -1;
		if (cum < 0)
			break;
		run->budget[begun] = cum - before;
		before = cum;
	}
	if (!begun)
		return 0;
	for (int64_t k = begun; k < run->stages; k++)
		run->budget[k] = 1; /* the least; what it gets is policy_grow's to say */
	if (policy_grow(run->budget, run->stages, begun, run->plan->budget))
		return err_set(err, ERR_CONFIG, "budget: every stage has begun, so %lld cannot be used any more; begin another run, with another output_dir and "
			       "teacher.reuse: %s/cassette.jsonl (baldistill ledger export makes that file too): what is bought already is not bought again",
			       (long long)run->plan->budget, run->directory);
	return 0;
}

static int64_t price_of(void *context, int64_t tokens_in, int64_t tokens_out, int64_t body_n)
{
	const struct run *run = context;
	const struct plan_teacher *t = &run->plan->teacher;
	if (tokens_in || tokens_out)
		return collect_cost(t, (double)tokens_in, (double)tokens_out);
	return collect_cost(t, (double)body_n / 3, (double)t->max_tokens);
}

static int settled(void *context, struct err *err)
{
	return run_status(context, err);
}

/* One that is absent has its place too: a test file is not a validation file. */
static int add_file(struct hash *hash, const char *path, struct err *err)
{
	unsigned char digest[HASH_SIZE] = {0};
	return (path && hash_file(digest, path, err)) || hash_update(hash, digest, sizeof digest, err) ? -1 : 0;
}

/* Ids of the pool, where a cassette decides what is in it. */
static int add_pool(struct hash *hash, const struct run *run, struct err *err)
{
	const struct data *data = &run->data;
	if (run->plan->teacher.kind != TEACHER_RECORDED || !run->plan->teacher.restrict_pool)
		return 0;
	int rc = 0;
	for (size_t i = 0; !rc && i < data->pool.n; i++) {
		char *id = data_id(&data->pool.row[data->by_id[i]].id, err);
		rc = id ? hash_update(hash, id, strlen(id) + 1, err) : -1;
		free(id);
	}
	return rc;
}

static int add_models(struct hash *hash, const struct plan *plan, struct err *err)
{
	const char *teacher = plan->teacher.kind == TEACHER_LOCAL ? plan->teacher.model_name_or_path : NULL;
	return identity_add(hash, plan->student.model_name_or_path, err) || (teacher && identity_add(hash, teacher, err)) ? -1 : 0;
}

/*
 * What a run is held to: its plan, its examples, its prompts, its student. A cassette may be mended between two starts, but not so
 * that the pool is another.
 */
static int hash_inputs(unsigned char digest[HASH_SIZE], const struct run *run, struct err *err)
{
	const struct plan_task *task = &run->plan->task;
	struct hash hash;
	if (plan_hash(digest, run->plan, err) || hash_init(&hash, err))
		return -1;
	int rc = hash_update(&hash, digest, HASH_SIZE, err) || add_file(&hash, task->train, err) ||
		 add_file(&hash, task->valid, err) || add_file(&hash, task->test, err);
	for (int i = 0; !rc && i < PROMPT_KINDS; i++) {
		const char *text = run->data.prompts.prompt[i].text;
		rc = hash_update(&hash, text, strlen(text) + 1, err);
	}
	rc = rc || add_pool(&hash, run, err) || add_models(&hash, run->plan, err) || hash_final(digest, &hash, err) ? -1 : 0;
	hash_release(&hash);
	return rc;
}

int run_open_ledger(struct run *run, struct err *err)
{
	const struct plan_teacher *t = &run->plan->teacher;
	struct ledger_recovery recovery;
	struct ledger_options options = {
		.directory = run->directory, .host = run->source.teacher ? run->source.host : "none",
		.model = run->source.teacher ? run->source.model : "none", .budget = run->plan->budget,
		.max_cost = t->max_cost < 0 ? -1 : (int64_t)fmin(t->max_cost * 1e9, 9e18),
		.allow = grow_budgets, .allow_context = run,
		.slots = run->source.teacher ? (int)t->max_concurrent_requests : 1, .slot_bytes = SLOT_BYTES,
		.most_wait = (int64_t)(t->max_wait * 1000) + 60000, .max_retries = (int)t->max_retries, .billable = run->source.teacher && run->source.teacher->billable,
		.strict = run->options->strict, .judge = collect_judge, .judge_context = &run->collector, .price = price_of, .price_context = run, .now = now_ms(),
	};
	if (hash_inputs(options.params_sha256, run, err))
		return -1;
	run->collector = (struct collector){.cassette = run->options->cassette, .cassettes = run->options->cassettes,
					    .reuse = run->source.reuse,
					    .source = run->source.teacher, .teacher = t, .budget = run->plan->budget,
					    .seed = run->plan->seed, .voice = run->options->voice, .settled = settled,
					    .context = run};
	run->ledger = ledger_open(&options, &recovery, err);
	collect_release(&run->collector);
	run->collector.ledger = run->ledger;
	if (!run->ledger)
		return -1;
	if (recovery.salvaged || recovery.in_doubt)
		voice_say(run->options->voice, "the last start was interrupted: %d replies salvaged, %d units in doubt",
			  recovery.salvaged, recovery.in_doubt);
	return 0;
}
