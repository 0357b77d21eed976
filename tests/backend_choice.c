// SPDX-License-Identifier: Apache-2.0
/* A module for backend_choice_test.sh that says it is NAME and computes in TYPES, and only fails to open. */
#include <stdio.h>

#include "backends/backend.h"

static void probe(struct backend_info *info)
{
	info->usable = true;
	snprintf(info->core, sizeof info->core, "Pretended");
	snprintf(info->dtypes, sizeof info->dtypes, "%s", TYPES);
}

static struct device *refuse(const struct device_options *options, struct err *err)
{
	(void)options;
	err->code = ERR_UNAVAILABLE;
	snprintf(err->message, sizeof err->message, "%s was opened", NAME);
	return NULL;
}

const struct backend baldistill_backend = {.abi = BACKEND_ABI, .name = NAME, .probe = probe, .open = refuse};
