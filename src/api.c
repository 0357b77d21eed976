// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include "src/baldistill.h"

const char *bd_version(void)
{
	return PACKAGE_VERSION;
}
