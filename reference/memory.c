// SPDX-License-Identifier: Apache-2.0
/* Views, devices and their memory; the host versions of what moves bytes. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "reference/internal.h"

enum { ALIGNMENT = 64 };

static const struct {
	const char *name;
	size_t size;
} dtypes[DTYPE_COUNT] = {
	[DTYPE_F32] = {"f32", sizeof(real)},       [DTYPE_BF16] = {"bf16", 2}, [DTYPE_F16] = {"f16", 2},
	[DTYPE_I32] = {"i32", sizeof(int32_t)},    [DTYPE_U64] = {"u64", sizeof(uint64_t)}, [DTYPE_U8] = {"u8", 1},
};

size_t dtype_size(enum dtype dtype)
{
	return dtypes[dtype].size;
}

const char *dtype_name(enum dtype dtype)
{
	return dtypes[dtype].name;
}

#define OP_NAME(name) #name,
static const char *const op_names[OP_COUNT] = {KERNEL_OPS(OP_NAME)};

const char *op_name(enum op op)
{
	return op_names[op];
}

struct view view_of(struct buffer *buffer, int64_t rows, int64_t cols, enum dtype dtype)
{
	return (struct view){.buffer = buffer, .rows = rows, .cols = cols, .ld = cols, .dtype = dtype};
}

struct view view_rows(struct view v, int64_t row, int64_t rows)
{
	v.offset += row * v.ld;
	v.rows = rows;
	return v;
}

struct view view_cols(struct view v, int64_t col, int64_t cols)
{
	v.offset += col;
	v.cols = cols;
	return v;
}

void device_fail(struct device *dev, const char *op, const char *format, ...)
{
	if (dev->failure[0])
		return;
	int n = snprintf(dev->failure, sizeof dev->failure, "%s: ", op);
	va_list args;
	va_start(args, format);
	vsnprintf(dev->failure + n, sizeof dev->failure - (size_t)n, format, args);
	va_end(args);
}

const char *device_sync(struct device *dev)
{
	dev->k->sync(dev);
	return dev->failure[0] ? dev->failure : NULL;
}

static size_t round_up(size_t bytes)
{
	return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void *device_scratch(struct device *dev, const char *op, size_t bytes)
{
	size_t room = dev->scratch.bytes - dev->scratch_used;
	if (bytes > room || round_up(bytes) > room) {
		device_fail(dev, op, "needs %zu more bytes of scratch than the %zu reserved", bytes - room,
			    dev->scratch.bytes);
		return NULL;
	}
	void *at = (char *)dev->scratch.data + dev->scratch_used;
	dev->scratch_used += round_up(bytes);
	return at;
}

size_t ref_bytes(int64_t n)
{
	return round_up((size_t)n * sizeof(real));
}

struct view ref_scratch(struct device *dev, const char *op, int64_t rows, int64_t cols)
{
	struct view v = view_of(&dev->scratch, rows, cols, DTYPE_F32);
	v.offset = (int64_t)(dev->scratch_used / sizeof(real));
	return device_scratch(dev, op, (size_t)rows * (size_t)cols * sizeof(real)) ? v : view_none();
}

struct view ref_carve(struct view saved, size_t *at, int64_t rows, int64_t cols)
{
	struct view v = view_of(saved.buffer, rows, cols, DTYPE_F32);
	v.offset = (int64_t)(((size_t)saved.offset + *at) / sizeof(real));
	*at += ref_bytes(rows * cols);
	return v;
}

/*
 * From so many bytes on memory is mapped: zero as it comes, and taken from the machine where it is first used, in huge
 * pages where the system has them.
 */
enum { MAPPED = 1 << 22 };

static void *zeroed(size_t bytes)
{
	if (bytes >= MAPPED) {
		void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mapped == MAP_FAILED)
			return NULL;
		madvise(mapped, bytes, MADV_HUGEPAGE); /* a wish: failing is no failure */
		return mapped;
	}
	void *data = aligned_alloc(ALIGNMENT, bytes);
	return data ? memset(data, 0, bytes) : NULL;
}

static void host_free(const struct buffer *buffer)
{
	if (buffer->bytes >= MAPPED)
		munmap(buffer->data, buffer->bytes);
	else
		free(buffer->data);
}

