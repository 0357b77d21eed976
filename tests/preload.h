// SPDX-License-Identifier: Apache-2.0
/*
 * preload.h - for a library that is put before a program with LD_PRELOAD and
 * has its calls fail, from main() on and in all threads:
 *
 *     FAULT_AT=N       the N-th call fails,
 *     FAULT_ON=1       and all after it;
 *     FAULT_PLACES=F   the numbers of the calls that come from a place (a stack
 *                      of callers) for the first time are written to the file F.
 *
 * One file of the library includes it, and asks fault() in each of its calls.
 */
#ifndef BALDISTILL_TESTS_PRELOAD_H
#define BALDISTILL_TESTS_PRELOAD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr, RTLD_NEXT */
#endif

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int __libc_start_main(int (*begin)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*end)(void),
		      void (*loader_end)(void), void *stack);

static atomic_long counted = -1;
static long at;
static bool on;
static int places; /* descriptor of FAULT_PLACES; 0: none */
/* What we call ourselves does not count. It is looked at in malloc, and so must not need it. */
static __thread bool inside __attribute__((tls_model("initial-exec")));

enum { CALLERS = 8, PLACES = 1 << 16 };

/* Not seen before; a table of hashes, 0 where it is empty. */
static bool is_new_place(void)
{
	static _Atomic uint64_t seen[PLACES];
	void *caller[CALLERS];
	uint64_t hash = 14695981039346656037u, before = 0;
	for (int i = 0, n = backtrace(caller, CALLERS); i < n; i++)
		hash = (hash ^ (uintptr_t)caller[i]) * 1099511628211u;
	size_t slot = hash >> 48;
	while (!atomic_compare_exchange_strong(&seen[slot], &before, hash) && before != hash) {
		before = 0;
		slot = (slot + 1) % PLACES;
	}
	return before != hash;
}

/* Whether this call is to fail. */
static bool fault(void)
{
	if (inside || atomic_load(&counted) < 0)
		return false;
	long n = atomic_fetch_add(&counted, 1) + 1;
	inside = true;
	if (places && is_new_place())
		dprintf(places, "%ld\n", n);
	inside = false;
	return at && (n == at || (on && n > at));
}

static int (*main_of)(int, char **, char **);

/* The constructors of libraries have run. */
static int counted_main(int argc, char **argv, char **environment)
{
	const char *first = getenv("FAULT_AT"), *all = getenv("FAULT_ON"), *file = getenv("FAULT_PLACES");
	at = first ? atol(first) : 0;
	on = all && *all;
	places = file && *file ? open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : 0;
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

#endif
