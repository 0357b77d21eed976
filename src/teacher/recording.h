// SPDX-License-Identifier: Apache-2.0
/*
 * recording.h - a cassette to read: the rows of a recorded teacher, found by what they answer.
 *
 *     struct recording recording;
 *     if (!recording_open(&recording, path, &err))
 *             rc = recording_find(&recording, &question, &row, &err);
 *     recording_close(&recording);
 *
 * Kept as its text and a sorted table of what each row answers: a digest and the
 * row's place. Rows of equal digest stay in file order, so the k-th attempt
 * finds the k-th of them by itself, after a restart too.
 *
 * Failures: those of file_read; ERR_DATA, with file and line, for a row that is none.
 */
#ifndef BALDISTILL_TEACHER_RECORDING_H
#define BALDISTILL_TEACHER_RECORDING_H

#include "src/teacher/pick.h"
#include "src/teacher/teacher.h"

struct recording_row {
	char hex[HASH_HEX_ROOM]; /* of the question, or of what a parsed row answers */
	size_t at, n;            /* the row's text */
};

struct recording {
	char *path, *text;
	struct recording_row *row; /* [n], sorted by hex, then place */
	size_t n, room;
	bool exact;
};

/* Closed by the caller after a failure, too. */
/* exact: a parsed row is ERR_DATA. */
int recording_open(struct recording *recording, const char *path, bool exact, struct err *err);
void recording_close(struct recording *recording);

/* The row that answers this question, NULL where there is none. */
int recording_find(const struct recording *recording, const struct teacher_question *question,
		   const struct recording_row **row, struct err *err);

/* A row's member `state`; ERR_DATA where it names none. */
int recording_state(enum teacher_state *state, const struct pick *value, struct err *err);

#endif
