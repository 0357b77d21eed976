// SPDX-License-Identifier: Apache-2.0
/*
 * prepare.h - what the files of `baldistill prepare` share.
 *
 * cmd-prepare.c      options, sources, what is drawn and dropped
 * prepare_files.c    the output directory
 * prepare_table.c    the table, the notes below it, the JSON
 */
#ifndef BALDISTILL_CMD_PREPARE_H
#define BALDISTILL_CMD_PREPARE_H

#include "src/dataset/examples.h"

struct prepared {
	struct examples pool, test;
	size_t duplicates;         /* rows of the pool equal to one before them */
	struct example_pair *near; /* pool and test rows that are near one another */
	size_t nears, near_rows;   /* near_rows: pool rows among them */
};

/* Fail where what would be written is this input. ERR_CANTCREATE. */
int prepare_spare(const char *directory, const char *input, struct err *err);

/* train.jsonl, test.jsonl where there are test rows (else one that is there is refused), domains.svg. */
int prepare_save(const struct prepared *p, const char *directory, struct err *err);

void prepare_print(const struct prepared *p);
void prepare_print_notes(const struct prepared *p, bool dropped, bool near_dropped);
int prepare_print_json(const struct prepared *p, struct err *err);

#endif
