// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include <stdio.h>

#include "src/base/libraries.h"
#include "src/cmd/cmd.h"

/* One table for each room that owns libraries. */
static const struct library *const rooms[] = {
	base_libraries,
};

void version_print(void)
{
	puts(PACKAGE_STRING);
	for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
		for (const struct library *library = rooms[i]; library->name; library++)
			printf("%s %s\n", library->name, library->version());
}
