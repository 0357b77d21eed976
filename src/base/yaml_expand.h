// SPDX-License-Identifier: Apache-2.0
/*
 * yaml_expand.h - environment variables in a scalar: ${NAME} is replaced, $${ is a plain ${.
 *
 * Failures, without a place, which the caller adds: ERR_CONFIG (no name, not
 * set, not UTF-8, too long), ERR_MEMORY.
 */
#ifndef BALDISTILL_BASE_YAML_EXPAND_H
#define BALDISTILL_BASE_YAML_EXPAND_H

#include <stddef.h>

#include "src/base/err.h"

/* The text to use, released with free(). *expanded grows by its bytes, to YAML_MAX_BYTES at the most. */
char *yaml_expand(const char *verbatim, size_t *expanded, struct err *err);

#endif
