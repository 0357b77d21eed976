// SPDX-License-Identifier: Apache-2.0
/*
 * reuters.h - Reuters-21578 (Lewis 1997, distribution 1.0) as examples.
 *
 * A folder with the original 22 files reut2-000.sgm ... reut2-021.sgm gives a
 * pool and a test set by the ModApte split: documents marked TOPICS="YES", with
 * LEWISSPLIT "TRAIN" for the pool and "TEST" for the test set.
 *
 *     R90  every (document, topic) pair of the topics that have both training
 *          and test documents; a document with three topics is three rows
 *     R52  documents of exactly one topic, of the topics that both sides have
 *
 *     struct examples pool, test;
 *     if (reuters_load(&pool, &test, REUTERS_R52, directory, &err))
 *             return -1;
 *
 * An input is "TITLE. BODY" on one line, every run of white space one blank,
 * without the closing "Reuter" and end mark; a brief document has its title
 * alone, one without markup all its text. Entities such as "&lt;" stay as they
 * are written, as in the rows that others publish; bytes are Latin-1. An id is
 * the document's NEWID, for R90 "NEWID/TOPIC" (and "/2" where a document
 * lists a topic twice).
 *
 * Failures: those of file_read, ERR_DATA with "FILE:LINE: rule", ERR_MEMORY.
 */
#ifndef BALDISTILL_DATASET_REUTERS_H
#define BALDISTILL_DATASET_REUTERS_H

#include "src/dataset/examples.h"

#ifdef __cplusplus
extern "C" {
#endif

enum reuters_set { REUTERS_R52, REUTERS_R90 };

enum { REUTERS_FILES = 22 };

/* Both sets are filled and grouped; release them with examples_release, also after a failure. */
int reuters_load(struct examples *pool, struct examples *test, enum reuters_set set, const char *directory,
		 struct err *err);

#ifdef __cplusplus
}
#endif
#endif
