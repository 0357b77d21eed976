// SPDX-License-Identifier: Apache-2.0
#include "src/cmd/progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void to_stderr(void *context, const char *text, size_t n)
{
	(void)context;
	fwrite(text, 1, n, stderr);
}

struct progress_output progress_of(bool quiet)
{
	struct winsize size = {0};
	bool terminal = isatty(2);
	if (terminal)
		ioctl(2, TIOCGWINSZ, &size);
	return (struct progress_output){.sink = quiet ? NULL : to_stderr, .terminal = terminal, .columns = size.ws_col};
}
