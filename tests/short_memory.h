// SPDX-License-Identifier: Apache-2.0
/*
 * short_memory.h - an allocator that refuses, libraries included. It replaces
 * the program's, so one file of a program includes this; without SHORT_MEMORY
 * the sanitizer has an allocator of its own.
 *
 *     {
 *             Shortage shortage(n, true);     // the n-th allocation of this thread fails, and all after it
 *             …                               // counted, failed
 *     }
 */
#ifndef BALDISTILL_TESTS_SHORT_MEMORY_H
#define BALDISTILL_TESTS_SHORT_MEMORY_H

#include <cerrno>
#include <cstdlib>

#include "tests/temporary.h"

#if defined(__SANITIZE_ADDRESS__) || defined(TESTS_HAVE_SHADOW)
#define SHORT_MEMORY 0
#else
#define SHORT_MEMORY 1
#endif

#if SHORT_MEMORY

extern "C" void *__libc_malloc(size_t n);
extern "C" void *__libc_calloc(size_t n, size_t size);
extern "C" void *__libc_realloc(void *p, size_t n);

// Allocations of this thread since it was set; the `failing`-th fails, with `onwards` all after it too.
static thread_local long counted = -1, failing = 0;
static thread_local bool onwards = false, failed = false;

static bool refuses()
{
	if (counted < 0)
		return false;
	counted++;
	bool no = failing && (counted == failing || (onwards && counted > failing));
	failed = failed || no;
	if (no)
		errno = ENOMEM;
	return no;
}

extern "C" void *malloc(size_t n)
{
	return refuses() ? nullptr : __libc_malloc(n);
}

extern "C" void *calloc(size_t n, size_t size)
{
	return refuses() ? nullptr : __libc_calloc(n, size);
}

extern "C" void *realloc(void *p, size_t n)
{
	return refuses() ? nullptr : __libc_realloc(p, n);
}

struct Shortage {
	Shortage(long n, bool onwards_)
	{
		failing = n;
		onwards = onwards_;
		failed = false;
		counted = 0;
	}
	~Shortage()
	{
		counted = -1;
		failing = 0;
	}
};

#endif
#endif
