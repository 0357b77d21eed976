// SPDX-License-Identifier: Apache-2.0
/* The resolved plan: every key with its effective value, as it was written. */
#include "src/pipeline/plan_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"

/* Letters that stand for themselves anywhere in YAML. */
static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+-";

static uint32_t decode(const unsigned char *c, size_t n)
{
	uint32_t point = n > 1 ? c[0] & (0x7fu >> n) : c[0];
	for (size_t i = 1; i < n; i++)
		point = point << 6 | (c[i] & 0x3f);
	return point;
}

/* YAML 1.1, section 5.1 (printable) less what breaks or hides lines. */
static bool shows(uint32_t point)
{
	return point >= 0x20 && (point < 0x7f || point > 0x9f) && point != 0x2028 && point != 0x2029 &&
	       point != 0xfeff && point != 0xfffe && point != 0xffff;
}

/* The character at `text`, of *n bytes; *n is 0 at the end. */
static uint32_t next_point(const char *text, size_t *n)
{
	*n = text_utf8_length(text, strnlen(text, 4));
	return decode((const unsigned char *)text, *n);
}

static bool all_show(const char *text)
{
	for (size_t n; *text; text += n)
		if (!shows(next_point(text, &n)) || !n)
			return false;
	return true;
}

static void put_quoted(struct grown *out, const char *text)
{
	char escape[12];
	grown_put(out, "\"");
	for (size_t n = 1; *text && n; text += n) {
		uint32_t point = next_point(text, &n);
		if (*text == '"' || *text == '\\')
			grown_put(out, "\\");
		snprintf(escape, sizeof escape, point > 0xff ? "\\u%04x" : "\\x%02x", point);
		if (shows(point))
			grown_add(out, text, n);
		else
			grown_put(out, escape);
	}
	grown_put(out, "\"");
}

/* Without quotes only what had none: a number in quotes is a text. */
static void put_scalar(struct grown *out, const struct yaml_node *node)
{
	const char *text = node->verbatim;
	if (!node->quoted && all_show(text))
		grown_put(out, text);
	else
		put_quoted(out, text);
}

static void put_name(struct grown *out, const char *name)
{
	bool plain = *name && !name[strspn(name, safe)] && *name != '-' && strcmp(name, "null");
	if (plain)
		grown_put(out, name);
	else
		put_quoted(out, name);
}

void plan_put_flow(struct grown *out, const struct yaml_node *node)
{
	bool map = node->kind == YAML_MAP;
	if (node->kind == YAML_SCALAR)
		put_scalar(out, node);
	if (!map && node->kind != YAML_LIST)
		return;
	grown_put(out, map ? "{" : "[");
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		if (map) {
			put_name(out, child->name);
			grown_put(out, ": ");
		}
		plan_put_flow(out, child);
		grown_put(out, child->next ? ", " : "");
	}
	grown_put(out, map ? "}" : "]");
}

/* A list that stays one line: of texts, whose quotes mean nothing. */
static bool is_simple(const struct yaml_node *list)
{
	for (const struct yaml_node *item = list->first; item; item = item->next)
		if (item->kind != YAML_SCALAR || item->quoted || item->verbatim[strspn(item->verbatim, safe)])
			return false;
	return true;
}

static void put_node(struct grown *out, const struct yaml_node *node, int indent);

static void put_children(struct grown *out, const struct yaml_node *node, int indent)
{
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		for (int i = 0; i < indent; i++)
			grown_put(out, " ");
		if (node->kind == YAML_MAP)
			put_name(out, child->name);
		grown_put(out, node->kind == YAML_MAP ? ":" : "-");
		put_node(out, child, indent);
	}
}

/* What follows "NAME:" or "-" in a line that starts at `indent`, to the end of the last line of the value. */
static void put_node(struct grown *out, const struct yaml_node *node, int indent)
{
	bool flow = node->kind == YAML_MAP ? !node->count : node->kind == YAML_LIST && is_simple(node);
	if (node->kind == YAML_SCALAR || flow)
		grown_put(out, " ");
	if (node->kind == YAML_SCALAR)
		put_scalar(out, node);
	else if (flow)
		plan_put_flow(out, node);
	grown_put(out, "\n");
	if (!flow && node->kind != YAML_SCALAR)
		put_children(out, node, indent + 2);
}

/* Bytes of the path of a key's map, its last point included. */
static size_t section(const struct plan_key *key)
{
	return key ? (size_t)(plan_key_name(key) - key->path) : 0;
}

int plan_put_sections(struct grown *out, const struct plan_key *before, const struct plan_key *key)
{
	size_t n = section(key), at = 0;
	int indent = 0;
	while (at < n) {
		size_t end = at + strcspn(key->path + at, ".") + 1;
		if (section(before) < end || strncmp(before->path, key->path, end)) {
			grown_add(out, "    ", (size_t)indent);
			grown_add(out, key->path + at, end - at - 1);
			grown_put(out, ":\n");
		}
		at = end;
		indent += 2;
	}
	return indent;
}

char *plan_text(const struct plan *plan, struct err *err)
{
	const struct plan_key *before = NULL;
	struct grown out = {0};
	for (const struct plan_key *key = plan_keys; key->path; key++) {
		const struct yaml_node *node = plan_key_node(plan, key);
		if (!plan_key_applies(plan, key))
			continue;
		int indent = plan_put_sections(&out, before, key);
		grown_add(&out, "    ", (size_t)indent);
		grown_put(&out, plan_key_name(key));
		grown_put(&out, ":");
		if (node)
			put_node(&out, node, indent);
		else
			grown_put(&out, "\n");
		before = key;
	}
	return grown_take(&out, err);
}
