// SPDX-License-Identifier: Apache-2.0
/* collection_parts.h - how a dataset lays out a question, and what reads it. */
#ifndef BALDISTILL_DATASET_COLLECTION_PARTS_H
#define BALDISTILL_DATASET_COLLECTION_PARTS_H

#include "src/base/jsonio.h"
#include "src/dataset/examples.h"

enum { PLACE_KEYS = 3, CHOICE_KEYS = 5 };

/* A member of a row, by the keys that lead to it; none: the row itself, or nothing. */
struct place {
	const char *key[PLACE_KEYS + 1]; /* NULL-ended */
};

/* Where the right choice or answer stands, and what is written there. */
enum answer_form {
	ANSWER_LETTER,    /* "B": the second choice */
	ANSWER_FROM_0,    /* 1 or "1": the second choice */
	ANSWER_FROM_1,    /* 2 or "2": the second choice */
	ANSWER_LABELLED,  /* the label of a choice, whatever the labels are */
	ANSWER_TEXTS,     /* a list of texts */
	ANSWER_OBJECTS,   /* a list of {text, ...} */
	ANSWER_DROP,      /* {number, date: {day, month, year}, spans: [text]}, one of which is filled */
};

struct layout {
	enum answer_type type;
	const char *name;
	struct place context, question, choices, answer;
	const char *choice[CHOICE_KEYS + 1]; /* of choices, where each is a member of its own; NULL-ended */
	enum answer_form form;
};

struct json_value place_in(struct json_value row, const struct place *place);

/* The layout of a row by the fields that are there; NULL with ERR_DATA naming all that were looked for. */
const struct layout *layout_of(struct json_value row, enum answer_type type, struct err *err);

/* A row's input, label and choices; texts belong to the arena. */
int layout_read(struct example *example, const struct layout *layout, struct json_value row, struct arena *arena,
		struct err *err);

#endif
