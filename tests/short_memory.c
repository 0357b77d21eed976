// SPDX-License-Identifier: Apache-2.0
/*
 * short_memory.c - put before a program with LD_PRELOAD, an allocator that
 * refuses, from main() on and in all threads:
 *
 *     SHORT_AT=N      the N-th allocation fails,
 *     SHORT_ON=1      and all after it;
 *     SHORT_SITES=F   the numbers of those that come from a place (a stack of
 *                     callers) for the first time are written to the file F,
 *     SHORT_COUNT=F   and how many there were, at the end, to the file F.
 *
 * The allocations of some libraries go through all the same: see spared.
 */
#define _GNU_SOURCE /* dladdr, RTLD_NEXT */

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *bytes, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
int __libc_start_main(int (*begin)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*end)(void),
		      void (*loader_end)(void), void *stack);

/* They end the process themselves, or fall, or do not say that memory lacks: none of their callers can do better. */
static const char *const spared[] = {"ld-linux", "libcrypto.", "libgfortran.", "libgomp."};

static atomic_long counted = -1;
static long at;
static bool on;
static int places; /* descriptor of SHORT_SITES */

static bool is_spared(const void *caller)
{
	Dl_info info;
	const char *name = dladdr(caller, &info) ? strrchr(info.dli_fname, '/') : NULL;
	for (size_t i = 0; name && i < sizeof spared / sizeof *spared; i++)
		if (!strncmp(name + 1, spared[i], strlen(spared[i])))
			return true;
	return false;
}

enum { CALLERS = 8, PLACES = 1 << 16 };

/* Not seen before; a table of hashes, 0 where it is empty. */
static bool is_new_place(void)
{
	static _Atomic uint64_t seen[PLACES];
	void *caller[CALLERS];
	uint64_t hash = 14695981039346656037u, before = 0;
	for (int i = 0, n = backtrace(caller, CALLERS); i < n; i++)
		hash = (hash ^ (uintptr_t)caller[i]) * 1099511628211u;
	size_t at = hash >> 48;
	while (!atomic_compare_exchange_strong(&seen[at], &before, hash) && before != hash) {
		before = 0;
		at = (at + 1) % PLACES;
	}
	return before != hash;
}

static __thread bool inside; /* backtrace allocates itself, once */

static void note_place(long n)
{
	inside = true;
	if (places && is_new_place())
		dprintf(places, "%ld\n", n);
	inside = false;
}

static bool refuses(const void *caller)
{
	if (inside || atomic_load(&counted) < 0)
		return false;
	long n = atomic_fetch_add(&counted, 1) + 1;
	note_place(n);
	bool no = at && (n == at || (on && n > at)) && !is_spared(caller);
	if (no)
		errno = ENOMEM;
	return no;
}

void *malloc(size_t n)
{
	return refuses(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return refuses(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *bytes, size_t n)
{
	return refuses(__builtin_return_address(0)) ? NULL : __libc_realloc(bytes, n);
}

void *memalign(size_t alignment, size_t n)
{
	return refuses(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
	return refuses(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, n);
}

int posix_memalign(void **out, size_t alignment, size_t n)
{
	void *bytes = refuses(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, n);
	if (bytes)
		*out = bytes;
	return bytes ? 0 : ENOMEM;
}

static void write_count(void)
{
	char text[32];
	const char *path = getenv("SHORT_COUNT");
	int n = snprintf(text, sizeof text, "%ld\n", atomic_exchange(&counted, -1));
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
	if (fd >= 0 && write(fd, text, (size_t)n) == n)
		close(fd);
}

static int (*main_of)(int, char **, char **);

/* The constructors of libraries have run. */
static int counted_main(int argc, char **argv, char **environment)
{
	const char *first = getenv("SHORT_AT"), *all = getenv("SHORT_ON");
	at = first ? atol(first) : 0;
	on = all && *all;
	const char *sites = getenv("SHORT_SITES");
	places = sites ? open(sites, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : 0;
	atexit(write_count);
	atomic_store(&counted, 0);
	return main_of(argc, argv, environment);
}

int __libc_start_main(int (*begin)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*end)(void),
		      void (*loader_end)(void), void *stack)
{
	__typeof__(&__libc_start_main) start = dlsym(RTLD_NEXT, "__libc_start_main");
	main_of = begin;
	return start(counted_main, argc, argv, init, end, loader_end, stack);
}
