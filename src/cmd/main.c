// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "src/cmd/cmd.h"
#include "src/cmd/print.h"

/* In the order of --help: what a user needs first stands first. */
static const struct command *const commands[] = {
	&cmd_prepare, &cmd_plan, &cmd_run, &cmd_status, &cmd_report, &cmd_compare, &cmd_eval, &cmd_train, &cmd_score,
	&cmd_generate, &cmd_merge, &cmd_check_adapter, &cmd_tokenize, &cmd_inspect, &cmd_ledger, &cmd_backends, &cmd_bench, NULL,
};

static void print_help(void)
{
	puts("Usage: baldistill COMMAND [OPTIONS] [ARGUMENTS]\n"
	     "Distil a language model under a fixed budget of teacher calls.\n"
	     "\n"
	     "Commands:");
	for (const struct command *const *c = commands; *c; c++)
		printf("  %-14s %s\n", (*c)->name, (*c)->summary);
	puts("\n"
	     "  --help         show this text; after COMMAND, its options\n"
	     "  --version      show the version of the program and of its libraries");
}

static const struct command *find_command(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

/*
 * Closed standard descriptors go to the files opened next, and what is said would be written into these. In their
 * place nothing can be written, so that output which is lost is told as before.
 */
static int hold_descriptors(struct err *err)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
			return err_set_errno(err, ERR_NOINPUT, "cannot open '/dev/null' for descriptor %d, which is closed", fd);
	return 0;
}

/*
 * The key stands in the environment from the first moment on. Two locks, as a
 * core limit of 0 does not keep a core from a program that the system pipes it
 * to; not dumpable also shuts /proc/PID/environ and mem to other processes of
 * the user. A teacher's command inherits the first alone.
 */
static int keep_secrets(struct err *err)
{
	const struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0))
		return err_set_errno(err, ERR_NOPERM, "cannot forbid core dumps, which could hold the API key");
	return 0;
}

/* Requests in flight take a descriptor each, and the usual soft limit is for programs that call select(). */
static void allow_descriptors(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files); /* where that fails, what is there has to do */
}

static int run(int argc, char **argv, struct err *err)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	if (!word)
		return err_set(err, ERR_USAGE, "no command; see 'baldistill --help'");
	if (!strcmp(word, "--help") || !strcmp(word, "--version")) {
		if (argc > 2)
			return err_set(err, ERR_USAGE, "'%s' stands alone; got '%s' too", word, argv[2]);
		if (!strcmp(word, "--help"))
			print_help();
		else
			version_print();
		return 0;
	}
	const struct command *command = find_command(word);
	if (!command)
		return err_set(err, ERR_USAGE, "unknown %s '%s'; see 'baldistill --help'",
			       word[0] == '-' ? "option" : "command", word);
	if ((command->needs & NEEDS_SECRECY) && keep_secrets(err))
		return -1;
	if (command->needs & NEEDS_SECRECY)
		allow_descriptors();
	struct arguments args = {.argc = argc - 1, .argv = argv + 1};
	return command->run(&args, err);
}

/* Output that was not written (a full disk, a closed descriptor) must not look like success. */
static int flush_output(struct err *err)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	if (errno)
		return err_set_errno(err, ERR_IO, "cannot write standard output");
	return err_set(err, ERR_IO, "cannot write all of standard output; make room there and give the same command again");
}

int main(int argc, char **argv)
{
	struct err err = {0};
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failure to write like others */
	if (hold_descriptors(&err) || run(argc, argv, &err) || flush_output(&err)) {
		print_line(err.code ? err.message : "failed and does not know why: please report this");
		return err.code ? err.code : ERR_INTERNAL;
	}
	return 0;
}
