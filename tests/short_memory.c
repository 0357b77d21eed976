// SPDX-License-Identifier: Apache-2.0
/*
 * short_memory.c - an allocator that refuses (preload.h says when). The
 * allocations of some libraries go through all the same: see spared.
 */
#include "tests/preload.h"

#include <errno.h>
#include <malloc.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *bytes, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

/* They end the process themselves, or fall, or do not say that memory lacks: none of their callers can do better. */
static const char *const spared[] = {"ld-linux", "libcrypto.", "libgfortran.", "libgomp."};

static bool is_spared(const void *caller)
{
	Dl_info info;
	const char *name = dladdr(caller, &info) ? strrchr(info.dli_fname, '/') : NULL;
	for (size_t i = 0; name && i < sizeof spared / sizeof *spared; i++)
		if (!strncmp(name + 1, spared[i], strlen(spared[i])))
			return true;
	return false;
}

static bool refuses(const void *caller)
{
	bool no = fault() && !is_spared(caller);
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
