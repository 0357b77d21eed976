// SPDX-License-Identifier: Apache-2.0
/* examples_parts.h - what the files that read and draw rows share. */
#ifndef BALDISTILL_DATASET_EXAMPLES_PARTS_H
#define BALDISTILL_DATASET_EXAMPLES_PARTS_H

#include "src/base/jsonio.h"
#include "src/dataset/examples.h"

/* A text without the white space around it, which no answer would repeat; as a name, not "". */
int example_trimmed(const char **out, struct json_value value, struct arena *arena, struct err *err);
int example_name(const char **out, struct json_value value, const char *what, struct arena *arena, struct err *err);

/* What is drawn for; each has random numbers of its own. */
enum examples_purpose { EXAMPLES_SPLIT = 1, EXAMPLES_ZIPF, EXAMPLES_KEEP, EXAMPLES_DRAW };

/*
 * chosen[row] for count[d] rows of each domain, for EXAMPLES_DRAW count[0] rows
 * of all; released with free().
 */
bool *examples_choose(const struct examples *examples, const size_t *count, uint64_t seed, enum examples_purpose what,
		      struct err *err);

#endif
