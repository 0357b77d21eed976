// SPDX-License-Identifier: Apache-2.0
#include "src/student/train.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/student/batch.h"
#include "src/student/checkpoint.h"
#include "src/student/schedule.h"
#include "src/student/train_hash.h"
#include "src/student/train_log.h"

enum { TOKENS = 2048, REMOTE_TOKENS = 8192 };

const struct train_options train_defaults = TRAIN_DEFAULTS;

/* One training under way. */
struct training {
	struct trainee *trainee;
	const struct train_row *rows;
	size_t n;
	struct train_options options; /* tokens filled in */
	const struct train_files *files;
	struct train_result *result;
	struct batch_limits limits;
	struct batch batch;
	struct pass *pass;
	float *logp;
	struct row_order order;
	struct train_log log;
	struct checkpoint_place place;
	struct adamw_rule rule;
};

/* ---- a step ----------------------------------------------------------------------------- */

/* "step 12: MESSAGE; rows of lines 3, 17, 4, …" */
static int blame_rows(const struct training *t, const size_t *order, size_t n, struct err *err)
{
	char lines[256];
	size_t at = 0;
	lines[0] = '\0';
	for (size_t i = 0; i < n && at < sizeof lines - 24; i++)
		at += (size_t)snprintf(lines + at, sizeof lines - at, "%s%zu", i ? ", " : "", t->rows[order[i]].line);
	struct err copy = *err;
	return err_set(err, ERR_NOTFINITE, "%s; its rows are those of lines %s%s; "
		       "look at these rows, or lower learning_rate and name another directory",
		       copy.message, lines, at >= sizeof lines - 24 ? ", …" : "");
}

static int run_calls(struct training *t, int64_t step, const size_t *order, size_t n, struct err *err)
{
	float weight = (float)(1.0 / (double)batch_targets(t->rows, order, n));
	for (size_t done = 0; done < n;) {
		done += batch_fill(&t->batch, t->rows, order + done, n - done, &t->limits, weight);
		struct pass_rows *rows = &t->batch.rows;
		rows->seed = t->options.seed;
		rows->step = (uint64_t)step;
		if (pass_run(t->pass, rows, t->logp, err))
			return -1;
		train_log_add(&t->log, t->logp, t->batch.owner, rows->targets, rows->rows);
	}
	if (isfinite(t->log.tally.loss))
		return 0;
	return err_set(err, ERR_NOTFINITE, "step %lld: the loss is not finite", (long long)step);
}

static int dump_gradients(struct training *t, int64_t step, struct err *err)
{
	const char *path = t->files->dump_gradients;
	return path && step == 1 ? parameters_save(&t->trainee->params, PARAMETER_GRADIENTS, path, err) : 0;
}

static int run_step(struct training *t, int64_t step, int64_t steps, struct err *err)
{
	size_t n;
	const size_t *order = row_order_step(&t->order, step, &n);
	struct train_line line = {.step = step, .learning_rate = train_rate(&t->options, step, steps),
				  .epoch = (double)step / (double)train_epoch_steps(&t->options, t->n)};
	double begin = clock_seconds();
	parameters_zero(&t->trainee->params);
	train_log_clear(&t->log);
	int rc = run_calls(t, step, order, n, err) || dump_gradients(t, step, err) ||
			 parameters_step(&t->trainee->params, &t->rule, step, line.learning_rate, &line.grad_norm, err)
		       ? -1 : 0;
	if (rc)
		return err->code == ERR_NOTFINITE ? blame_rows(t, order, n, err) : -1;
	line.seconds = clock_seconds() - begin;
	t->result->last_loss = t->log.tally.loss / (double)t->log.tally.targets;
	if (step == t->result->resumed_from + 1)
		t->result->first_loss = t->result->last_loss;
	return train_log_write(&t->log, &line, err);
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* Tokens of a call that were not asked for: a GPU is filled by more, but not by more than a call can have. */
static int64_t default_tokens(const struct training *t)
{
	int64_t longest = 1;
	for (size_t i = 0; i < t->n; i++)
		longest = t->rows[i].n > longest ? t->rows[i].n : longest;
	int64_t whole = longest * t->options.per_device_train_batch_size;
	if (!t->trainee->model->dev->remote || whole <= TOKENS)
		return TOKENS;
	return whole < REMOTE_TOKENS ? whole : REMOTE_TOKENS;
}

static void set_limits(struct training *t)
{
	int64_t common = batch_common_prefix(t->rows, t->n);
	t->limits = (struct batch_limits){
		.per_call = t->options.per_device_train_batch_size,
		.tokens = t->options.tokens ? t->options.tokens : default_tokens(t),
		.masked = common,
		.prefix = t->options.share_prefix && t->options.per_device_train_batch_size > 1 ? common : 0,
	};
	t->rule = (struct adamw_rule){t->options.adam_beta1, t->options.adam_beta2, t->options.adam_epsilon,
				      t->options.weight_decay, t->options.max_grad_norm};
}

static uint64_t bytes_of(const struct training *t, const struct pass_trained *trained, const struct pass_limits *limits)
{
	const struct model *m = t->trainee->model;
	uint64_t own = t->trainee->full ? full_bytes(t->trainee->model) : parameters_bytes((uint64_t)t->trainee->params.total);
	return m->stored + m->dev->prepared + pass_bytes(m, trained, limits) + own;
}

static int refuse_memory(const struct training *t, uint64_t need, struct err *err)
{
	return err_set(err, ERR_MEMORY, "training needs %llu MiB, more than the %llu MiB allowed; raise --memory (in a plan "
		       "student.memory), set gradient_checkpointing, or lower max_length%s",
		       (unsigned long long)(need >> 20), (unsigned long long)(t->options.memory >> 20),
		       t->options.tokens ? " or --tokens" : "");
}

static int check_rows(const struct training *t, struct err *err)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->rows[i].n - 1 > t->trainee->model->positions)
			return err_set(err, ERR_DATA, "line %zu: %lld tokens, the model takes %lld; lower max_length",
				       t->rows[i].line, (long long)t->rows[i].n, (long long)t->trainee->model->positions + 1);
	return 0;
}

