// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* pipe2 */
#include "src/teacher/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/mem.h"

extern char **environ;

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The environment without the key; the strings stay environ's. */
static char **make_environment(const char *key_name, struct err *err)
{
	size_t n = 0, kept = 0, length = key_name ? strlen(key_name) : 0;
	while (environ && environ[n])
		n++;
	char **list = mem_array(n + 1, sizeof *list, err);
	for (size_t i = 0; list && i < n; i++)
		if (!key_name || strncmp(environ[i], key_name, length) || environ[i][length] != '=')
			list[kept++] = environ[i];
	return list;
}

/* A group of its own: an interrupt from the terminal is for us, who let it finish its answers. */
static int spawn(struct teacher_program *p, const struct teacher_command_config *config, int input, int output,
		 char **environment)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, usual;
	sigemptyset(&none);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE); /* what we ignore a program would ignore, too */
	sigaddset(&usual, SIGXFSZ);
	if (posix_spawn_file_actions_init(&actions))
		return ENOMEM;
	int rc = posix_spawnattr_init(&attributes);
	if (!rc) {
		rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, input, 0);
		rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, output, 1);
		rc = rc ? rc : posix_spawnattr_setpgroup(&attributes, 0);
		rc = rc ? rc : posix_spawnattr_setsigmask(&attributes, &none);
		rc = rc ? rc : posix_spawnattr_setsigdefault(&attributes, &usual);
		rc = rc ? rc
			: posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
									POSIX_SPAWN_SETSIGDEF);
		rc = rc ? rc
			: posix_spawnp(&p->child, config->argv[0], &actions, &attributes, (char *const *)config->argv,
				       environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* A socket to it, so that its end is an error of send and not a signal to us; a pipe back. */
int program_start(struct teacher_program *p, const struct teacher_command_config *config, struct err *err)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1};
	char **environment = make_environment(config->key_name, err);
	if (!environment)
		return -1;
	int rc = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) || pipe2(out, O_CLOEXEC))
		rc = err_set_errno(err, ERR_MEMORY, "no descriptors for the teacher '%s'", config->argv[0]);
	else if ((errno = spawn(p, config, in[1], out[1], environment)))
		rc = err_set_errno(err, ERR_NOINPUT, "cannot start the teacher '%s'", config->argv[0]);
	free(environment);
	close_fd(&in[1]);
	close_fd(&out[1]);
	p->to = in[0];
	p->from = out[0];
	if (rc)
		p->child = -1;
	return rc;
}

/* A hundredth of a second, or until it writes: that is taken, lest it wait for us. */
static void rest(const struct teacher_program *p)
{
	char dropped[4096];
	const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
	struct pollfd from = {.fd = p->from, .events = POLLIN};
	int ready = poll(&from, 1, 10);
	if (ready < 0 || (ready && read(p->from, dropped, sizeof dropped) <= 0))
		nanosleep(&moment, NULL);
}

/* Within a second; it stays to be waited for, so that the number of its group stays its own. */
static bool has_ended(const struct teacher_program *p)
{
	const double patience = 1, end = clock_seconds() + patience;
	do {
		siginfo_t info = {0};
		if (waitid(P_PID, (id_t)p->child, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid)
			return true;
		rest(p);
	} while (clock_seconds() < end);
	return false;
}

void program_close_input(struct teacher_program *p)
{
	close_fd(&p->to);
}

/* The end of its input is its word to clean up; what it started may outlive it. */
void program_end(struct teacher_program *p)
{
	close_fd(&p->to);
	if (p->child > 0) {
		has_ended(p);
		kill(-p->child, SIGTERM);
		if (!has_ended(p))
			kill(-p->child, SIGKILL);
		waitpid(p->child, NULL, 0);
	}
	close_fd(&p->from);
	p->child = -1;
}
