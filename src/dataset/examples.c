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

/* A key that was looked for by its usual names: say which, and how to name another. */
static int missing(struct json_value row, const char *name, const char *const usual[], struct err *err)
{
	if (name || json_kind(field(row, NULL, usual)) != JSON_ABSENT)
		return 0;
	return err_set(err, ERR_DATA, "'%s' is missing%s%s%s; another key is named by --%s-field, or task.fields.%s in a plan",
		       usual[0], usual[1] ? ", and so is '" : "", usual[1] ? usual[1] : "", usual[1] ? "'" : "", usual[0],
		       usual[0]);
}

static int read_input(const char **out, struct json_value value, struct err *err)
{
	if (json_get_string(value, out, NULL, err))
		return -1;
	return blank(*out) ? err_set(err, ERR_DATA, "the input is empty") : 0;
}

/* Without the white space around it, which no answer would repeat. */
static int read_name(const char **out, struct arena *arena, struct json_value value, const char *what, struct err *err)
{
	const char *text;
	if (json_get_string(value, &text, NULL, err))
		return -1;
	struct span s = span_trim((struct span){text, strlen(text)});
	if (!s.n)
		return err_set(err, ERR_DATA, "the %s is empty", what);
	*out = arena_strndup(arena, s.text, s.n, err);
	return *out ? 0 : -1;
}

/* A text, or a number as it is written. */
static int read_label(const char **out, struct arena *arena, struct json_value value, const char *what, struct err *err)
{
	enum json_kind kind = json_kind(value);
	if (kind != JSON_INTEGER && kind != JSON_DOUBLE)
		return read_name(out, arena, value, what, err);
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
		if (read_name(&choices[i], arena, json_at(list, i), "choice", err))
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
static int read_domain(const char **out, struct arena *arena, struct json_value row, enum answer_type type,
		       const char *name, const char *label, struct err *err)
{
	char shown[2][SHOWN];
	if (type != ANSWER_CLASS)
		return missing(row, name, usual_domain, err) ||
			       read_label(out, arena, field(row, name, usual_domain), "domain", err) ? -1 : 0;
	struct json_value value = json_in(row, name ? name : usual_domain[0]);
	*out = label;
	if (json_kind(value) == JSON_ABSENT || json_kind(value) == JSON_NULL)
		return 0;
	if (read_label(out, arena, value, "domain", err))
		return -1;
	if (!strcmp(*out, label))
		return 0;
	return err_set(err, ERR_DATA,
		       "domain '%s' is not the label '%s'; in a classification they are the same (--domain-field, or "
		       "task.fields.domain, may name the label's key)",
		       text_escape(shown[0], SHOWN, *out, strlen(*out)),
		       text_escape(shown[1], SHOWN, label, strlen(label)));
}

/* Under a key that was named a row has an id. */
static int expect_id(struct json_value id, struct err *err)
{
	return json_kind(id) == JSON_INTEGER ? 0 : json_expect(id, JSON_STRING, err);
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct reading {
	struct examples *examples;
	enum answer_type type;
	const struct example_fields *fields;
};

static int read_row(void *context, struct row *row, struct err *err)
{
	const struct reading *r = context;
	const struct example_fields *fields = r->fields;
	struct arena *arena = &r->examples->arena;
	struct example example = {.id = row->id, .line = row->line};
	struct json_value root = json_root(row->doc);
	const char *domain;
	if ((fields->id && expect_id(json_in(root, fields->id), err)) ||
	    missing(root, fields->input, usual_input, err) ||
	    read_input(&example.input, field(root, fields->input, usual_input), err) ||
	    missing(root, fields->label, usual_label, err) ||
	    read_label(&example.label, arena, field(root, fields->label, usual_label), "label", err) ||
	    read_domain(&domain, arena, root, r->type, fields->domain, example.label, err))
		return -1;
	if (r->type == ANSWER_CHOICE &&
	    (missing(root, fields->choices, usual_choices, err) ||
	     read_choices(&example, arena, field(root, fields->choices, usual_choices), err) ||
	     check_choice(&example, err)))
		return -1;
	return examples_add(r->examples, &example, domain, err);
}

int examples_load(struct examples *examples, const char *path, enum answer_type type,
		  const struct example_fields *fields, struct err *err)
{
	static const struct example_fields usual;
	struct reading reading = {examples, type, fields ? fields : &usual};
	const struct rows_reader reader = {.path = path, .id_key = reading.fields->id ? reading.fields->id : "id",
					   .take = read_row, .context = &reading};
	examples_init(examples);
	examples->path = path;
	int rc = rows_read(&reader, err);
	if (!rc && !examples->n)
		rc = err_set(err, ERR_DATA, "%s: no row", path);
	if (rc || examples_expect_ids(examples, err) || examples_group(examples, err)) {
		examples_release(examples);
		return -1;
	}
	return 0;
}
