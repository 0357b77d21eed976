// SPDX-License-Identifier: Apache-2.0
/* answer_parts.h - what the files of answer extraction share; not for other rooms. */
#ifndef BALDISTILL_DATASET_ANSWER_PARTS_H
#define BALDISTILL_DATASET_ANSWER_PARTS_H

#include "src/dataset/answer.h"

/* ---- answer_choice.c: letters of n choices, A the first; *index is set where one is found ---- */

/* Bytes of a letter in brackets (any case) or a capital alone at text[at]; 0 where none is. A word begins there. */
size_t answer_letter_at(size_t *index, size_t choices, const char *text, size_t n, size_t at);
/* Is a small letter alone all that the sentence says, but for words such as "option"? */
bool answer_small_letter(size_t *index, size_t choices, struct span s);
/* Is s a letter in any case, in brackets or not, and nothing else? */
bool answer_only_letter(size_t *index, size_t choices, struct span s);

/* ---- answer_index.c ---- */

/* Numbers of the n names that may match where the character `first` (of words_char) stands, rising; the index's. */
const size_t *answer_index_at(const struct answer_index *index, uint32_t first, size_t *n);

/* ---- answer_math.c ---- */

/* The content of the only \boxed{...} of a closing sentence, else the sentence. */
struct span answer_boxed_inside(struct span s);
/* The last \boxed{...}, else the last number of a text; empty where neither is. */
struct span answer_without_closing(const char *text, size_t n);

/* ---- answer_spell.c ---- */

/* Without layout, dollars, %, degrees and the braces of \text; fractions and roots with all their braces. free(). */
char *answer_spell(size_t *length, const char *text, size_t n, struct err *err);

#endif
