// SPDX-License-Identifier: Apache-2.0
/* select_parts.h - a selection in the making, for select*.c. */
#ifndef BALDISTILL_PIPELINE_SELECT_PARTS_H
#define BALDISTILL_PIPELINE_SELECT_PARTS_H

#include "src/pipeline/select.h"

/* All arrays by row of the pool but `candidate`. */
struct selection {
	struct run *run;
	int64_t k;
	struct allocation allocation;
	int64_t *replacement; /* [l] */
	size_t *candidate;    /* [candidates], in query order */
	size_t candidates;
	struct ifd_score *score;
	bool *scored, *chosen;
};

/* select_file.c: allocation.json and scores.jsonl into `work`. */
int selection_save(const struct selection *selection, const char *work, struct err *err);

#endif
