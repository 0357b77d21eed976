// SPDX-License-Identifier: Apache-2.0
/* check_internal.h - the table walker that check.c and check_layer.c share. */
#ifndef BALDISTILL_REFERENCE_CHECK_INTERNAL_H
#define BALDISTILL_REFERENCE_CHECK_INTERNAL_H

#include "reference/check.h"

/* One expected argument; rows or cols below 0: any number. */
struct expect {
	const char *name;
	struct view v;
	int64_t rows, cols;
	enum check_kind kind;
	bool optional;
};

bool check_expected(struct device *dev, const char *op, const struct expect list[], size_t n);
#define CHECK(dev, op, list) check_expected(dev, op, list, sizeof(list) / sizeof *(list))

/* The matrices of a group are there, `out[i]` x `in` each. */
bool check_weight(struct device *dev, const char *op, const struct weight *w, int n, const int64_t out[], int64_t in);
/* An adapter of an [out, in] matrix, and its dropout over `rows` rows; NULL passes. */
bool check_adapter(struct device *dev, const char *op, const struct lora *lora, const struct dropout *drop,
		   int64_t out, int64_t in, int64_t rows);
/* Every element of a one-row index array lies in [low, high). */
bool check_range(struct device *dev, const char *op, const char *name, struct view v, int64_t low, int64_t high);

#endif
