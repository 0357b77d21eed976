// SPDX-License-Identifier: Apache-2.0
/* The layouts of public datasets, and which of them a row has. */
#include <stdlib.h>
#include <string.h>

#include "src/base/grown.h"
#include "src/dataset/collection_parts.h"

/* Of two layouts that a row could have the one that asks for more comes first; the manual page has the same table. */
static const struct layout layouts[] = {
	{ANSWER_CHOICE, "race", {{"article"}}, {{"question"}}, {{"options"}}, {{"answer"}}, {NULL}, ANSWER_LETTER},
	{ANSWER_CHOICE, "mctest", {{"story"}}, {{"question"}}, {{"answer_options"}}, {{"answer"}},
	 {"A", "B", "C", "D"}, ANSWER_LETTER},
	{ANSWER_CHOICE, "winogrande", {{NULL}}, {{"sentence"}}, {{NULL}}, {{"answer"}}, {"option1", "option2"},
	 ANSWER_FROM_1},
	{ANSWER_CHOICE, "siqa", {{"context"}}, {{"question"}}, {{NULL}}, {{"label"}},
	 {"answerA", "answerB", "answerC"}, ANSWER_FROM_1},
	{ANSWER_CHOICE, "siqa-dims", {{"context"}}, {{"question"}}, {{NULL}}, {{"label_letter"}},
	 {"answerA", "answerB", "answerC"}, ANSWER_LETTER},
	{ANSWER_CHOICE, "siqa-site", {{"context"}}, {{"question"}}, {{NULL}}, {{"correct"}},
	 {"answerA", "answerB", "answerC"}, ANSWER_LETTER},
	{ANSWER_CHOICE, "cosmosqa", {{"context"}}, {{"question"}}, {{NULL}}, {{"label"}},
	 {"answer0", "answer1", "answer2", "answer3"}, ANSWER_FROM_0},
	{ANSWER_CHOICE, "reclor", {{"context"}}, {{"question"}}, {{"answers"}}, {{"label"}}, {NULL}, ANSWER_FROM_0},
	{ANSWER_CHOICE, "piqa", {{NULL}}, {{"goal"}}, {{NULL}}, {{"label"}}, {"sol1", "sol2"}, ANSWER_FROM_0},
	{ANSWER_CHOICE, "ai2-site", {{NULL}}, {{"question", "stem"}}, {{"question", "choices"}}, {{"answerKey"}}, {NULL},
	 ANSWER_LABELLED},
	{ANSWER_CHOICE, "obqa", {{NULL}}, {{"question_stem"}}, {{"choices"}}, {{"answerKey"}}, {NULL}, ANSWER_LABELLED},
	{ANSWER_CHOICE, "ai2", {{NULL}}, {{"question"}}, {{"choices"}}, {{"answerKey"}}, {NULL}, ANSWER_LABELLED},
	{ANSWER_CHOICE, "hellaswag", {{NULL}}, {{"ctx"}}, {{"endings"}}, {{"label"}}, {NULL}, ANSWER_FROM_0},
	{ANSWER_CHOICE, "mmlu", {{NULL}}, {{"question"}}, {{"choices"}}, {{"answer"}}, {NULL}, ANSWER_FROM_0},
	{ANSWER_QA, "narrativeqa", {{"document", "summary", "text"}}, {{"question", "text"}}, {{NULL}}, {{"answers"}},
	 {NULL}, ANSWER_OBJECTS},
	{ANSWER_QA, "drop", {{"passage"}}, {{"question"}}, {{NULL}}, {{"answers_spans", "spans"}}, {NULL}, ANSWER_TEXTS},
	{ANSWER_QA, "drop-site", {{"passage"}}, {{"question"}}, {{NULL}}, {{"answer"}}, {NULL}, ANSWER_DROP},
	{ANSWER_QA, "tweetqa", {{"Tweet"}}, {{"Question"}}, {{NULL}}, {{"Answer"}}, {NULL}, ANSWER_TEXTS},
	{ANSWER_QA, "squad", {{"context"}}, {{"question"}}, {{NULL}}, {{"answers", "text"}}, {NULL}, ANSWER_TEXTS},
	{ANSWER_QA, "qaconv", {{"context"}}, {{"question"}}, {{NULL}}, {{"answers"}}, {NULL}, ANSWER_TEXTS},
	{ANSWER_QA, "nqopen", {{NULL}}, {{"question"}}, {{NULL}}, {{"answer"}}, {NULL}, ANSWER_TEXTS},
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

struct json_value place_in(struct json_value row, const struct place *place)
{
	for (size_t i = 0; place->key[i]; i++)
		row = json_in(row, place->key[i]);
	return row;
}

/* ---- recognising ------------------------------------------------------------------------------- */

static bool is_there(struct json_value row, const struct place *place)
{
	return json_kind(place_in(row, place)) != JSON_ABSENT;
}

static bool fits(struct json_value row, const struct layout *layout)
{
	const struct json_value choices = place_in(row, &layout->choices), answer = place_in(row, &layout->answer);
	bool labelled = layout->form == ANSWER_LABELLED || layout->choice[0];
	for (size_t i = 0; layout->choice[i]; i++)
		if (json_kind(json_in(choices, layout->choice[i])) == JSON_ABSENT)
			return false;
	if (layout->form == ANSWER_TEXTS && json_kind(answer) != JSON_ARRAY)
		return false;
	if (layout->form == ANSWER_DROP && json_kind(answer) != JSON_OBJECT)
		return false;
	return json_kind(place_in(row, &layout->question)) == JSON_STRING && json_kind(answer) != JSON_ABSENT &&
	       is_there(row, &layout->context) && (labelled || is_there(row, &layout->choices));
}

/* ---- refusing ---------------------------------------------------------------------------------- */

static void put_place(struct grown *out, const struct place *place, const char *last)
{
	if (!place->key[0] && !last)
		return;
	grown_put(out, " ");
	for (size_t i = 0; place->key[i]; i++) {
		grown_put(out, i ? "." : "");
		grown_put(out, place->key[i]);
	}
	grown_put(out, place->key[0] && last ? "." : "");
	grown_put(out, last ? last : "");
}

static void put_layout(struct grown *out, const struct layout *layout)
{
	grown_put(out, out->n ? "; " : "");
	grown_put(out, layout->name);
	put_place(out, &layout->question, NULL);
	put_place(out, &layout->context, NULL);
	if (!layout->choice[0])
		put_place(out, &layout->choices, NULL);
	for (size_t i = 0; layout->choice[i]; i++)
		put_place(out, &layout->choices, layout->choice[i]);
	put_place(out, &layout->answer, NULL);
}

const struct layout *layout_of(struct json_value row, enum answer_type type, struct err *err)
{
	struct grown all = {0};
	for (size_t i = 0; i < LAYOUTS; i++)
		if (layouts[i].type == type && fits(row, &layouts[i]))
			return &layouts[i];
	for (size_t i = 0; i < LAYOUTS; i++)
		if (layouts[i].type == type)
			put_layout(&all, &layouts[i]);
	char *list = grown_take(&all, err);
	if (list)
		err_set(err, ERR_DATA, "no known layout; looked for all fields of one of: %s", list);
	free(list);
	return NULL;
}