/* Zeroed memory; *bytes becomes what is held. */
static void *host_bytes(struct device *dev, size_t *wanted)
{
	void *data = NULL;
	size_t bytes = *wanted;
	if (bytes > SIZE_MAX - ALIGNMENT || !(data = zeroed(*wanted = round_up(bytes ? bytes : 1)))) {
		device_fail(dev, "alloc", "out of memory for %zu bytes (%zu held already)", bytes, dev->allocated);
		return NULL;
	}
	dev->allocated += *wanted;
	return data;
}

static struct buffer *ref_alloc(struct device *dev, size_t bytes)
{
	struct buffer *buffer = malloc(sizeof *buffer);
	void *data = buffer ? host_bytes(dev, &bytes) : NULL;
	if (!data) {
		device_fail(dev, "alloc", "out of memory");
		free(buffer);
		return NULL;
	}
	*buffer = (struct buffer){data, bytes};
	return buffer;
}

static void ref_free(struct device *dev, struct buffer *buffer)
{
	if (!buffer)
		return;
	dev->allocated -= buffer->bytes;
	host_free(buffer);
	free(buffer);
}

static void ref_upload(struct device *dev, struct view dst, const void *host)
{
	if (!check_view(dev, "upload", "dst", dst, CHECK_ANY))
		return;
	size_t bytes = (size_t)dst.cols * dtype_size(dst.dtype);
	for (int64_t i = 0; bytes && i < dst.rows; i++)
		memcpy(view_row(dst, i), (const char *)host + (size_t)i * bytes, bytes);
}

static void ref_download(struct device *dev, void *host, struct view src)
{
	if (!check_view(dev, "download", "src", src, CHECK_ANY))
		return;
	size_t bytes = (size_t)src.cols * dtype_size(src.dtype);
	for (int64_t i = 0; bytes && i < src.rows; i++)
		memcpy((char *)host + (size_t)i * bytes, view_row(src, i), bytes);
}

static void ref_sync(struct device *dev)
{
	(void)dev;
}

static void ref_reserve(struct device *dev, size_t bytes)
{
	if (bytes <= dev->scratch.bytes || dev->failure[0])
		return;
	void *data = host_bytes(dev, &bytes);
	if (!data)
		return;
	dev->allocated -= dev->scratch.bytes;
	device_scratch_free(dev);
	dev->scratch = (struct buffer){data, bytes};
}

void device_scratch_free(struct device *dev)
{
	if (dev->scratch.data)
		host_free(&dev->scratch);
}

static void ref_capture_begin(struct device *dev)
{
	(void)dev;
}

static struct graph *ref_capture_end(struct device *dev)
{
	(void)dev;
	return NULL;
}

static bool ref_replay(struct device *dev, struct graph *graph)
{
	(void)dev, (void)graph;
	return false;
}

static void ref_graph_free(struct device *dev, struct graph *graph)
{
	(void)dev, (void)graph;
}

static int ref_prepare(struct device *dev, struct weight *weight, int n, const struct view host[], enum dtype dtype,
		       unsigned uses)
{
	(void)dtype; /* products take the stored elements as they are */
	*weight = (struct weight){.n = n, .uses = uses};
	for (int i = 0; i < n; i++) {
		if (!check_view(dev, "prepare", "weight", host[i], CHECK_FLOAT) || host[i].cols != host[0].cols) {
			device_fail(dev, "prepare", "matrices of a group differ in their input size");
			return -1;
		}
		weight->w[i] = host[i];
	}
	return 0;
}

static void ref_refresh(struct device *dev, struct weight *weight)
{
	(void)dev, (void)weight;
}

static void ref_release(struct device *dev, struct weight *weight)
{
	(void)dev;
	*weight = (struct weight){0};
}

void ref_table_memory(struct kernels *table)
{
	table->alloc = ref_alloc;
	table->free = ref_free;
	table->upload = ref_upload;
	table->download = ref_download;
	table->sync = ref_sync;
	table->reserve = ref_reserve;
	table->capture_begin = ref_capture_begin;
	table->capture_end = ref_capture_end;
	table->replay = ref_replay;
	table->graph_free = ref_graph_free;
	table->prepare = ref_prepare;
	table->refresh = ref_refresh;
	table->release = ref_release;
}

struct device *device_reference_new(void)
{
	struct device *dev = calloc(1, sizeof *dev);
	if (dev)
		*dev = (struct device){.k = kernels_reference(), .name = "reference", .threads = 1};
	return dev;
}

void device_reference_free(struct device *dev)
{
	if (!dev)
		return;
	device_scratch_free(dev);
	free(dev);
}
