// SPDX-License-Identifier: Apache-2.0
#include "src/dataset/examples_parts.h"

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

/* The member of that name, or the first of the usual ones that is there; without any: which, and how to name another. */
static int find(struct json_value *out, struct json_value row, const char *name, const char *const usual[],
		struct err *err)
{
	*out = json_in(row, name ? name : usual[0]);
	for (size_t i = 1; !name && json_kind(*out) == JSON_ABSENT && usual[i]; i++)
		*out = json_in(row, usual[i]);
	if (name || json_kind(*out) != JSON_ABSENT)
		return 0;
	return err_set(err, ERR_DATA, "'%s' is missing%s%s%s; another key is named by --%s-field, or task.fields.%s in a plan",
		       usual[0], usual[1] ? ", and so is '" : "", usual[1] ? usual[1] : "", usual[1] ? "'" : "", usual[0],
		       usual[0]);
}

static bool blank(const char *text)
{
	return !text[strspn(text, " \t\r\n")];
}

static int read_input(const char **out, struct json_value value, struct err *err)
{
	if (json_get_string(value, out, NULL, err))
		return -1;
	return blank(*out) ? err_set(err, ERR_DATA, "the input is empty") : 0;
}

int example_trimmed(const char **out, struct json_value value, struct arena *arena, struct err *err)
{
	const char *text;
	if (json_get_string(value, &text, NULL, err))
		return -1;
	struct span s = span_trim((struct span){text, strlen(text)});
	*out = arena_strndup(arena, s.text, s.n, err);
	return *out ? 0 : -1;
}

int example_name(const char **out, struct json_value value, const char *what, struct arena *arena, struct err *err)
{
	if (example_trimmed(out, value, arena, err))
		return -1;
	return **out ? 0 : err_set(err, ERR_DATA, "the %s is empty", what);
}

/* A text, or a number as it is written. */
static int read_label(const char **out, struct arena *arena, struct json_value value, const char *what, struct err *err)
{
	enum json_kind kind = json_kind(value);
	if (kind != JSON_INTEGER && kind != JSON_DOUBLE)
		return example_name(out, value, what, arena, err);
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
		if (example_name(&choices[i], json_at(list, i), "choice", arena, err))
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

/* The label of a math example is its final answer: of a solution that ends in "#### 72", as GSM8K writes it, what follows. */
static int final_answer(const char **label, struct arena *arena, struct err *err)
{
	static const char mark[] = "####";
	const char *last = NULL;
	for (const char *at = *label; (at = strstr(at, mark)); at += sizeof mark - 1)
		if (at == *label || at[-1] == '\n')
			last = at + sizeof mark - 1;
	if (!last)
		return 0;
	struct span s = span_trim((struct span){last, strlen(last)});
	*label = arena_strndup(arena, s.text, s.n, err);
	if (*label && !s.n)
		return err_set(err, ERR_DATA, "the label ends in '####' without an answer");
	return *label ? 0 : -1;
}

/* For classification the label, which a key "domain" must not contradict. */
static int read_domain(const char **out, struct arena *arena, struct json_value row, enum answer_type type,
		       const char *name, const char *label, struct err *err)
{
	char shown[2][SHOWN];
	struct json_value value;
	if (type != ANSWER_CLASS)
		return find(&value, row, name, usual_domain, err) || read_label(out, arena, value, "domain", err) ? -1 : 0;
	value = json_in(row, name ? name : usual_domain[0]);
	*out = label;
	if (!json_is_there(value))
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

/* Its texts, but for the input, lie in the arena; *domain's, too. */
static int read_example(struct example *example, const char **domain, const struct reading *r, struct json_value root,
			struct arena *arena, struct err *err)
{
	const struct example_fields *fields = r->fields;
	struct json_value input, label, choices;
	if ((fields->id && expect_id(json_in(root, fields->id), err)) ||
	    find(&input, root, fields->input, usual_input, err) || read_input(&example->input, input, err) ||
	    find(&label, root, fields->label, usual_label, err) ||
	    read_label(&example->label, arena, label, "label", err) ||
	    (r->type == ANSWER_MATH && final_answer(&example->label, arena, err)) ||
	    read_domain(domain, arena, root, r->type, fields->domain, example->label, err))
		return -1;
	if (r->type != ANSWER_CHOICE)
		return 0;
	return find(&choices, root, fields->choices, usual_choices, err) || read_choices(example, arena, choices, err) ||
			       check_choice(example, err) ? -1 : 0;
}

static int read_row(void *context, struct row *row, struct err *err)
{
	const struct reading *r = context;
	struct example example = {.id = row->id, .line = row->line};
	struct arena arena;
	const char *domain;
	arena_init(&arena);
	int rc = read_example(&example, &domain, r, json_root(row->doc), &arena, err) ||
				 examples_add(r->examples, &example, domain, err)
			 ? -1 : 0;
	arena_release(&arena);
	return rc;
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
