// SPDX-License-Identifier: Apache-2.0
/*
 * json_tree.h - the tree of a text, for jsonio.c, which alone includes it.
 */
#ifndef BALDISTILL_BASE_JSON_TREE_H
#define BALDISTILL_BASE_JSON_TREE_H

#include "src/base/jsonio.h"

struct json_object;

/*
 * *root, for json_object_put; NULL for the text "null". Failures, with *root
 * unchanged: those of json_parse.
 */
int json_tree_build(struct json_object **root, const char *text, size_t n, const struct json_limits *limits,
		    struct err *err);

#endif
