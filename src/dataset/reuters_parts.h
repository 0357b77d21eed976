// SPDX-License-Identifier: Apache-2.0
/* reuters_parts.h - the markup and the text of a Reuters document; included by src/dataset/reuters*.c alone. */
#ifndef BALDISTILL_DATASET_REUTERS_PARTS_H
#define BALDISTILL_DATASET_REUTERS_PARTS_H

#include "src/base/err.h"
#include "src/dataset/words.h"

/* Spans are borrowed from the text looked into; one with text NULL was not found, and nothing is found in it. */

/* From the first place of `what` to the end of s. */
struct span sgml_find(struct span s, const char *what);
/* What stands between "<NAME" ... ">" and "</NAME>". */
struct span sgml_element(struct span s, const char *name);
/* The value of an attribute in a tag. */
struct span sgml_attribute(struct span tag, const char *name);
bool sgml_is(struct span s, const char *text);

/* The input of an example, as reuters.h has it, from what <TEXT> holds. Released with free(); NULL with ERR_MEMORY. */
char *sgml_text(struct span content, struct err *err);

#endif
