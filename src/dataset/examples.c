// SPDX-License-Identifier: Apache-2.0
#include "src/dataset/examples.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/dataset/rows.h"

enum { NAMES = 3, SHOWN = 128 };

/* Keys under which a field is looked for, unless it is named. */
static const char *const usual_input[NAMES + 1] = {"input", "text"};
static const char *const usual_label[NAMES + 1] = {"label", "answer", "gt_choice"};
static const char *const usual_domain[NAMES + 1] = {"domain", "source"};
static const char *const usual_choices[NAMES + 1] = {"choices"};

/* ---- values -------------------------------------------------------------------------------- */

/* The member of that name, or the first of the usual ones that is there; else an absent one under the first name. */
static struct json_value field(struct json_value row, const char *name, const char *const usual[])
{
	if (name)
		return json_in(row, name);
	for (size_t i = 0; usual[i]; i++)
		if (json_kind(json_in(row, usual[i])) != JSON_ABSENT)
			return json_in(row, usual[i]);
	return json_in(row, usual[0]);
}

static bool blank(const char *text)
{
	return !text[strspn(text, " \t\r\n")];
}

static int read_text(const char **out, struct json_value value, const char *what, struct err *err)
{
	if (json_get_string(value, out, NULL, err))
		return -1;
	return blank(*out) ? err_set(err, ERR_DATA, "the %s is empty", what) : 0;
}

/* A text, or a number as it is written. */
static int read_label(const char **out, struct arena *arena, struct json_value value, struct err *err)
{
	enum json_kind kind = json_kind(value);
	if (kind != JSON_INTEGER && kind != JSON_DOUBLE)
		return read_text(out, value, "label", err);
	struct json_writer w;
	json_writer_init(&w, 0);
	json_put_value(&w, value);
	const char *text = json_writer_text(&w, NULL, err);
	*out = text ? arena_strdup(arena, text, err) : NULL;
	json_writer_release(&w);
	return *out ? 0 : -1;
}

static int read_choices(struct example *example, struct arena *arena, struct json_value list, struct err *err)
{
	if (json_get_length(list, &example->n_choices, err))
		return -1;
	if (example->n_choices < 2)
		return err_set(err, ERR_DATA, "the list of choices needs two at least");
	const char **choices = arena_array(arena, example->n_choices, sizeof *choices, err);
	for (size_t i = 0; choices && i < example->n_choices; i++)
		if (read_text(&choices[i], json_at(list, i), "choice", err))
			return -1;
	example->choices = choices;
	return choices ? 0 : -1;
}

/* The label must be one of the choices, or no answer to this row can be right. */
static int check_choice(const struct example *example, struct err *err)
{
	struct answer_task task = {ANSWER_CHOICE, example->choices, example->n_choices};
	struct answer gold;
	char shown[SHOWN];
	answer_gold(&gold, &task, example->label, strlen(example->label));
	if (gold.found)
		return 0;
	return err_set(err, ERR_DATA, "label '%s' is none of the %zu choices, neither by letter nor by text",
		       text_escape(shown, sizeof shown, example->label, strlen(example->label)), example->n_choices);
}

/* For classification the label, which a key "domain" must not contradict. */
static int read_domain(const char **out, struct json_value row, enum answer_type type,
		       const struct example_fields *fields, const char *label, struct err *err)
{
	char shown[2][SHOWN];
	if (type != ANSWER_CLASS)
		return read_text(out, field(row, fields->domain, usual_domain), "domain", err);
	struct json_value value = json_in(row, fields->domain ? fields->domain : usual_domain[0]);
	if (json_opt_string(value, label, out, NULL, err))
		return -1;
	if (!strcmp(*out, label))
		return 0;
	return err_set(err, ERR_DATA, "domain '%s' is not the label '%s'; in a classification they are the same",
		       text_escape(shown[0], SHOWN, *out, strlen(*out)),
		       text_escape(shown[1], SHOWN, label, strlen(label)));
}

/* Under a key that was named a row has an id. */
static int expect_id(struct json_value id, struct err *err)
{
	return json_kind(id) == JSON_INTEGER ? 0 : json_expect(id, JSON_STRING, err);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int read_row(struct examples *examples, const struct row *row, enum answer_type type,
		    const struct example_fields *fields, struct err *err)
{
	struct example example = {.id = row->id, .line = row->line};
	struct json_value root = json_root(row->doc);
	const char *domain;
	if ((fields->id && expect_id(json_in(root, fields->id), err)) ||
	    read_text(&example.input, field(root, fields->input, usual_input), "input", err) ||
	    read_label(&example.label, &examples->arena, field(root, fields->label, usual_label), err) ||
	    read_domain(&domain, root, type, fields, example.label, err))
		return -1;
	if (type == ANSWER_CHOICE &&
	    (read_choices(&example, &examples->arena, field(root, fields->choices, usual_choices), err) ||
	     check_choice(&example, err)))
		return -1;
	return examples_add(examples, &example, domain, err);
}

int examples_load(struct examples *examples, const char *path, enum answer_type type,
		  const struct example_fields *fields, struct err *err)
{
	static const struct example_fields usual;
	struct rows rows;
	int rc = 0;
	examples_init(examples);
	examples->path = path;
	if (rows_load_by(&rows, path, fields && fields->id ? fields->id : "id", err))
		return -1;
	for (size_t i = 0; !rc && i < rows.n; i++)
		if (read_row(examples, &rows.row[i], type, fields ? fields : &usual, err))
			rc = row_refuse(&rows, i, err);
	if (!rc && !rows.n)
		rc = err_set(err, ERR_DATA, "%s: no row", path);
	rows_release(&rows);
	if (!rc)
		rc = examples_group(examples, err);
	if (rc)
		examples_release(examples);
	return rc;
}
