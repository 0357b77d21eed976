// SPDX-License-Identifier: Apache-2.0
/*
 * train_set.h - encoded examples as rows to train on.
 *
 *     struct train_set set = {.max_length = 1024, .completion_only = true};
 *     for each row: example_encode(…) and train_set_add(&set, &example, &info, &err);
 *     train_set_finish(&set);                    // now set.rows[0 … set.n)
 *     student_train(&trainee, set.rows, set.n, …);
 *     train_set_release(&set);
 *
 * Targets are the completion's tokens, its end token among them; without
 * completion_only all tokens but the first. A row longer than max_length loses
 * its last tokens and is counted in `cut`; one that has no target left is an
 * error (ERR_DATA).
 */
#ifndef BALDISTILL_STUDENT_TRAIN_SET_H
#define BALDISTILL_STUDENT_TRAIN_SET_H

#include "src/student/student.h"
#include "src/student/train.h"

#ifdef __cplusplus
extern "C" {
#endif

struct train_set {
	int64_t max_length;    /* set before the first row */
	bool completion_only;
	struct train_row *rows;
	size_t n, room;
	size_t cut;            /* rows that lost tokens */
	int64_t tokens, targets;
	int32_t *ids;          /* of all rows; private */
	size_t ids_n, ids_room;
};

/* What a row is called. */
struct train_row_info {
	uint32_t key;       /* of its dropout masks */
	size_t line;
	const char *domain; /* borrowed until release; NULL: none */
};

int train_set_add(struct train_set *set, const struct example_ids *example, const struct train_row_info *info,
		  struct err *err);
void train_set_finish(struct train_set *set);
void train_set_release(struct train_set *set);

#ifdef __cplusplus
}
#endif
#endif
