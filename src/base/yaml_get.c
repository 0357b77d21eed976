// SPDX-License-Identifier: Apache-2.0
/* Typed values out of a YAML tree. Numbers have the grammar of JSON, so the JSON reader judges them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonio.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/base/yamlio.h"

static void refuse_at(const struct yaml_node *node, size_t line, struct err *err, const char *format, va_list args)
{
	char rule[768];

	vsnprintf(rule, sizeof rule, format, args);
	err_set(err, ERR_CONFIG, "%s:%zu: %s", node->file, line, rule);
}

int yaml_refuse(const struct yaml_node *node, struct err *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse_at(node, node->line, err, format, args);
	va_end(args);
	return -1;
}

static int __attribute__((format(printf, 3, 4))) refuse_key(const struct yaml_node *node, struct err *err,
							    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse_at(node, node->key_line, err, format, args);
	va_end(args);
	return -1;
}

static const char *shown_name(char *out, size_t room, const struct yaml_node *node)
{
	const char *name = node->name ? node->name : "the top level";

	return text_escape(out, room, name, strlen(name));
}

/* "'budget' must be WANTED, found …". Shows the verbatim text: a replaced variable may be a secret. */
static int wrong(const struct yaml_node *node, const char *wanted, struct err *err)
{
	static const char *const kinds[] = {"nothing", "", "a list", "a map"};
	char name[100], text[200];

	shown_name(name, sizeof name, node);
	if (node->kind != YAML_SCALAR)
		return yaml_refuse(node, err, "'%s' must be %s, found %s", name, wanted, kinds[node->kind]);
	text_escape(text, sizeof text, node->verbatim, strlen(node->verbatim));
	return yaml_refuse(node, err, "'%s' must be %s, found %s'%s'", name, wanted, node->quoted ? "the text " : "",
			   text);
}

const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key)
{
	if (map->kind != YAML_MAP)
		return NULL;
	for (const struct yaml_node *child = map->first; child; child = child->next)
		if (!strcmp(child->name, key))
			return child->kind == YAML_NULL ? NULL : child;
	return NULL;
}

