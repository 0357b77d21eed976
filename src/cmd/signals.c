// SPDX-License-Identifier: Apache-2.0
#include "src/cmd/signals.h"

#include <signal.h>
#include <unistd.h>

#include "src/base/err.h"

static volatile sig_atomic_t signals, paying;

/* While paid requests are in flight the first signal is waited out; otherwise what is on disk is enough to go on from. */
static void on_signal(int number)
{
	static const char interrupted[] = "\nbaldistill: interrupted; the same command goes on\n";
	if (signals && number == SIGHUP) /* a shell sends what its terminal sends, too */
		return;
	if (signals++)
		_exit(128 + number);
	if (paying)
		return;
	if (write(2, interrupted, sizeof interrupted - 1) < 0)
		_exit(ERR_TEMPFAIL);
	_exit(ERR_TEMPFAIL);
}

void signals_catch(struct voice *voice)
{
	struct sigaction hangup, action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/* A terminal that goes; nohup has it ignored. */
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	voice->signals = &signals;
	voice->paying = &paying;
}
