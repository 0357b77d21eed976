// SPDX-License-Identifier: Apache-2.0
/* One row of a dataset, read by its layout. */
#include <stdlib.h>
#include <string.h>

#include "src/base/grown.h"
#include "src/base/text.h"
#include "src/dataset/collection_parts.h"
#include "src/dataset/examples_parts.h"

/* ---- texts --------------------------------------------------------------------------------------- */

static int read_input(const char **out, const struct layout *layout, struct json_value row, struct arena *arena,
		      struct err *err)
{
	const char *question, *context;
	if (example_name(&question, place_in(row, &layout->question), "question", arena, err))
		return -1;
	*out = question;
	if (!layout->context.key[0])
		return 0;
	if (example_trimmed(&context, place_in(row, &layout->context), arena, err))
		return -1;
	char *both = *context ? grown_format(err, "%s\n\n%s", context, question) : NULL;
	if (*context)
		*out = both ? arena_strdup(arena, both, err) : NULL;
	free(both);
	return *out ? 0 : -1;
}

/* ---- choices --------------------------------------------------------------------------------------- */

/* A list of texts, of {label, text} objects, or an object {label: [], text: []}: choice i, or its label. */
static struct json_value choice_at(struct json_value choices, size_t i, const char *part)
{
	if (json_kind(choices) == JSON_OBJECT)
		return json_at(json_in(choices, part), i);
	struct json_value one = json_at(choices, i);
	return json_kind(one) == JSON_OBJECT ? json_in(one, part) : one;
}

static int count_choices(size_t *n, const struct layout *layout, struct json_value choices, struct err *err)
{
	for (*n = 0; layout->choice[*n];)
		++*n;
	if (*n)
		return 0;
	if (json_get_length(json_kind(choices) == JSON_OBJECT ? json_in(choices, "text") : choices, n, err))
		return -1;
	return *n < 2 ? err_set(err, ERR_DATA, "a question needs two choices at least") : 0;
}

static int read_choices(struct example *example, const struct layout *layout, struct json_value row,
			struct arena *arena, struct err *err)
{
	const struct json_value choices = place_in(row, &layout->choices);
	if (count_choices(&example->n_choices, layout, choices, err))
		return -1;
	const char **text = arena_array(arena, example->n_choices, sizeof *text, err);
	for (size_t i = 0; text && i < example->n_choices; i++) {
		struct json_value one = layout->choice[0] ? json_in(choices, layout->choice[i])
							  : choice_at(choices, i, "text");
		if (example_name(&text[i], one, "choice", arena, err))
			return -1;
	}
	example->choices = text;
	return text ? 0 : -1;
}

/* ---- the right choice --------------------------------------------------------------------------------- */

/* A key is a text or a whole number, as it is written. */
static int read_key(const char **out, struct json_value value, struct arena *arena, struct err *err)
{
	int64_t number;
	if (json_kind(value) != JSON_INTEGER)
		return example_trimmed(out, value, arena, err);
	if (json_get_int64(value, &number, err))
		return -1;
	char *text = grown_format(err, "%lld", (long long)number);
	*out = text ? arena_strdup(arena, text, err) : NULL;
	free(text);
	return *out ? 0 : -1;
}

/* The index that a letter or a number means, or SIZE_MAX. */
static size_t index_of(const char *key, enum answer_form form)
{
	if (form == ANSWER_LETTER)
		return key[0] >= 'A' && key[0] <= 'Z' && !key[1] ? (size_t)(key[0] - 'A') : SIZE_MAX;
	if (!*key || strlen(key) > 3 || key[strspn(key, "0123456789")])
		return SIZE_MAX;
	return strtoul(key, NULL, 10) - (form == ANSWER_FROM_1); /* 0 - 1 is SIZE_MAX */
}

static int find_label(size_t *index, struct json_value choices, size_t n, const char *key, struct arena *arena,
		      struct err *err)
{
	const char *label;
	for (*index = 0; *index < n; ++*index) {
		if (read_key(&label, choice_at(choices, *index, "label"), arena, err))
			return -1;
		if (!strcmp(label, key))
			break;
	}
	return 0;
}

