// SPDX-License-Identifier: Apache-2.0
/*
 * math_set.h - MATH (Hendrycks et al. 2021) as examples.
 *
 * Both forms in which it is handed on are read:
 *
 *     DIR/train/SUBJECT/NUMBER.json, DIR/test/SUBJECT/NUMBER.json    one problem a file
 *     DIR/train.jsonl, DIR/test.jsonl                                one problem a line
 *
 * A problem has the keys "problem", "type" and "solution"; others are left
 * out. The input is the problem, the domain its type ("Algebra"), the label
 * what the last \boxed{...} of the solution holds. The id is
 * "train/SUBJECT/NUMBER" or the number of the line.
 *
 * Failures: ERR_NOINPUT where neither form is there, ERR_DATA naming the file,
 * those of file_read, ERR_MEMORY.
 */
#ifndef BALDISTILL_DATASET_MATH_SET_H
#define BALDISTILL_DATASET_MATH_SET_H

#include "src/dataset/examples.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Both sets are filled and grouped; release them with examples_release, also after a failure. */
int math_set_load(struct examples *pool, struct examples *test, const char *directory, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
