// SPDX-License-Identifier: Apache-2.0
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK = 16 * 1024 };

struct arena_block {
	struct arena_block *next;
	size_t used, room; /* bytes of data[] */
	_Alignas(max_align_t) unsigned char data[];
};

bool size_mul(size_t *out, size_t a, size_t b)
{
	size_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return false;
	*out = product;
	return true;
}

bool size_add(size_t *out, size_t a, size_t b)
{
	size_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*out = sum;
	return true;
}

/* out = n rounded up to a multiple of alignment, a power of two. */
static bool round_up(size_t *out, size_t n, size_t alignment)
{
	if (!size_add(&n, n, alignment - 1))
		return false;
	*out = n & ~(alignment - 1);
	return true;
}

static void *no_memory(size_t n, size_t size, struct err *err)
{
	err_set(err, ERR_MEMORY, "out of memory for %zu elements of %zu bytes; free memory or ask for less", n, size);
	return NULL;
}

void *mem_array(size_t n, size_t size, struct err *err)
{
	size_t total;
	void *bytes;

	if (!size_mul(&total, n, size))
		return no_memory(n, size, err);
	bytes = calloc(1, total ? total : 1);
	return bytes ? bytes : no_memory(n, size, err);
}

void *mem_aligned(size_t alignment, size_t n, size_t size, struct err *err)
{
	void *bytes = NULL;
	size_t total;

	if (!alignment || alignment & (alignment - 1)) {
		err_set(err, ERR_INTERNAL, "alignment %zu is not a power of two", alignment);
		return NULL;
	}
	if (alignment < sizeof(void *))
		alignment = sizeof(void *);
	if (!size_mul(&total, n, size) || !round_up(&total, total ? total : 1, alignment))
		return no_memory(n, size, err);
	if (posix_memalign(&bytes, alignment, total))
		return no_memory(n, size, err);
	return memset(bytes, 0, total);
}

void *mem_dup(const void *bytes, size_t n, struct err *err)
{
	void *copy = mem_array(n, 1, err);

	if (copy && n)
		memcpy(copy, bytes, n);
	return copy;
}

char *mem_strdup(const char *text, struct err *err)
{
	return mem_dup(text, strlen(text) + 1, err);
}

/* Next room of a growing array, and its bytes (never 0): doubled, or `need` where that is more or doubling wraps. */
static bool next_room(size_t *grown, size_t *bytes, size_t room, size_t need, size_t size)
{
	if (!size_mul(grown, room, 2) || *grown < need || !size_mul(bytes, *grown, size))
		*grown = need;
	if (!size_mul(bytes, *grown, size))
		return false;
	*bytes += !*bytes;
	return true;
}

int mem_grow(void *array, size_t *room, size_t need, size_t size, struct err *err)
{
	size_t grown, bytes;
	void *moved = NULL;

	if (need <= *room)
		return 0;
	if (next_room(&grown, &bytes, *room, need, size)) {
		memcpy(&moved, array, sizeof moved);
		moved = realloc(moved, bytes);
	}
	if (!moved) {
		no_memory(need, size, err);
		return -1;
	}
	memcpy(array, &moved, sizeof moved);
	*room = grown;
	return 0;
}

void arena_init(struct arena *arena)
{
	arena->head = NULL;
}

/* A zeroed block of at least `bytes`. A large one goes behind the head, whose rest stays in use. */
static struct arena_block *add_block(struct arena *arena, size_t bytes, struct err *err)
{
	size_t room = bytes > ARENA_BLOCK ? bytes : ARENA_BLOCK;
	struct arena_block **link = bytes > ARENA_BLOCK && arena->head ? &arena->head->next : &arena->head;
	struct arena_block *block;
	size_t total;

	if (!size_add(&total, sizeof *block, room)) {
		no_memory(bytes, 1, err);
		return NULL;
	}
	block = mem_array(total, 1, err);
	if (!block)
		return NULL;
	block->room = room;
	block->next = *link;
	*link = block;
	return block;
}

void *arena_array(struct arena *arena, size_t n, size_t size, struct err *err)
{
	struct arena_block *block = arena->head;
	size_t bytes;

	if (!size_mul(&bytes, n, size) || !round_up(&bytes, bytes ? bytes : 1, _Alignof(max_align_t)))
		return no_memory(n, size, err);
	if (!block || bytes > block->room - block->used)
		block = add_block(arena, bytes, err);
	if (!block)
		return NULL;
	block->used += bytes;
	return block->data + block->used - bytes;
}

char *arena_strndup(struct arena *arena, const char *text, size_t n, struct err *err)
{
	size_t length = strnlen(text, n);
	char *copy = arena_array(arena, length + 1, 1, err);

	if (copy)
		memcpy(copy, text, length);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text, struct err *err)
{
	return arena_strndup(arena, text, strlen(text), err);
}

void arena_release(struct arena *arena)
{
	while (arena->head) {
		struct arena_block *block = arena->head;
		arena->head = block->next;
		free(block);
	}
}
