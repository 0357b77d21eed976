// SPDX-License-Identifier: Apache-2.0
/*
 * yamlio.h - the small part of YAML that a plan file needs, with the line of everything.
 *
 * One document of maps, lists and scalars. Aliases, anchors, tags, directives,
 * duplicate keys, keys that are not text, a second document, bad UTF-8, more
 * than 32 levels and more than 1 MiB are refused. Every message starts with
 * "FILE:LINE: " and has code ERR_CONFIG.
 *
 * In values (not in keys), quoted or not, ${NAME} is replaced from the
 * environment and $${ stands for a plain ${. Each scalar keeps both texts:
 * `text` with the replacements, for use, and `verbatim` as it was written, for
 * showing and for writing the file again. Inside {braces} YAML itself asks for
 * quotes around "${NAME}".
 *
 *     struct yaml *doc = yaml_load("plan.yaml", &err);
 *     if (!doc)
 *             return -1;
 *     const struct yaml_node *top = yaml_root(doc), *node;
 *     static const char *const keys[] = {"budget", "seed", NULL};
 *     if (yaml_check_keys(top, keys, &err) ||
 *         !(node = yaml_need(top, "budget", &err)) || yaml_get_int64(node, 1, INT64_MAX, &budget, &err) ||
 *         ((node = yaml_find(top, "seed")) && yaml_get_int64(node, 0, INT64_MAX, &seed, &err)))
 *             …
 *     yaml_close(doc);
 *
 * The document owns its nodes and their texts. A null (nothing, ~ or null,
 * without quotes) counts as absent. Text in quotes is never a number or a
 * boolean; any scalar may be read as a string.
 */
#ifndef BALDISTILL_BASE_YAMLIO_H
#define BALDISTILL_BASE_YAMLIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	YAML_MAX_BYTES = 1 << 20, /* of the file, and of all its texts after replacement */
	YAML_MAX_DEPTH = 32,      /* nested maps and lists */
};

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	const char *file;     /* as named by the caller */
	size_t line;          /* where the value starts, from 1 */
	size_t key_line;      /* where its key stands; as line for items and the root */
	const char *name;     /* its key; for an item the name of the list; NULL for the root */
	const char *text;     /* scalar after replacement */
	const char *verbatim; /* scalar as written, without its quotes */
	bool quoted;          /* scalar in quotes or as a block */
	size_t count;         /* children, in file order from `first` along `next` */
	struct yaml_node *first, *last, *next;
};

struct yaml;

/* Read a file, which must be a regular one. NULL on failure: also ERR_NOINPUT, ERR_NOPERM, ERR_IO, ERR_MEMORY. */
struct yaml *yaml_load(const char *path, struct err *err);
/* The same from memory; `file` is the name that messages use. */
struct yaml *yaml_parse(const char *file, const char *text, size_t n, struct err *err);
void yaml_close(struct yaml *doc);
const struct yaml_node *yaml_root(const struct yaml *doc);

/* The value of `key`; NULL where it is absent, null, or `map` is no map (yaml_check_keys reports that). */
const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key);
/* As yaml_find, but a missing key is an error. */
const struct yaml_node *yaml_need(const struct yaml_node *map, const char *key, struct err *err);
/* Fail where the node is not a map or has a key outside the NULL-ended list; a near miss is suggested. */
int yaml_check_keys(const struct yaml_node *map, const char *const allowed[], struct err *err);

/* Typed getters: 0, or -1 with file, line, key and what was expected; *out unchanged. Bounds are inclusive. */
int yaml_get_string(const struct yaml_node *node, const char **out, struct err *err);
int yaml_get_int64(const struct yaml_node *node, int64_t min, int64_t max, int64_t *out, struct err *err);
int yaml_get_double(const struct yaml_node *node, double min, double max, double *out, struct err *err);
/* true or false, nothing else. */
int yaml_get_bool(const struct yaml_node *node, bool *out, struct err *err);
/* Bytes: 512, 64KiB, 512MiB, 8GiB, 1TiB. */
int yaml_get_size(const struct yaml_node *node, size_t *out, struct err *err);
/* The index of the scalar in the NULL-ended list of words. */
int yaml_get_word(const struct yaml_node *node, const char *const words[], size_t *index, struct err *err);
/* A list of scalars: *out is an array of *n borrowed texts, released with free(). */
int yaml_get_strings(const struct yaml_node *node, const char ***out, size_t *n, struct err *err);

/* Report anything else about a node: "FILE:LINE: MESSAGE" with code ERR_CONFIG; returns -1. */
int yaml_refuse(const struct yaml_node *node, struct err *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif
