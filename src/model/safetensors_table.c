// SPDX-License-Identifier: Apache-2.0
/* Rules of the table of tensors: types, names, sizes, and how the tensors lie in the file. */
#define _GNU_SOURCE /* qsort_r */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/safetensors_table.h"

const struct tensor_type tensor_types[] = {
	{"F32", 32, true, DTYPE_F32},       {"BF16", 16, true, DTYPE_BF16},     {"F16", 16, true, DTYPE_F16},
	{.name = "BOOL", .bits = 8},        {.name = "F4", .bits = 4},          {.name = "F6_E2M3", .bits = 6},
	{.name = "F6_E3M2", .bits = 6},     {.name = "U8", .bits = 8},          {.name = "I8", .bits = 8},
	{.name = "F8_E5M2", .bits = 8},     {.name = "F8_E4M3", .bits = 8},     {.name = "F8_E8M0", .bits = 8},
	{.name = "F8_E4M3FNUZ", .bits = 8}, {.name = "F8_E5M2FNUZ", .bits = 8}, {.name = "I16", .bits = 16},
	{.name = "U16", .bits = 16},        {.name = "I32", .bits = 32},        {.name = "U32", .bits = 32},
	{.name = "C64", .bits = 64},        {.name = "F64", .bits = 64},        {.name = "I64", .bits = 64},
	{.name = "U64", .bits = 64},
};
const size_t tensor_type_count = sizeof tensor_types / sizeof tensor_types[0];

/* C0, DEL, and C1, which in UTF-8 is C2 80 … C2 9F */
static bool is_control(const char *s, size_t left)
{
	unsigned char a = (unsigned char)s[0], b = left > 1 ? (unsigned char)s[1] : 0;

	return a < 0x20 || a == 0x7F || (a == 0xC2 && b < 0xA0);
}

int tensor_check_name(const char *name, size_t n, struct err *err)
{
	if (n < 1 || n > LIMIT_NAME_BYTES)
		return err_set(err, ERR_DATA, "a tensor name of %zu bytes; it must have 1 to %d", n, LIMIT_NAME_BYTES);
	if (text_utf8_valid(name, n) < n)
		return err_set(err, ERR_DATA, "a tensor name that is not UTF-8");
	for (size_t i = 0; i < n; i++)
		if (is_control(name + i, n - i))
			return err_set(err, ERR_DATA, "a control character in a tensor name");
	for (size_t start = 0, end; start <= n; start = end + 1) {
		const char *slash = memchr(name + start, '/', n - start);
		end = slash ? (size_t)(slash - name) : n;
		if (end - start == 2 && !memcmp(name + start, "..", 2))
			return err_set(err, ERR_DATA, "'..' as part of a tensor name");
	}
	return 0;
}

int tensor_bytes(uint64_t *bytes, const struct tensor_type *type, int rank, const int64_t shape[], struct err *err)
{
	size_t bits = type->bits;
	bool empty = false;

	for (int i = 0; i < rank; i++) {
		empty |= !shape[i];
		/* zeros count as ones, so that the order of dimensions does not matter */
		if (shape[i] < 0 || !size_mul(&bits, bits, (size_t)(shape[i] ? shape[i] : 1)))
			return err_set(err, ERR_DATA, "the product of 'shape' does not fit 64 bits");
	}
	if (bits % 8 && !empty)
		return err_set(err, ERR_DATA, "%zu bits of %s do not fill whole bytes", bits, type->name);
	*bytes = empty ? 0 : bits / 8;
	return 0;
}

static int by_place(const void *left, const void *right)
{
	const struct table_entry *a = left, *b = right;

	if (a->begin != b->begin)
		return a->begin < b->begin ? -1 : 1;
	return (a->end > b->end) - (a->end < b->end);
}

static int by_name(const void *left, const void *right, void *names)
{
	const struct table_entry *a = left, *b = right;

	return strcmp((const char *)names + a->name, (const char *)names + b->name);
}

static int misplaced(const struct table *t, const struct table_entry *e, uint64_t place, struct err *err)
{
	const char *name = t->names + e->name;
	char shown[100];

	return err_set(err, ERR_DATA, "tensor '%s': begins at %llu where the tensor before it ends at %llu: %s",
		       text_escape(shown, sizeof shown, name, strlen(name)), (unsigned long long)e->begin,
		       (unsigned long long)place, e->begin > place ? "a hole in the file" : "tensors overlap");
}

int table_check(struct table *table, uint64_t data_bytes, struct err *err)
{
	uint64_t place = 0;

	if (!table->n)
		return err_set(err, ERR_DATA, "there are no tensors in the file");
	qsort(table->entries, table->n, sizeof *table->entries, by_place);
	for (size_t i = 0; i < table->n; i++) {
		if (table->entries[i].begin != place)
			return misplaced(table, &table->entries[i], place, err);
		place = table->entries[i].end;
	}
	if (place != data_bytes)
		return err_set(err, ERR_DATA, "the tensors take %llu bytes, %llu follow the header: the file is %s",
			       (unsigned long long)place, (unsigned long long)data_bytes,
			       place > data_bytes ? "cut short" : "longer than its content");
	qsort_r(table->entries, table->n, sizeof *table->entries, by_name, table->names);
	return 0;
}

void table_release(struct table *table)
{
	free(table->entries);
	free(table->names);
	free(table->dims);
	free(table->metadata);
	*table = (struct table){0};
}
