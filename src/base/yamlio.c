// SPDX-License-Identifier: Apache-2.0
/* From libyaml's events to a checked tree of nodes. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/base/yaml_expand.h"
#include "src/base/yamlio.h"

struct yaml {
	struct arena arena;
	struct yaml_node *root;
};

struct builder {
	struct yaml *doc;
	const char *file;
	struct yaml_node *open[YAML_MAX_DEPTH]; /* maps and lists around the next event */
	size_t depth;
	size_t line;     /* of the event at hand */
	const char *key; /* read, its value still to come; NULL otherwise */
	size_t key_line;
	size_t expanded; /* bytes of all texts after replacement */
	struct err *err;
};

static int __attribute__((format(printf, 3, 4))) fail_at(const struct builder *b, size_t line, const char *format, ...)
{
	char rule[512];
	va_list args;

	va_start(args, format);
	vsnprintf(rule, sizeof rule, format, args);
	va_end(args);
	return err_set(b->err, ERR_CONFIG, "%s:%zu: %s", b->file, line, rule);
}

static size_t line_at(const char *text, size_t offset)
{
	size_t line = 1;

	for (size_t i = 0; i < offset; i++)
		line += text[i] == '\n';
	return line;
}

static int out_of_memory(struct builder *b)
{
	return err_set(b->err, ERR_MEMORY, "out of memory while reading '%s'", b->file);
}

static int parser_fault(struct builder *b, const yaml_parser_t *parser, const char *text, size_t n)
{
	size_t line = parser->problem_mark.line + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return out_of_memory(b);
	if (parser->error == YAML_READER_ERROR)
		line = line_at(text, parser->problem_offset < n ? parser->problem_offset : n);
	return fail_at(b, line, "not YAML: %s%s%s", parser->problem, parser->context ? ", " : "",
		       parser->context ? parser->context : "");
}

static int expand(struct builder *b, struct yaml_node *node)
{
	struct err why = {0};
	char *text = yaml_expand(node->verbatim, &b->expanded, &why);

	if (!text)
		return why.code == ERR_MEMORY ? out_of_memory(b) : fail_at(b, b->line, "%s", why.message);
	node->text = arena_strndup(&b->doc->arena, text, strlen(text), b->err);
	free(text);
	return node->text ? 0 : -1;
}

/* A node for the value that starts here, linked into what is open. */
static struct yaml_node *add_node(struct builder *b, enum yaml_kind kind)
{
	struct yaml_node *parent = b->depth ? b->open[b->depth - 1] : NULL;
	struct yaml_node *node = arena_array(&b->doc->arena, 1, sizeof *node, b->err);

	if (!node)
		return NULL;
	node->kind = kind;
	node->file = b->file;
	node->line = b->line;
	node->key_line = b->key ? b->key_line : node->line;
	node->name = b->key || !parent ? b->key : parent->name;
	b->key = NULL;
	if (!parent) {
		b->doc->root = node;
		return node;
	}
	*(parent->last ? &parent->last->next : &parent->first) = node;
	parent->last = node;
	parent->count++;
	return node;
}

static bool wants_key(const struct builder *b)
{
	return b->depth && b->open[b->depth - 1]->kind == YAML_MAP && !b->key;
}

static bool is_null(const char *text)
{
	return !*text || !strcmp(text, "~") || !strcmp(text, "null");
}

static int add_key(struct builder *b, const yaml_event_t *event, const char *text)
{
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_null(text))
		return fail_at(b, b->line, "a key must be text");
	b->key = text;
	b->key_line = b->line;
	return 0;
}

static int add_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	struct yaml_node *node;
	char *text;

	if (strlen(value) != event->data.scalar.length)
		return fail_at(b, b->line, "a NUL character in a text");
	text = arena_strdup(&b->doc->arena, value, b->err);
	if (!text)
		return -1;
	if (wants_key(b))
		return add_key(b, event, text);
	node = add_node(b, YAML_SCALAR);
	if (!node)
		return -1;
	node->verbatim = text;
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	if (!node->quoted && is_null(text))
		node->kind = YAML_NULL;
	return expand(b, node);
}

static int open_container(struct builder *b, enum yaml_kind kind)
{
	struct yaml_node *node;

	if (wants_key(b))
		return fail_at(b, b->line, "a key must be text");
	if (b->depth == YAML_MAX_DEPTH)
		return fail_at(b, b->line, "nested deeper than %d levels", YAML_MAX_DEPTH);
	node = add_node(b, kind);
	if (!node)
		return -1;
	b->open[b->depth++] = node;
	return 0;
}

static int compare_names(const void *left, const void *right)
{
	const struct yaml_node *a = *(struct yaml_node *const *)left, *b = *(struct yaml_node *const *)right;
	int order = strcmp(a->name, b->name);

	return order ? order : (a->key_line > b->key_line) - (a->key_line < b->key_line);
}

