// SPDX-License-Identifier: Apache-2.0
/*
 * collection.h - many public datasets as one, a domain each.
 *
 *     DIR/train/NAME.jsonl, DIR/test/NAME.jsonl
 *
 * Each file is a dataset as JSON Lines in the layout of its own site or of the
 * Hugging Face hub; the table in collection_layout.c has them all. Which one it
 * is, the fields of the file's first row tell; every other row must be alike.
 * NAME is the domain. DIR/test may be missing.
 *
 *     collection_load(&pool, &test, ANSWER_CHOICE, "mcqa", NULL, &err)
 *     collection_load(&pool, &test, ANSWER_CHOICE, "mcqa", "Race=middle.jsonl,Race=high.jsonl", &err)
 *
 * The second names the files, and what domain each is, in place of all of them.
 *
 * The input is the question, behind its passage and an empty line where there
 * is one; the label of a multiple choice is the text of the right choice, else
 * the first of the answers given. White space around a text is left out. The id
 * is "train/NAME/LINE".
 *
 * Failures: ERR_NOINPUT where the folder or a file is not there, ERR_CONFIG for
 * a list that cannot be read, ERR_DATA with "FILE:LINE: rule", ERR_MEMORY.
 */
#ifndef BALDISTILL_DATASET_COLLECTION_H
#define BALDISTILL_DATASET_COLLECTION_H

#include "src/dataset/examples.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * type: ANSWER_CHOICE or ANSWER_QA; named: "DOMAIN=FILE,..." below both sides,
 * or NULL. Both sets are filled and grouped; release them with
 * examples_release, also after a failure.
 */
int collection_load(struct examples *pool, struct examples *test, enum answer_type type, const char *directory,
		    const char *named, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