const struct yaml_node *yaml_need(const struct yaml_node *map, const char *key, struct err *err)
{
	const struct yaml_node *node = yaml_find(map, key);
	char name[100];

	if (node)
		return node;
	refuse_key(map, err, "'%s' is missing in '%s'", key, shown_name(name, sizeof name, map));
	return NULL;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Edits (insert, delete, replace one byte) between two words; row by row of the table of their prefixes. */
static size_t distance(const char *a, const char *b)
{
	enum { LONGEST = 63 };
	size_t row[LONGEST + 1], n = strlen(b);

	if (strlen(a) > LONGEST || n > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t corner = row[0]++;
		for (size_t j = 1; j <= n; j++) {
			size_t edited = smallest(corner + (a[i] != b[j - 1]), row[j] + 1, row[j - 1] + 1);
			corner = row[j];
			row[j] = edited;
		}
	}
	return row[n];
}

static const char *closest(const char *word, const char *const words[])
{
	size_t best = strlen(word) < 3 ? strlen(word) : 3; /* at most two edits, and something in common */
	const char *found = NULL;

	for (; *words; words++) {
		size_t edits = distance(word, *words);
		if (edits < best) {
			best = edits;
			found = *words;
		}
	}
	return found;
}

static bool find_word(const char *word, const char *const words[], size_t *index)
{
	for (*index = 0; words[*index]; ++*index)
		if (!strcmp(word, words[*index]))
			return true;
	return false;
}

int yaml_check_keys(const struct yaml_node *map, const char *const allowed[], struct err *err)
{
	char name[100];
	size_t index;

	if (map->kind != YAML_MAP)
		return wrong(map, "a map", err);
	for (const struct yaml_node *child = map->first; child; child = child->next) {
		if (find_word(child->name, allowed, &index))
			continue;
		const char *near = closest(child->name, allowed);
		return refuse_key(child, err, "unknown key '%s'%s%s%s", shown_name(name, sizeof name, child),
				  near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	return 0;
}

int yaml_get_string(const struct yaml_node *node, const char **out, struct err *err)
{
	if (node->kind != YAML_SCALAR)
		return wrong(node, "a text", err);
	*out = node->text;
	return 0;
}

/* An unquoted scalar read as JSON; NULL with an error where it is none. */
static struct json *as_json(const struct yaml_node *node, const char *wanted, struct err *err)
{
	struct err why = {0};
	struct json *doc = NULL;

	if (node->kind == YAML_SCALAR && !node->quoted)
		doc = json_parse(node->text, strlen(node->text), NULL, &why);
	if (doc)
		return doc;
	if (why.code && why.code != ERR_DATA)
		err_set(err, why.code, "%s", why.message);
	else
		wrong(node, wanted, err);
	return NULL;
}

int yaml_get_int64(const struct yaml_node *node, int64_t min, int64_t max, int64_t *out, struct err *err)
{
	char wanted[80];
	int64_t value;
	int result;

	snprintf(wanted, sizeof wanted, "an integer from %jd to %jd", (intmax_t)min, (intmax_t)max);
	struct json *doc = as_json(node, wanted, err);
	if (!doc)
		return -1;
	result = json_get_int64(json_root(doc), &value, NULL);
	json_free(doc);
	if (result || value < min || value > max)
		return wrong(node, wanted, err);
	*out = value;
	return 0;
}

int yaml_get_double(const struct yaml_node *node, double min, double max, double *out, struct err *err)
{
	char wanted[80];
	double value;
	int result;

	snprintf(wanted, sizeof wanted, "a number from %g to %g", min, max);
	struct json *doc = as_json(node, wanted, err);
	if (!doc)
		return -1;
	result = json_get_double(json_root(doc), &value, NULL);
	json_free(doc);
	if (result || value < min || value > max)
		return wrong(node, wanted, err);
	*out = value;
	return 0;
}

int yaml_get_bool(const struct yaml_node *node, bool *out, struct err *err)
{
	static const char *const words[] = {"false", "true", NULL};
	size_t index;

	if (node->kind != YAML_SCALAR || node->quoted || !find_word(node->text, words, &index))
		return wrong(node, "true or false", err);
	*out = index;
	return 0;
}

int yaml_get_size(const struct yaml_node *node, size_t *out, struct err *err)
{
	static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB", NULL};
	static const char wanted[] = "a size such as 1048576, 512MiB or 8GiB";
	size_t value, unit, digits;

	if (node->kind != YAML_SCALAR || node->quoted)
		return wrong(node, wanted, err);
	digits = strspn(node->text, "0123456789");
	if (!digits || (digits > 1 && node->text[0] == '0') || !find_word(node->text + digits, units, &unit))
		return wrong(node, wanted, err);
	errno = 0;
	value = strtoull(node->text, NULL, 10);
	if (errno || !size_mul(&value, value, (size_t)1 << 10 * unit))
		return wrong(node, "a size that fits in memory", err);
	*out = value;
	return 0;
}

int yaml_get_word(const struct yaml_node *node, const char *const words[], size_t *index, struct err *err)
{
	char wanted[512] = "one of";
	size_t found;

	if (node->kind == YAML_SCALAR && find_word(node->text, words, &found)) {
		*index = found;
		return 0;
	}
	for (size_t i = 0; words[i]; i++) {
		size_t used = strlen(wanted);
		snprintf(wanted + used, sizeof wanted - used, "%s %s", i ? "," : "", words[i]);
	}
	return wrong(node, wanted, err);
}

int yaml_get_strings(const struct yaml_node *node, const char ***out, size_t *n, struct err *err)
{
	const char **texts;
	size_t filled = 0;

	if (node->kind != YAML_LIST)
		return wrong(node, "a list", err);
	for (const struct yaml_node *item = node->first; item; item = item->next)
		if (item->kind != YAML_SCALAR)
			return wrong(item, "a list of texts", err);
	texts = mem_array(node->count, sizeof *texts, err);
	if (!texts)
		return -1;
	for (const struct yaml_node *item = node->first; item; item = item->next)
		texts[filled++] = item->text;
	*out = texts;
	*n = filled;
	return 0;
}
