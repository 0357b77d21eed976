// SPDX-License-Identifier: Apache-2.0
/* train_hash.h - a digest of all that decides a training's result. Private to the room. */
#ifndef BALDISTILL_STUDENT_TRAIN_HASH_H
#define BALDISTILL_STUDENT_TRAIN_HASH_H

#include "src/base/hash.h"
#include "src/student/train.h"

/*
 * Options, rows, the model's config and a sample of its weights (the first row
 * of every matrix), the first values of what is trained, backend and threads:
 * call it before the first step.
 */
int train_hash(char hex[HASH_HEX_ROOM], const struct trainee *trainee, const struct train_row *rows, size_t n,
	       const struct train_options *options, struct err *err);

#endif
