// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include "src/baldistill.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "src/pipeline/generate_rows.h"
#include "src/pipeline/score_rows.h"
#include "src/pipeline/train_rows.h"
#include "src/pipeline/until.h"

_Static_assert(sizeof(struct bd_error) == sizeof(struct err), "give copies one into the other");
_Static_assert(BD_USAGE == (int)ERR_USAGE && BD_CONFIG == (int)ERR_CONFIG && BD_NOTFINITE == (int)ERR_NOTFINITE,
	       "codes are exit statuses");

/* A later member at the end must not lie where a program of today leaves whatever the compiler puts behind the last. */
#define ENDS_WITH(type, member)                                                                                        \
	_Static_assert(offsetof(struct type, member) + sizeof((struct type){0}.member) == sizeof(struct type),         \
		       #type " has padding at its end")
ENDS_WITH(bd_score_options, reserved);
ENDS_WITH(bd_generate_options, top_p);
ENDS_WITH(bd_train_options, reserved);
ENDS_WITH(bd_run_options, strict);

const char *bd_version(void)
{
	return PACKAGE_VERSION;
}

static int give(struct bd_error *error, const struct err *err, int rc)
{
	if (error)
		memcpy(error, err, sizeof *error);
	return rc ? -1 : 0;
}

/*
 * The caller's struct, whose first member is its size, into ours of `room`
 * bytes: what an older one lacks is 0; what a newer one has more must be.
 */
static int take(void *out, size_t room, const void *given, struct err *err)
{
	const unsigned char *bytes = given;
	size_t size = 0;
	if (given)
		memcpy(&size, given, sizeof size);
	if (size < sizeof size)
		return err_set(err, ERR_USAGE, "'size' of the options is not set; it is their sizeof");
	for (size_t i = room; i < size; i++)
		if (bytes[i])
			return err_set(err, ERR_USAGE, "libbaldistill %s does not know byte %zu of the options; install a newer one",
				       PACKAGE_VERSION, i);
	memset(out, 0, room);
	memcpy(out, given, size < room ? size : room);
	return 0;
}

static int check_reserved(int reserved, struct err *err)
{
	return reserved ? err_set(err, ERR_USAGE, "'reserved' of the options is not 0; begin with {sizeof options}") : 0;
}

/* ---- signals ---------------------------------------------------------------------------- */

static const int write_signals[] = {SIGXFSZ, SIGPIPE};
enum { WRITE_SIGNALS = sizeof write_signals / sizeof *write_signals };

/* During a call, a file that may not grow and a pipe that nobody reads are failed writes, not the end of the caller. */
struct held {
	sigset_t mask, waiting; /* the caller's */
};

static void hold_signals(struct held *held)
{
	sigset_t more;
	sigemptyset(&more);
	for (int i = 0; i < WRITE_SIGNALS; i++)
		sigaddset(&more, write_signals[i]);
	sigpending(&held->waiting);
	pthread_sigmask(SIG_BLOCK, &more, &held->mask);
}

/* Both are sent to the thread that wrote: what waits now, and did not before, is of this call. */
static void release_signals(const struct held *held)
{
	static const struct timespec at_once = {0};
	sigset_t ours;
	sigemptyset(&ours);
	for (int i = 0; i < WRITE_SIGNALS; i++)
		if (!sigismember(&held->waiting, write_signals[i]))
			sigaddset(&ours, write_signals[i]);
	while (sigtimedwait(&ours, NULL, &at_once) > 0 || errno == EINTR)
		;
	pthread_sigmask(SIG_SETMASK, &held->mask, NULL);
}

/* ---- messages ------------------------------------------------------------------------- */

/* One call: whom to tell what. Numbers have a decimal point meanwhile, whatever the caller's locale says. */
struct listener {
	bd_message message;
	void *context;
	locale_t ours, theirs;
	struct held held;
	struct progress_output progress;
	struct voice voice;
};

/* In the caller's locale. */
static void hear(void *context, const char *line)
{
	const struct listener *listener = context;
	uselocale(listener->theirs);
	listener->message(listener->context, line);
	uselocale(listener->ours);
}

/* Away from a terminal, progress is whole lines. */
static void hear_progress(void *context, const char *text, size_t n)
{
	char line[1024];
	snprintf(line, sizeof line, "%.*s", (int)(n && text[n - 1] == '\n' ? n - 1 : n), text);
	hear(context, line);
}

static void listen(struct listener *listener, bd_message message, void *context)
{
	*listener = (struct listener){.message = message, .context = context};
	listener->progress = (struct progress_output){.sink = message ? hear_progress : NULL, .context = listener};
	listener->voice = (struct voice){.say = message ? hear : NULL, .context = listener, .progress = &listener->progress};
	listener->ours = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	listener->theirs = uselocale(listener->ours);
	hold_signals(&listener->held);
}

static int end(struct listener *listener, struct bd_error *error, const struct err *err, int rc)
{
	release_signals(&listener->held);
	uselocale(listener->theirs);
	if (listener->ours)
		freelocale(listener->ours);
	return give(error, err, rc);
}

/* ---- rows --------------------------------------------------------------------------------- */

/* What the options of score, generate and train have in common. */
#define TAKE_JOB(job, o)                                                                                               \
	do {                                                                                                           \
		job_defaults(job);                                                                                     \
		(job)->model = (o)->model;                                                                             \
		(job)->data = (o)->data;                                                                               \
		(job)->chat = (o)->chat_template;                                                                      \
		(job)->backend = (o)->backend ? (o)->backend : (job)->backend;                                         \
		(job)->dtype = (o)->dtype ? (o)->dtype : (job)->dtype;                                                 \
		(job)->memory = (o)->memory;                                                                           \
		(job)->threads = (o)->threads;                                                                         \
	} while (0)

/* And those of score and generate; there is no standard output to write to. */
#define TAKE_ROWS(job, o)                                                                                              \
	do {                                                                                                           \
		TAKE_JOB(job, o);                                                                                      \
		(job)->output = (o)->output;                                                                           \
		(job)->adapter = (o)->adapter;                                                                         \
		(job)->batch_invariant = (o)->batch_invariant != 0;                                                    \
	} while (0)

static int need_output(const struct job *job, struct err *err)
{
	return job->output ? 0 : err_set(err, ERR_USAGE, "'--output' is missing");
}

int bd_score(const struct bd_score_options *options, struct bd_error *error)
{
	struct bd_score_options o;
	struct listener listener;
	struct job job;
	struct err err = {0};
	if (take(&o, sizeof o, options, &err) || check_reserved(o.reserved, &err))
		return give(error, &err, -1);
	listen(&listener, o.message, o.context);
	TAKE_ROWS(&job, &o);
	job.voice = listener.voice;
	int rc = need_output(&job, &err) || score_rows(&job, &err) ? -1 : 0;
	rc = job_close(&job, rc, &err);
	return end(&listener, error, &err, rc);
}

int bd_generate(const struct bd_generate_options *options, struct bd_error *error)
{
	struct bd_generate_options o;
	struct listener listener;
	struct job job;
	struct err err = {0};
	if (take(&o, sizeof o, options, &err))
		return give(error, &err, -1);
	listen(&listener, o.message, o.context);
	TAKE_ROWS(&job, &o);
	job.voice = listener.voice;
	job.seed = o.seed ? o.seed : job.seed;
	job.slots = o.slots;
	struct generate_rows_options settings = GENERATE_ROWS_DEFAULTS;
	settings.max_new_tokens = o.max_new_tokens ? o.max_new_tokens : settings.max_new_tokens;
	settings.top_k = o.top_k;
	settings.temperature = o.temperature;
	settings.top_p = o.top_p != 0 ? o.top_p : settings.top_p;
	settings.token_nll = o.token_nll != 0;
	int rc = need_output(&job, &err) || generate_rows(&job, &settings, &err) ? -1 : 0;
	rc = job_close(&job, rc, &err);
	return end(&listener, error, &err, rc);
}

/* ---- training ------------------------------------------------------------------------------- */

/* "learning_rate=1e-4": the value goes to its key's place in `value`. */
static int take_key(const char *value[TRAIN_ROWS_KEYS], const char *text, struct err *err)
{
	size_t n = strcspn(text, "=");
	for (size_t i = 0; text[n] && train_keys[i].name; i++)
		if (strlen(train_keys[i].name) == n && !memcmp(train_keys[i].name, text, n)) {
			value[i] = text + n + 1;
			return 0;
		}
	return err_set(err, ERR_CONFIG, "'%s' is no KEY=VALUE with a key of the section training", text);
}

static int take_keys(const char *value[TRAIN_ROWS_KEYS], const char *const *keys, struct err *err)
{
	for (; keys && *keys; keys++)
		if (take_key(value, *keys, err))
			return -1;
	return 0;
}

int bd_train(const struct bd_train_options *options, struct bd_error *error)
{
	struct bd_train_options o;
	struct listener listener;
	struct job job;
	struct err err = {0};
	const char *value[TRAIN_ROWS_KEYS] = {NULL};
	if (take(&o, sizeof o, options, &err) || check_reserved(o.reserved, &err) || take_keys(value, o.keys, &err))
		return give(error, &err, -1);
	listen(&listener, o.message, o.context);
	TAKE_JOB(&job, &o);
	job.voice = listener.voice;
	job.seed = o.seed ? o.seed : job.seed;
	const struct train_rows_options settings = {
		.output = o.output, .config_file = o.config, .init = o.init, .init_adapter = o.init_adapter,
		.save_steps = o.save_steps, .tokens = o.tokens, .no_shuffle = o.no_shuffle != 0, .value = value,
	};
	int rc = train_rows(&job, &settings, &err);
	rc = job_close(&job, rc, &err);
	return end(&listener, error, &err, rc);
}

/* ---- a whole distillation --------------------------------------------------------------------- */

static int run_plan(const char *path, const struct run_options *options, struct err *err)
{
	struct plan plan;
	struct run run;
	if (!path)
		return err_set(err, ERR_USAGE, "'plan' is missing");
	if (plan_load(&plan, path, err))
		return -1;
	int rc = run_open(&run, &plan, options, err) || run_stages(&run, err) ||
				 (!run.stopped && run_finish(&run, err))
			 ? -1 : 0;
	run_close(&run);
	plan_release(&plan);
	return rc;
}

int bd_run(const struct bd_run_options *options, struct bd_error *error)
{
	struct bd_run_options o;
	struct listener listener;
	struct err err = {0};
	if (take(&o, sizeof o, options, &err))
		return give(error, &err, -1);
	listen(&listener, o.message, o.context);
	struct run_options settings = {.voice = &listener.voice, .version = PACKAGE_STRING,
				       .allow_http = o.allow_http != 0, .strict = o.strict != 0};
	int rc = until_read(&settings.until, o.until, &err) || run_plan(o.plan, &settings, &err) ? -1 : 0;
	return end(&listener, error, &err, rc);
}
