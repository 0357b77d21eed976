/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_program.c - bd_train, bd_run and what the library refuses, for tests/install_test.sh, which builds it as C and
 * as C++ against the installed header and library:
 *
 *     api_program version | train MODEL ROWS OUTPUT | run PLAN [UNTIL] | refuse MODEL ROWS | limit MODEL ROWS OUTPUT
 */
#include <baldistill.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static int lines;

static void count(void *context, const char *text)
{
	if (strchr(text, '\n') || !*text)
		*(int *)context += 1000000; /* one line each, without its end */
	++*(int *)context;
}

/* The message on stderr and the code as the exit status; nothing after success. */
static int end(int rc, const struct bd_error *error)
{
	if ((rc != 0) != (error->code != 0) || (rc != 0) != (*error->message != 0))
		return 1;
	if (rc)
		fprintf(stderr, "%s\n", error->message);
	return error->code;
}

static int train(char **argv)
{
	static const char *const keys[] = {"num_train_epochs=1", "per_device_train_batch_size=2", "learning_rate=0.01", NULL};
	struct bd_train_options options = {sizeof options};
	struct bd_error error;
	char before[8], after[8];
	options.message = count;
	options.context = &lines;
	options.model = argv[0];
	options.data = argv[1];
	options.output = argv[2];
	options.keys = keys;
	options.threads = 2;
	snprintf(before, sizeof before, "%.1f", 0.5);
	int status = end(bd_train(&options, &error), &error);
	snprintf(after, sizeof after, "%.1f", 0.5);
	return status ? status : strcmp(before, after) || lines < 2 || lines > 100; /* rows, and the last loss */
}

static int run(char **argv)
{
	struct bd_run_options options = {sizeof options};
	struct bd_error error;
	options.plan = argv[0];
	options.until = argv[1];
	return end(bd_run(&options, &error), &error);
}

/* ---- refused ------------------------------------------------------------------------------- */

static int failures;

static void expect(const char *name, int rc, const struct bd_error *error, int code, const char *part)
{
	if (rc == -1 && error->code == code && strstr(error->message, part))
		return;
	fprintf(stderr, "%s: %d, code %d, '%s'; expected code %d and '%s'\n", name, rc, error->code, error->message, code,
		part);
	failures++;
}

/* What a newer header would have behind the members of this one. */
struct newer {
	struct bd_score_options options;
	void *more;
};

static void refuse_sizes(void)
{
	struct newer newer;
	struct bd_error error;
	memset(&newer, 0, sizeof newer);
	expect("no options", bd_score(NULL, &error), &error, BD_USAGE, "size");
	expect("no size", bd_score(&newer.options, &error), &error, BD_USAGE, "size");
	newer.options.size = sizeof newer;
	expect("unused new member", bd_score(&newer.options, &error), &error, BD_USAGE, "--output");
	newer.more = &newer;
	expect("used new member", bd_score(&newer.options, &error), &error, BD_USAGE, "does not know");
}

/* An older header: the struct ends behind `model`, and what lies behind it is not read. */
static void refuse_older(const char *model)
{
	struct bd_score_options options;
	struct bd_error error;
	memset(&options, 0x5a, sizeof options);
	options.size = offsetof(struct bd_score_options, data);
	options.message = NULL;
	options.context = NULL;
	options.model = model;
	expect("older header", bd_score(&options, &error), &error, BD_USAGE, "--output");
}

/* What lies behind the last member of a struct would be the first place of a member to come. */
static void refuse_reserved(void)
{
	struct bd_score_options score = {sizeof score};
	struct bd_train_options training = {sizeof training};
	struct bd_error error;
	score.reserved = training.reserved = 1;
	expect("reserved of bd_score", bd_score(&score, &error), &error, BD_USAGE, "reserved");
	expect("reserved of bd_train", bd_train(&training, &error), &error, BD_USAGE, "reserved");
}

static void refuse_values(const char *model, const char *rows)
{
	static const char *const keys[] = {"learning_rat=1", NULL};
	struct bd_generate_options generate = {sizeof generate};
	struct bd_train_options training = {sizeof training};
	struct bd_run_options running = {sizeof running};
	struct bd_error error;
	generate.model = model;
	generate.data = rows;
	expect("no output", bd_generate(&generate, &error), &error, BD_USAGE, "--output");
	generate.output = "refused.jsonl";
	generate.top_p = 2;
	expect("top_p", bd_generate(&generate, &error), &error, BD_CONFIG, "--top-p");
	generate.top_p = (double)NAN;
	expect("top_p is no number", bd_generate(&generate, &error), &error, BD_CONFIG, "--top-p");
	generate.top_p = 0;
	generate.temperature = (double)NAN;
	expect("temperature is no number", bd_generate(&generate, &error), &error, BD_CONFIG, "--temperature");
	generate.temperature = (double)INFINITY;
	expect("temperature", bd_generate(&generate, &error), &error, BD_CONFIG, "--temperature");
	generate.temperature = 0;
	generate.top_k = (uint64_t)1 << 31;
	expect("top_k", bd_generate(&generate, &error), &error, BD_CONFIG, "--top-k");
	generate.top_k = 0;
	generate.data = "absent.jsonl";
	expect("no rows", bd_generate(&generate, &error), &error, BD_NOINPUT, "absent.jsonl");
	training.keys = keys;
	expect("a key", bd_train(&training, &error), &error, BD_CONFIG, "learning_rat=1");
	expect("no plan", bd_run(&running, &error), &error, BD_USAGE, "plan");
	running.until = "lunch";
	expect("a step", bd_run(&running, &error), &error, BD_CONFIG, "lunch");
	if (bd_run(&running, NULL) != -1)
		failures++;
}

static int refuse(char **argv)
{
	refuse_sizes();
	refuse_older(argv[0]);
	refuse_reserved();
	refuse_values(argv[0], argv[1]);
	return failures != 0;
}

/* ---- signals -------------------------------------------------------------------------------- */

/* A file that may not grow is a failure to write, not the end of the caller, whose signals are as before. */
static int limit(char **argv)
{
	const struct rlimit least = {500, 500};
	struct bd_score_options options = {sizeof options};
	struct bd_error error;
	sigset_t mask, waiting;
	options.model = argv[0];
	options.data = argv[1];
	options.output = argv[2];
	sigemptyset(&mask);
	sigaddset(&mask, SIGPIPE);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	raise(SIGPIPE);
	setrlimit(RLIMIT_FSIZE, &least);
	expect("a limit", bd_score(&options, &error), &error, BD_IO, argv[2]);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigpending(&waiting);
	if (!sigismember(&mask, SIGPIPE) || sigismember(&mask, SIGXFSZ) || !sigismember(&waiting, SIGPIPE))
		failures++;
	return failures != 0;
}

int main(int argc, char **argv)
{
	setlocale(LC_ALL, "");
	if (argc == 2 && !strcmp(argv[1], "version"))
		return puts(bd_version()) < 0;
	if (argc == 5 && !strcmp(argv[1], "train"))
		return train(argv + 2);
	if (argc >= 3 && argc <= 4 && !strcmp(argv[1], "run"))
		return run(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "refuse"))
		return refuse(argv + 2);
	if (argc == 5 && !strcmp(argv[1], "limit"))
		return limit(argv + 2);
	return BD_USAGE;
}
