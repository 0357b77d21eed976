// SPDX-License-Identifier: Apache-2.0
/*
 * The process that collect_calls.cc fails at each of its calls:
 *
 *     collect_child RUN STATE ACKNOWLEDGED URL
 *
 * Its calls count from the one that asks for BEGINS; its exit status is that of
 * a run. TMPDIR is the caller's, who removes what lies there.
 */
#include "tests/collect_fault.h"

int main(int argc, char **argv)
{
	if (argc != 5)
		return ERR_USAGE;
	Collecting collecting(argv[3]);
	collecting.world.options.directory = argv[1];
	collecting.world.options.state_directory = argv[2];
	if (!access(BEGINS, F_OK))
		return ERR_USAGE;
	int code = collecting.live(argv[4]);
	if (code)
		fprintf(stderr, "%d: %s\n", code, collecting.world.err.message);
	_exit(code);
}
