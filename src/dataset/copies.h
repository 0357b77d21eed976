// SPDX-License-Identifier: Apache-2.0
/*
 * copies.h - texts that are, word for word or nearly, others that are known.
 *
 * Texts are compared as lists of words (words.h) and of signs between or behind
 * them, as + * / = < > ^ % #: case, punctuation, blanks and the marks of headings,
 * lists and stress do not count. Two are equal where their lists are; a text overlaps another
 * by the share of its distinct runs of 8 words that the other has too, and a
 * share of COPIES_HIGH or more makes it a near copy. A text of fewer than 8
 * words can only be equal. Runs that more than 20 known texts and more than
 * one in five have are usual: an instruction that stands in front of every
 * question says nothing of the questions, so they do not count. A passage that
 * many questions are about is rarer, and counts.
 *
 *     struct copies *known = copies_new(texts, n, NULL, &err);
 *     struct copies_match match;
 *     if (copies_find(&match, known, text, length, &err))
 *             return -1;
 *     if (match.equal || match.share >= COPIES_HIGH)
 *             … text[match.index] …
 *     copies_free(known);
 *
 * Words and runs are known by 64-bit hashes; texts are not kept. One thread at
 * a time may look something up. Failures: ERR_MEMORY.
 */
#ifndef BALDISTILL_DATASET_COPIES_H
#define BALDISTILL_DATASET_COPIES_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { COPIES_RUN = 8 }; /* words */
#define COPIES_HIGH 0.5  /* of a text's runs: half of it was taken over */

struct copies;

/* `also`: runs that are usual there are so here, too; borrowed; NULL: none. */
struct copies *copies_new(const char *const *texts, size_t n, const struct copies *also, struct err *err);
void copies_free(struct copies *copies);

struct copies_match {
	bool equal;
	double share; /* of the text's runs that the known text has; 0 where none is shared */
	size_t index; /* of the known text: the equal one, else the one with the largest share, the first of them */
};

/* The known text nearest to this one. */
int copies_find(struct copies_match *match, const struct copies *copies, const char *text, size_t n, struct err *err);

/* All known texts that are equal or near copies, in their order: (*list)[0 ... *n), released with free(). */
int copies_near(struct copies_match **list, size_t *n, const struct copies *copies, const char *text, size_t length,
		struct err *err);

#ifdef __cplusplus
}
#endif
#endif
