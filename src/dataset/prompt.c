// SPDX-License-Identifier: Apache-2.0
#include "src/dataset/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/grown.h"
#include "src/base/mem.h"
#include "src/base/text.h"

const char *const prompt_file_names[PROMPT_KINDS] = {
	"annotate_gold.txt",
	"annotate.txt",
	"synthesise.txt",
	"student.txt",
};

static const char *const slot_names[PROMPT_SLOTS] = {
	"input", "label", "domain", "domains", "demonstrations", "choices",
};

static const size_t most_bytes = (size_t)1 << 20; /* of a template */

struct prompt_piece {
	int slot; /* enum prompt_slot, or -1: text */
	size_t start, n, line;
};

/* ---- which slots a template must have, and which it may have ------------------------------ */

#define IN      (1u << SLOT_INPUT)
#define LABEL   (1u << SLOT_LABEL)
#define DOMAIN  (1u << SLOT_DOMAIN)
#define ALL     (1u << SLOT_DOMAINS)
#define DEMOS   (1u << SLOT_DEMONSTRATIONS)
#define CHOICES (1u << SLOT_CHOICES)

struct slot_rule {
	unsigned must, may; /* may: besides those it must have */
};

/* Where the gold answer is hidden, so is the domain of a classification, which is the same. */
static const struct slot_rule rules[ANSWER_TYPES][PROMPT_KINDS] = {
	[ANSWER_CLASS] = {{IN | LABEL, ALL | DOMAIN}, {IN | ALL, 0}, {DOMAIN | DEMOS, ALL | LABEL}, {IN, ALL}},
	[ANSWER_CHOICE] = {{IN | LABEL | CHOICES, DOMAIN | ALL},
			   {IN | CHOICES, DOMAIN | ALL},
			   {DOMAIN | DEMOS, ALL},
			   {IN | CHOICES, DOMAIN | ALL}},
	[ANSWER_MATH] = {{IN | LABEL, DOMAIN | ALL}, {IN, DOMAIN | ALL}, {DOMAIN | DEMOS, ALL}, {IN, DOMAIN | ALL}},
	[ANSWER_QA] = {{IN | LABEL, DOMAIN | ALL}, {IN, DOMAIN | ALL}, {DOMAIN | DEMOS, ALL}, {IN, DOMAIN | ALL}},
};

static int check_piece(const struct prompt_piece *piece, const struct slot_rule *rule, const char *path,
		       struct err *err)
{
	if (piece->slot < 0 || ((rule->must | rule->may) & 1u << piece->slot))
		return 0;
	return err_set(err, ERR_CONFIG, "%s:%zu: slot '{%s}' has no place in this template; take it out", path,
		       piece->line, slot_names[piece->slot]);
}

/* Rows share what stands before their input: only what is the same for all may be there. */
static int check_prefix(const struct prompt *prompt, const char *path, struct err *err)
{
	for (size_t i = 0; i < prompt->n && prompt->piece[i].slot != SLOT_INPUT; i++) {
		int slot = prompt->piece[i].slot;
		if (slot >= 0 && slot != SLOT_DOMAINS)
			return err_set(err, ERR_CONFIG,
				       "%s:%zu: slot '{%s}' stands before '{input}'; the student's rows share what "
				       "stands there, "
				       "put it behind",
				       path, prompt->piece[i].line, slot_names[slot]);
	}
	return 0;
}

static int check_slots(const struct prompt *prompt, enum answer_type type, enum prompt_kind kind, const char *path,
		       struct err *err)
{
	const struct slot_rule *rule = &rules[type][kind];
	unsigned missing = rule->must;
	size_t line = 1;
	for (size_t i = 0; i < prompt->n; i++) {
		const struct prompt_piece *piece = &prompt->piece[i];
		if (check_piece(piece, rule, path, err))
			return -1;
		missing &= piece->slot < 0 ? ~0u : ~(1u << piece->slot);
		line = piece->line;
	}
	for (int slot = 0; slot < PROMPT_SLOTS; slot++)
		if (missing & 1u << slot)
			return err_set(err, ERR_CONFIG,
				       "%s:%zu: the template ends without slot '{%s}', which it must have", path, line,
				       slot_names[slot]);
	return kind == PROMPT_STUDENT ? check_prefix(prompt, path, err) : 0;
}

