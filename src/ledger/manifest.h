// SPDX-License-Identifier: Apache-2.0
/*
 * manifest.h - the files a step has made: JSON, name -> SHA-256 in hexadecimal.
 *
 * A name is a path inside the run directory: not absolute, without "..".
 */
#ifndef BALDISTILL_LEDGER_MANIFEST_H
#define BALDISTILL_LEDGER_MANIFEST_H

#include "src/base/jsonio.h"

/* Hash the files as they stand; the text is borrowed from w. NULL on failure. */
const char *manifest_write(struct json_writer *w, const char *directory, const char *const files[], size_t n,
			   struct err *err);

/* Every file is there and has its hash; else ERR_LEDGER. */
int manifest_verify(const char *directory, const char *manifest, struct err *err);

#endif
