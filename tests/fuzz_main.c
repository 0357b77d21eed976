// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_main.c - a fuzz target without a fuzzer, for compilers that have none:
 * every file of tests/corpus/CORPUS, then seeded mutations of them for as long
 * as RUN_SECONDS (TEST_LONG: ten minutes). A fault ends the program by signal, and
 * so does an input that takes longer than a minute.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reference/philox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* A target may know its format better than turning bits, and may ask to have bits turned inside it. */
__attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

enum { MAX_FILES = 1024, MAX_BYTES = 1 << 16, RUN_SECONDS = 10, LONG_SECONDS = 600, HANG_SECONDS = 60 };

static struct input {
	uint8_t *bytes;
	size_t n;
} inputs[MAX_FILES];
static size_t count;

static void add_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *bytes = malloc(MAX_BYTES);
	if (f && bytes && count < MAX_FILES)
		inputs[count++] = (struct input){bytes, fread(bytes, 1, MAX_BYTES, f)};
	else
		free(bytes);
	if (f)
		fclose(f);
}

static void add_corpus(const char *folder)
{
	DIR *dir = opendir(folder);
	char path[8192];
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] != '.')
			add_file(path);
	}
	if (dir)
		closedir(dir);
}

/* The target gets a block of exactly n bytes, so that a sanitizer sees a read behind it. */
static void run(const uint8_t *bytes, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1);
	if (exact) {
		if (n)
			memcpy(exact, bytes, n);
		alarm(HANG_SECONDS);
		LLVMFuzzerTestOneInput(exact, n);
		alarm(0);
	}
	free(exact);
}

/* One of: a bit turned, a byte set, a piece removed, a piece said twice, a tail of another input. */
static size_t change(uint8_t *b, size_t n, struct philox_words w)
{
	size_t at = n ? w.w[1] % n : 0, piece = 1 + w.w[2] % 8, rest = n - at;
	const struct input *other = &inputs[w.w[3] % count];
	switch (w.w[0] % 5) {
	case 0:
		b[at] ^= (uint8_t)(1u << w.w[2] % 8);
		return n;
	case 1:
		b[at] = (uint8_t)w.w[2];
		return n;
	case 2:
		piece = piece < rest ? piece : rest;
		memmove(b + at, b + at + piece, rest - piece);
		return n - piece;
	case 3:
		piece = piece < rest && n + piece < MAX_BYTES ? piece : 0;
		memmove(b + at + piece, b + at, rest);
		return n + piece;
	default: /* at least a byte where there was one */
		piece = other->n - (other->n ? w.w[2] % other->n : 0);
		piece = piece < MAX_BYTES - at ? piece : MAX_BYTES - at;
		memcpy(b + at, other->bytes + (other->n - piece), piece);
		return at + piece;
	}
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max)
{
	static uint8_t bytes[MAX_BYTES + 8];
	static uint32_t calls;
	if (!size || size > MAX_BYTES - 8)
		return size;
	memcpy(bytes, data, size);
	size_t n = change(bytes, size, philox_at(philox_stream(2, PHILOX_SHUFFLE, 0, 0, 0), calls++, 0));
	n = n < max ? n : max;
	memcpy(data, bytes, n);
	return n;
}

static uint64_t mutate_for(double seconds)
{
	static uint8_t bytes[MAX_BYTES + 8];
	const struct philox_key key = philox_stream(1, PHILOX_SHUFFLE, 0, 0, 0);
	clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
	uint64_t runs = 0;
	for (uint32_t i = 0; clock() < end; i++, runs++) {
		struct philox_words w = philox_at(key, i, 0);
		const struct input *from = &inputs[w.w[0] % count];
		size_t n = from->n;
		memcpy(bytes, from->bytes, n);
		if (LLVMFuzzerCustomMutator)
			n = LLVMFuzzerCustomMutator(bytes, n, MAX_BYTES, w.w[2]);
		for (uint32_t j = 0; !LLVMFuzzerCustomMutator && j <= w.w[1] % 4; j++)
			n = n ? change(bytes, n, philox_at(key, i, 1 + j)) : 0;
		run(bytes, n);
	}
	return runs;
}

int main(void)
{
	const char *source = getenv("TEST_SRCDIR"), *longer = getenv("TEST_LONG");
	char folder[4096];
	snprintf(folder, sizeof folder, "%s/tests/corpus/%s", source ? source : ".", CORPUS);
	add_corpus(folder);
	for (size_t i = 0; i < count; i++)
		run(inputs[i].bytes, inputs[i].n);
	uint64_t runs = count ? mutate_for(longer && *longer ? LONG_SECONDS : RUN_SECONDS) : 0;
	printf("%zu files of %s, %llu mutations\n", count, CORPUS, (unsigned long long)runs);
	for (size_t i = 0; i < count; i++)
		free(inputs[i].bytes);
	return count && runs ? 0 : 1;
}
