// SPDX-License-Identifier: Apache-2.0
/* safetensors_table.h - the inside of a safetensors file; private to safetensors*.c and tensor.c. */
#ifndef BALDISTILL_MODEL_SAFETENSORS_TABLE_H
#define BALDISTILL_MODEL_SAFETENSORS_TABLE_H

#include "src/model/safetensors.h"

/* One tensor, in 32 bytes: a table may have a million. */
struct table_entry {
	uint64_t begin, end; /* data_offsets */
	uint32_t name;       /* in names */
	uint32_t shape;      /* in dims */
	uint8_t type;        /* in tensor_types */
	uint8_t rank;
};

struct table {
	struct table_entry *entries; /* sorted by name */
	size_t n, room;
	char *names; /* NUL-ended strings, metadata's too */
	size_t names_n, names_room;
	int64_t *dims;
	size_t dims_n, dims_room;
	struct metadata_pair {
		uint32_t key, value; /* in names */
	} * metadata;
	size_t metadata_n, metadata_room;
};

/* Types by name, with bits of an element; those a weight can have come with their dtype. */
struct tensor_type {
	const char *name;
	unsigned bits;
	bool weight;
	enum dtype dtype;
};
extern const struct tensor_type tensor_types[];
extern const size_t tensor_type_count;

/* Fill a zeroed table from header text that starts with '{'. The caller releases the table in any case. */
int table_parse(struct table *table, const char *text, size_t n, struct err *err);
/* Prove that the tensors cover data_bytes without holes or overlaps; then sort by name. */
int table_check(struct table *table, uint64_t data_bytes, struct err *err);
void table_release(struct table *table);

/* 1 to 1024 bytes of UTF-8 without control characters and without "..": as part of a path. */
int tensor_check_name(const char *name, size_t n, struct err *err);
/* Bytes of a tensor; fails where its bits, zero dimensions counted as ones, pass 2^64 - 1 or do not fill bytes. */
int tensor_bytes(uint64_t *bytes, const struct tensor_type *type, int rank, const int64_t shape[], struct err *err);

/* Read n bytes from `place` on, counted from the start of the file. */
int safetensors_pread(const struct safetensors *file, uint64_t place, void *out, size_t n, struct err *err);
/* Fail unless the file under this name is still the one that was opened, as long and as old. */
int safetensors_unchanged(const struct safetensors *file, struct err *err);

#endif