/* The arrays of a call; where its length is ours to choose, half as long while memory has no room. */
static int size_calls(struct training *t, const struct pass_trained *trained, struct pass_limits *limits, struct err *err)
{
	for (;; t->limits.tokens /= 2) {
		if (batch_init(&t->batch, t->rows, t->n, &t->limits, err))
			return -1;
		*limits = t->batch.need;
		limits->checkpointing = t->options.gradient_checkpointing;
		uint64_t need = bytes_of(t, trained, limits);
		if (!t->options.memory || need <= t->options.memory)
			break;
		if (t->options.tokens || t->limits.tokens <= limits->keys) /* a call has one whole row at the least */
			return refuse_memory(t, need, err);
		batch_release(&t->batch);
	}
	t->options.tokens = t->limits.tokens;
	return 0;
}

static int prepare(struct training *t, struct err *err)
{
	const struct pass_trained trained = {t->trainee->adapter, t->trainee->full};
	struct pass_limits limits;
	set_limits(t);
	if (check_rows(t, err) || size_calls(t, &trained, &limits, err))
		return -1;
	t->logp = mem_array((size_t)limits.targets, sizeof *t->logp, err);
	if (!t->logp || row_order_open(&t->order, &t->options, t->n, err))
		return -1;
	t->pass = pass_new(t->trainee->model, &trained, &limits, err);
	return t->pass ? 0 : -1;
}

/* The newest checkpoint, where there is one. */
static int resume(struct training *t, struct err *err)
{
	char passed[256];
	t->place.directory = t->files->directory;
	t->place.restart = t->files->restart;
	if (train_hash(t->place.configuration, t->trainee, t->rows, t->n, &t->options, err) ||
	    checkpoint_load(&t->place, &t->trainee->params, &t->result->resumed_from, passed, err))
		return -1;
	if (passed[0] && t->files->note)
		t->files->note(t->files->context, passed);
	if (t->result->resumed_from < t->result->steps && checkpoint_begin(&t->place, &t->trainee->params, err))
		return -1;
	if (t->result->resumed_from && t->files->dump_gradients)
		return err_set(err, ERR_CANTCREATE, "the first step, whose gradients are asked for, is done in '%s'; name another directory",
			       t->files->directory);
	return 0;
}

static int begin(struct training *t, struct err *err)
{
	const char *directory = t->files->directory;
	if (directory && resume(t, err))
		return -1;
	parameters_refresh(&t->trainee->params);
	if (train_log_open(&t->log, directory, t->rows, t->n, t->result->resumed_from, err))
		return -1;
	if (t->result->resumed_from)
		t->result->last_loss = t->log.kept_loss;
	return 0;
}

static int keep(struct training *t, int64_t step, struct err *err)
{
	return train_log_sync(&t->log, err) || checkpoint_save(&t->place, &t->trainee->params, step, err) ? -1 : 0;
}

static int run_steps(struct training *t, struct progress *progress, struct err *err)
{
	int64_t steps = t->result->steps, every = t->options.save_steps;
	every = every ? every : train_epoch_steps(&t->options, t->n);
	for (int64_t step = t->result->resumed_from + 1; step <= steps; step++) {
		if (run_step(t, step, steps, err))
			return -1;
		if (t->files->directory && (step % every == 0 || step == steps) && keep(t, step, err))
			return -1;
		progress_add(progress, 1);
	}
	return 0;
}

static void release(struct training *t)
{
	pass_free(t->pass);
	batch_release(&t->batch);
	train_log_close(&t->log);
	free(t->logp);
	row_order_close(&t->order);
}

int student_train(struct trainee *trainee, const struct train_row *rows, size_t n, const struct train_options *options,
		  const struct train_files *files, struct train_result *result, struct err *err)
{
	struct progress progress;
	struct training t = {.trainee = trainee, .rows = rows, .n = n, .options = *options, .files = files,
			     .result = result, .log = {.fd = -1}};
	if (!n)
		return err_set(err, ERR_DATA, "there is no row to train on");
	*result = (struct train_result){.steps = train_steps(options, n)};
	int rc = prepare(&t, err) || begin(&t, err) ? -1 : 0;
	if (!rc) {
		progress_begin(&progress, files->progress, "train", "steps", (uint64_t)result->steps,
			       (uint64_t)result->resumed_from);
		rc = run_steps(&t, &progress, err);
		progress_finish(&progress);
	}
	release(&t);
	return rc;
}

/* ---- its directory ----------------------------------------------------------------------- */

/* NFS locks no directory: there it is the user's care. */
int train_lock(const char *directory, struct err *err)
{
	int lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return err_set_errno(err, ERR_CANTCREATE, "cannot open '%s'", directory);
	if (!flock(lock, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK)
		return lock;
	close(lock);
	return err_set(err, ERR_TEMPFAIL, "another training is at work in '%s'", directory);
}

int train_finish(const struct train_files *files, struct err *err)
{
	return checkpoint_remove_all(files->directory, err);
}