/* Sorting finds repeated keys in n log n. */
static int check_duplicates(struct builder *b, const struct yaml_node *map)
{
	struct yaml_node **sorted = mem_array(map->count, sizeof(struct yaml_node *), b->err);
	const struct yaml_node *repeated = NULL;
	char shown[100];
	size_t n = 0;

	if (!sorted)
		return -1;
	for (struct yaml_node *child = map->first; child; child = child->next)
		sorted[n++] = child;
	qsort(sorted, n, sizeof *sorted, compare_names);
	for (size_t i = 1; i < n; i++)
		if (!strcmp(sorted[i - 1]->name, sorted[i]->name) &&
		    (!repeated || sorted[i]->key_line < repeated->key_line))
			repeated = sorted[i];
	free(sorted);
	if (!repeated)
		return 0;
	return fail_at(b, repeated->key_line, "duplicate key '%s'",
		       text_escape(shown, sizeof shown, repeated->name, strlen(repeated->name)));
}

static int close_container(struct builder *b)
{
	const struct yaml_node *node = b->open[--b->depth];

	return node->kind == YAML_MAP ? check_duplicates(b, node) : 0;
}

static int start_document(struct builder *b, const yaml_event_t *event)
{
	const yaml_tag_directive_t *tags = event->data.document_start.tag_directives.start;

	if (b->doc->root)
		return fail_at(b, b->line, "a second document is not allowed");
	if (event->data.document_start.version_directive || tags != event->data.document_start.tag_directives.end)
		return fail_at(b, b->line, "directives are not allowed");
	return 0;
}

/* Anchors and tags may stand on any value. */
static int check_bare(struct builder *b, const void *anchor, const void *tag)
{
	if (anchor)
		return fail_at(b, b->line, "anchors are not allowed; quote text that starts with '&'");
	if (tag)
		return fail_at(b, b->line, "tags are not allowed; quote text that starts with '!'");
	return 0;
}

#define BARE(b, event, field) check_bare(b, (event)->data.field.anchor, (event)->data.field.tag)

static int handle(struct builder *b, const yaml_event_t *event)
{
	b->line = event->start_mark.line + 1;
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return start_document(b, event);
	case YAML_ALIAS_EVENT:
		return fail_at(b, b->line, "aliases are not allowed; quote text that starts with '*'");
	case YAML_SCALAR_EVENT:
		return BARE(b, event, scalar) ? -1 : add_scalar(b, event);
	case YAML_SEQUENCE_START_EVENT:
		return BARE(b, event, sequence_start) ? -1 : open_container(b, YAML_LIST);
	case YAML_MAPPING_START_EVENT:
		return BARE(b, event, mapping_start) ? -1 : open_container(b, YAML_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_container(b);
	case YAML_STREAM_END_EVENT:
		return b->doc->root ? 0 : fail_at(b, 1, "the file is empty");
	default:
		return 0;
	}
}

static int build(struct builder *b, yaml_parser_t *parser, const char *text, size_t n)
{
	yaml_event_t event;
	bool end = false;
	int result = 0;

	yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(parser, (const unsigned char *)text, n);
	while (!end && !result) {
		if (!yaml_parser_parse(parser, &event))
			return parser_fault(b, parser, text, n);
		end = event.type == YAML_STREAM_END_EVENT;
		result = handle(b, &event);
		yaml_event_delete(&event);
	}
	return result;
}

static int check_and_build(struct builder *b, const char *text, size_t n)
{
	yaml_parser_t parser;
	int result;

	size_t mark = text_mark_length(text, n); /* libyaml would count it as a column */
	text += mark;
	n -= mark;
	if (n > YAML_MAX_BYTES)
		return fail_at(b, 1, "the file is larger than %d bytes", YAML_MAX_BYTES);
	size_t good = text_utf8_valid(text, n);
	if (good < n)
		return fail_at(b, line_at(text, good), "bad UTF-8");
	if (!yaml_parser_initialize(&parser))
		return out_of_memory(b);
	result = build(b, &parser, text, n);
	yaml_parser_delete(&parser);
	return result;
}

struct yaml *yaml_parse(const char *file, const char *text, size_t n, struct err *err)
{
	struct yaml *doc = mem_array(1, sizeof *doc, err);
	struct builder b = {.doc = doc, .err = err};

	if (!doc)
		return NULL;
	arena_init(&doc->arena);
	b.file = arena_strdup(&doc->arena, file, err);
	if (b.file && !check_and_build(&b, text, n))
		return doc;
	yaml_close(doc);
	return NULL;
}

struct yaml *yaml_load(const char *path, struct err *err)
{
	struct yaml *doc;
	size_t n;
	char *text = file_read(path, YAML_MAX_BYTES, &n, err);

	if (!text) {
		if (err && err->code == ERR_DATA)
			err->code = ERR_CONFIG; /* too large for a plan */
		return NULL;
	}
	doc = yaml_parse(path, text, n, err);
	free(text);
	return doc;
}

void yaml_close(struct yaml *doc)
{
	if (!doc)
		return;
	arena_release(&doc->arena);
	free(doc);
}

const struct yaml_node *yaml_root(const struct yaml *doc)
{
	return doc->root;
}