static int read_choice(struct example *example, const struct layout *layout, struct json_value row,
		       struct arena *arena, struct err *err)
{
	static const char *const says[] = {[ANSWER_LETTER] = "the letter", [ANSWER_FROM_0] = "the number, from 0,",
					   [ANSWER_FROM_1] = "the number, from 1,", [ANSWER_LABELLED] = "the label"};
	const char *key;
	char shown[64];
	size_t index;
	if (read_choices(example, layout, row, arena, err) ||
	    read_key(&key, place_in(row, &layout->answer), arena, err))
		return -1;
	index = layout->form == ANSWER_LABELLED ? 0 : index_of(key, layout->form);
	if (layout->form == ANSWER_LABELLED &&
	    find_label(&index, place_in(row, &layout->choices), example->n_choices, key, arena, err))
		return -1;
	if (index >= example->n_choices)
		return err_set(err, ERR_DATA, "the answer '%s' is not %s of one of the %zu choices (layout %s)",
			       text_escape(shown, sizeof shown, key, strlen(key)), says[layout->form],
			       example->n_choices, layout->name);
	example->label = example->choices[index];
	return 0;
}

/* ---- answers in words ----------------------------------------------------------------------------------- */

static int read_first(const char **out, const struct layout *layout, struct json_value list, struct arena *arena,
		      struct err *err)
{
	size_t n;
	if (json_get_length(list, &n, err))
		return -1;
	if (!n)
		return err_set(err, ERR_DATA, "the row has no answer; test sets without answers cannot be used");
	struct json_value one = json_at(list, 0);
	return example_name(out, layout->form == ANSWER_OBJECTS ? json_in(one, "text") : one, "answer", arena, err);
}

/* Texts one after the other, `between` between two of them; empty ones are left out. */
static int put_texts(struct grown *out, const struct json_value *value, size_t n, const char *between,
		     struct arena *arena, struct err *err)
{
	const char *text;
	for (size_t i = 0; i < n; i++) {
		if (json_kind(value[i]) == JSON_ABSENT)
			continue;
		if (read_key(&text, value[i], arena, err))
			return -1;
		grown_put(out, *text && out->n ? between : "");
		grown_put(out, text);
	}
	return 0;
}

/* A number, a date, or spans with commas between. */
static int put_drop(struct grown *out, struct json_value answer, struct arena *arena, struct err *err)
{
	const struct json_value number = json_in(answer, "number"), date = json_in(answer, "date");
	const struct json_value dates[] = {json_in(date, "day"), json_in(date, "month"), json_in(date, "year")};
	size_t n;
	if (put_texts(out, &number, 1, "", arena, err) || put_texts(out, dates, 3, " ", arena, err) ||
	    json_get_length(json_in(answer, "spans"), &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct json_value span = json_at(json_in(answer, "spans"), i);
		if (put_texts(out, &span, 1, ", ", arena, err))
			return -1;
	}
	return 0;
}

static int read_drop(const char **out, struct json_value answer, struct arena *arena, struct err *err)
{
	struct grown all = {0};
	int rc = put_drop(&all, answer, arena, err);
	if (rc || !all.n) {
		grown_release(&all);
		return rc ? rc : err_set(err, ERR_DATA, "the answer has neither number nor date nor spans");
	}
	char *text = grown_take(&all, err);
	*out = text ? arena_strdup(arena, text, err) : NULL;
	free(text);
	return *out ? 0 : -1;
}

int layout_read(struct example *example, const struct layout *layout, struct json_value row, struct arena *arena,
		struct err *err)
{
	const struct json_value answer = place_in(row, &layout->answer);
	if (read_input(&example->input, layout, row, arena, err))
		return -1;
	if (layout->type == ANSWER_CHOICE)
		return read_choice(example, layout, row, arena, err);
	if (layout->form == ANSWER_DROP)
		return read_drop(&example->label, answer, arena, err);
	return read_first(&example->label, layout, answer, arena, err);
}