/* ---- reading ------------------------------------------------------------------------------------ */

static int add_piece(struct prompt *prompt, size_t *room, struct prompt_piece piece, struct err *err)
{
	if (piece.slot < 0 && !piece.n)
		return 0;
	if (mem_grow(&prompt->piece, room, prompt->n + 1, sizeof *prompt->piece, err))
		return -1;
	prompt->piece[prompt->n++] = piece;
	return 0;
}

/* Length of "{name}" at text, 0 where it is no such thing. */
static size_t braces(const char *text, size_t n)
{
	size_t at = 1;
	while (at < n && ((text[at] >= 'a' && text[at] <= 'z') || text[at] == '_'))
		at++;
	return at > 1 && at < n && text[at] == '}' ? at + 1 : 0;
}

static int find_slot(const char *name, size_t n)
{
	for (int i = 0; i < PROMPT_SLOTS; i++)
		if (strlen(slot_names[i]) == n && !memcmp(slot_names[i], name, n))
			return i;
	return -1;
}

static int unknown_slot(const char *name, size_t n, size_t line, const char *path, struct err *err)
{
	char shown[64];
	return err_set(
		err, ERR_CONFIG,
		"%s:%zu: unknown slot '{%s}'; slots are input, label, domain, domains, demonstrations and choices "
		"({{...}} for braces as text)",
		path, line, text_escape(shown, sizeof shown, name, n));
}

/* Cut the text into pieces. */
static int split(struct prompt *prompt, size_t n, size_t at, const char *path, struct err *err)
{
	const char *text = prompt->text;
	size_t room = 0, start = at, line = at ? 2 : 1, first = line;
	while (at < n) {
		line += text[at] == '\n';
		size_t length = text[at] == '{' ? braces(text + at, n - at) : 0;
		bool doubled = text[at] == '{' && at + 1 < n && text[at + 1] == '{';
		size_t inner = doubled ? braces(text + at + 1, n - at - 1) : 0;
		if (inner && at + 1 + inner < n && text[at + 1 + inner] == '}') { /* "{{name}}" as "{name}" */
			if (add_piece(prompt, &room, (struct prompt_piece){-1, start, at - start, first}, err) ||
			    add_piece(prompt, &room, (struct prompt_piece){-1, at + 1, inner, line}, err))
				return -1;
			start = at += inner + 2;
			first = line;
			continue;
		}
		if (!length) {
			at++;
			continue;
		}
		int slot = find_slot(text + at + 1, length - 2);
		if (slot < 0)
			return unknown_slot(text + at + 1, length - 2, line, path, err);
		if (add_piece(prompt, &room, (struct prompt_piece){-1, start, at - start, first}, err) ||
		    add_piece(prompt, &room, (struct prompt_piece){slot, at, length, line}, err))
			return -1;
		start = at += length;
		first = line;
	}
	return add_piece(prompt, &room, (struct prompt_piece){-1, start, n - start, line}, err);
}

/* Take over the text of n bytes. */
static int parse(struct prompt *prompt, char *text, size_t n, enum answer_type type, enum prompt_kind kind,
		 const char *path, struct err *err)
{
	prompt->text = text;
	size_t good = text_utf8_valid(text, n), start = 0;
	if (good < n || memchr(text, '\0', n))
		return err_set(err, ERR_CONFIG, "%s: byte %zu is not UTF-8 text; convert the file", path,
			       good < n ? good : strlen(text));
	if (!strncmp(text, "# SPDX", 6)) {
		const char *newline = memchr(text, '\n', n);
		start = newline ? (size_t)(newline - text) + 1 : n;
	}
	return split(prompt, n, start, path, err) || check_slots(prompt, type, kind, path, err) ? -1 : 0;
}

