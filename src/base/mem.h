// SPDX-License-Identifier: Apache-2.0
/*
 * mem.h - checked memory.
 *
 * Every size that comes from outside goes through size_mul/size_add or through
 * an allocator below that multiplies for you; none of them wraps. Failure is
 * an err of code ERR_MEMORY that names what was asked for.
 *
 *     float *row = mem_array(n, sizeof *row, &err);     // zeroed
 *     if (!row)
 *             return -1;
 *     free(row);
 *
 * An arena owns a family of objects that die together:
 *
 *     struct arena arena;
 *     arena_init(&arena);
 *     char *name = arena_strdup(&arena, text, &err);
 *     arena_release(&arena);                            // frees all of them
 */
#ifndef BALDISTILL_BASE_MEM_H
#define BALDISTILL_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* *out = a * b or a + b; false, with *out unchanged, where it does not fit. */
bool size_mul(size_t *out, size_t a, size_t b);
bool size_add(size_t *out, size_t a, size_t b);

/* n * size zeroed bytes from the heap, released with free(); n * size == 0 gives a valid pointer. */
void *mem_array(size_t n, size_t size, struct err *err);

/* As mem_array, aligned to `alignment` (a power of two), released with free(). */
void *mem_aligned(size_t alignment, size_t n, size_t size, struct err *err);

/* Heap copies, released with free(). */
char *mem_strdup(const char *text, struct err *err);
void *mem_dup(const void *bytes, size_t n, struct err *err);

/*
 * Make room for `need` elements in a growable array: *array has room for *room
 * elements of `size` bytes and grows by doubling. On failure both are unchanged.
 */
int mem_grow(void *array, size_t *room, size_t need, size_t size, struct err *err);

struct arena_block;
struct arena {
	struct arena_block *head; /* newest block, its predecessors linked behind */
};

void arena_init(struct arena *arena);
/* n * size zeroed bytes, aligned for any type, owned by the arena. */
void *arena_array(struct arena *arena, size_t n, size_t size, struct err *err);
char *arena_strdup(struct arena *arena, const char *text, struct err *err);
char *arena_strndup(struct arena *arena, const char *text, size_t n, struct err *err);
void arena_release(struct arena *arena);

#ifdef __cplusplus
}
#endif
#endif
