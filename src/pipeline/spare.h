// SPDX-License-Identifier: Apache-2.0
/*
 * spare.h - what a run is made of is no place for what is told about it.
 */
#ifndef BALDISTILL_PIPELINE_SPARE_H
#define BALDISTILL_PIPELINE_SPARE_H

#include "src/base/err.h"

/* Fail (ERR_CANTCREATE) where `path` lies in the run's directory, but for names there that end in `ending`. */
int run_spare(const char *directory, const char *path, const char *ending, struct err *err);

#endif
