// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz targets 2 and 3: a safetensors file, opened and read. What is refused is
 * refused as bad data in printable words; what is accepted covers the file
 * exactly, is found by name, and can be read. Most mutations would die at the
 * length of the header, so the mutator repairs it.
 */
#define _GNU_SOURCE /* fuzz_check.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/text.h"
#include "src/model/safetensors.h"
#include "tests/fuzz_check.h"

enum { PREFIX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

static uint64_t header_length(const uint8_t *data)
{
	uint64_t n = 0;

	for (int i = PREFIX; i--;)
		n = n << 8 | data[i];
	return n;
}

static void read_tensor(const struct tensor_info *t)
{
	struct err err = {0};
	float *out;

	if (!t->weight || !t->bytes)
		return;
	out = malloc((size_t)tensor_elements(t) * sizeof *out);
	require(out && !tensor_read_f32(t, 0, tensor_rows(t), out, &err), "a weight reads", &err);
	require(!tensor_read_f32(t, tensor_rows(t) - 1, 1, out, &err), "the last row reads", &err);
	free(out);
}

static void check_accepted(const struct safetensors *file, const uint8_t *data, size_t size)
{
	struct err err = {0};
	struct tensor_info t, found;
	uint64_t bytes = 0;

	for (size_t i = 0; i < safetensors_count(file); i++) {
		safetensors_get(file, i, &t);
		require(!i || strcmp(safetensors_name(file, i - 1), t.name) < 0, "names ascend", &err);
		require(safetensors_find(file, t.name, &found) && found.begin == t.begin, "a name is found", &err);
		require(t.begin <= size && t.bytes <= size - t.begin, "a tensor lies in the file", &err);
		read_tensor(&t);
		bytes += t.bytes;
	}
	require(bytes + PREFIX + header_length(data) == size, "the tensors cover the file", &err);
}

static void check_refused(const struct err *err)
{
	require(err->code == ERR_DATA && *err->message, "a refusal is of bad data", err);
	require_printable(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};

	struct safetensors *file = safetensors_open(fuzz_file(data, size), &err);
	if (file)
		check_accepted(file, data, size);
	else
		check_refused(&err);
	safetensors_close(file);
	return 0;
}

/* Change the header alone and say how long it is; one time in four change any byte. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
	uint8_t header[4096];
	uint64_t n = size < PREFIX ? 0 : header_length(data);
	size_t rest, changed;

	if (seed % 4 == 0 || !n || n > size - PREFIX || n > sizeof header)
		return LLVMFuzzerMutate(data, size, room);
	rest = size - PREFIX - (size_t)n;
	memcpy(header, data + PREFIX, (size_t)n);
	changed = LLVMFuzzerMutate(header, (size_t)n, sizeof header);
	if (changed + PREFIX + rest > room)
		return size;
	memmove(data + PREFIX + changed, data + PREFIX + n, rest);
	memcpy(data + PREFIX, header, changed);
	for (int i = 0; i < PREFIX; i++)
		data[i] = (uint8_t)((uint64_t)changed >> 8 * i);
	return PREFIX + changed + rest;
}