static int load_file(struct prompt *prompt, const char *directory, enum answer_type type, enum prompt_kind kind,
		     struct err *err)
{
	size_t n;
	char *path = grown_format(err, "%s/%s", directory, prompt_file_names[kind]);
	char *text = path ? file_read(path, most_bytes, &n, err) : NULL;
	int rc = text ? parse(prompt, text, n, type, kind, path, err) : -1;
	free(path);
	return rc;
}

static int load_builtin(struct prompt *prompt, enum answer_type type, enum prompt_kind kind, struct err *err)
{
	char *text = mem_strdup(prompt_builtin(type, kind), err);
	return text ? parse(prompt, text, strlen(text), type, kind, prompt_file_names[kind], err) : -1;
}

int prompts_load(struct prompts *prompts, enum answer_type type, const char *directory, struct err *err)
{
	*prompts = (struct prompts){0};
	for (int kind = 0; kind < PROMPT_KINDS; kind++) {
		struct prompt *prompt = &prompts->prompt[kind];
		if (directory ? load_file(prompt, directory, type, (enum prompt_kind)kind, err)
			      : load_builtin(prompt, type, (enum prompt_kind)kind, err)) {
			prompts_release(prompts);
			return -1;
		}
	}
	return 0;
}

void prompts_release(struct prompts *prompts)
{
	for (int kind = 0; kind < PROMPT_KINDS; kind++) {
		free(prompts->prompt[kind].text);
		free(prompts->prompt[kind].piece);
	}
	*prompts = (struct prompts){0};
}

/* ---- rendering ---------------------------------------------------------------------------------- */

char *prompt_render(const struct prompts *prompts, enum prompt_kind kind, const struct prompt_values *values,
		    struct err *err)
{
	const struct prompt *prompt = &prompts->prompt[kind];
	struct grown out = {0};
	for (size_t i = 0; i < prompt->n; i++) {
		const struct prompt_piece *piece = &prompt->piece[i];
		const char *text = piece->slot < 0 ? prompt->text + piece->start : values->slot[piece->slot];
		if (!text) {
			err_set(err, ERR_INTERNAL, "slot '{%s}' of '%s' has no value", slot_names[piece->slot],
				prompt_file_names[kind]);
			grown_release(&out);
			return NULL;
		}
		grown_add(&out, text, piece->slot < 0 ? piece->n : strlen(text));
	}
	return grown_take(&out, err);
}

char *prompt_domains(const char *const *names, size_t n, struct err *err)
{
	struct grown out = {0};
	for (size_t i = 0; i < n; i++) {
		grown_put(&out, i ? ", " : "");
		grown_put(&out, names[i]);
	}
	return grown_take(&out, err);
}

char *prompt_choices(const char *const *choices, size_t n, struct err *err)
{
	struct grown out = {0};
	for (size_t i = 0; i < n; i++) {
		char letter[32];
		if (i < 26)
			snprintf(letter, sizeof letter, "%s%c. ", i ? "\n" : "", (char)('A' + i));
		else
			snprintf(letter, sizeof letter, "\n%zu. ", i + 1);
		grown_put(&out, letter);
		grown_put(&out, choices[i]);
	}
	return grown_take(&out, err);
}

char *prompt_demonstrations(const struct prompt_demonstration *list, size_t n, struct err *err)
{
	struct grown out = {0};
	for (size_t i = 0; i < n; i++) {
		const struct {
			const char *heading, *text;
		} lines[] = {
			{i ? "\n\nInput: " : "Input: ", list[i].input},
			{"\nChoices:\n", list[i].choices},
			{"\nRationale: ", list[i].rationale},
			{"\nAnswer: ", list[i].label},
		};
		for (size_t k = 0; k < sizeof lines / sizeof *lines; k++)
			if (lines[k].text) {
				grown_put(&out, lines[k].heading);
				grown_put(&out, lines[k].text);
			}
	}
	return grown_take(&out, err);
}
