// SPDX-License-Identifier: Apache-2.0
/* Opening a safetensors file, finding its tensors. */
#include "src/model/safetensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/model/safetensors_table.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weights are read as they lie, in little-endian order");

enum { PREFIX = 8 };

struct safetensors {
	int fd;
	char *path;
	struct stat status; /* when it was opened */
	uint64_t data;      /* first byte behind the header */
	struct table table;
};

int safetensors_unchanged(const struct safetensors *file, struct err *err)
{
	const struct stat *was = &file->status;
	struct stat now;
	bool there = !stat(file->path, &now);

	if (!there && errno != ENOENT && errno != ESTALE)
		return err_set_errno(err, ERR_IO, "cannot look at '%s'", file->path);
	if (there && now.st_dev == was->st_dev && now.st_ino == was->st_ino &&
	    now.st_size == was->st_size && now.st_mtim.tv_sec == was->st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == was->st_mtim.tv_nsec)
		return 0;
	return err_set(err, ERR_DATA, "%s: the file was changed or replaced while it was open; start again",
		       file->path);
}

int safetensors_pread(const struct safetensors *file, uint64_t place, void *out, size_t n, struct err *err)
{
	char *next = out;

	while (n) {
		ssize_t got = pread(file->fd, next, n, (off_t)place);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set_errno(err, ERR_IO, "cannot read '%s'", file->path);
		if (!got)
			return err_set(err, ERR_DATA, "%s: the file was cut short while it was open", file->path);
		next += got;
		place += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

/* What people have under the name of a safetensors file. */
static int check_magic(const unsigned char start[PREFIX], struct err *err)
{
	static const struct {
		const char *bytes, *what;
	} known[] = {
		{"PK\3\4", "a PyTorch archive; convert the model to safetensors"},
		{"\x80\2", "a Python pickle; convert the model to safetensors"},
		{"GGUF", "a GGUF file; safetensors is needed"},
		{"version ", "a Git LFS pointer; fetch the file itself with 'git lfs pull'"},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (!memcmp(start, known[i].bytes, strlen(known[i].bytes)))
			return err_set(err, ERR_DATA, "not safetensors but %s", known[i].what);
	return 0;
}

/* The length of the header, believed only where the file has that many bytes. */
static int read_length(struct safetensors *file, uint64_t size, uint64_t *length, struct err *err)
{
	unsigned char start[PREFIX];

	if (size < PREFIX)
		return err_set(err, ERR_DATA, "%s: the file has %llu bytes, the header length alone takes 8",
			       file->path, (unsigned long long)size);
	if (safetensors_pread(file, 0, start, PREFIX, err))
		return -1;
	*length = 0;
	for (int i = PREFIX; i--;)
		*length = *length << 8 | start[i];
	if (*length <= LIMIT_HEADER_BYTES && *length <= size - PREFIX)
		return 0;
	if (check_magic(start, err))
		return err_prefix(err, "%s", file->path);
	if (*length > LIMIT_HEADER_BYTES)
		return err_set(err, ERR_DATA, "%s: a header length of %llu; the limit is %d", file->path,
			       (unsigned long long)*length, LIMIT_HEADER_BYTES);
	return err_set(err, ERR_DATA, "%s: a header of %llu bytes in a file of %llu", file->path,
		       (unsigned long long)*length, (unsigned long long)size);
}

static int read_table(struct safetensors *file, struct err *err)
{
	uint64_t length = 0, size = (uint64_t)file->status.st_size;
	char *text;
	int result;

	if (read_length(file, size, &length, err))
		return -1;
	text = mem_array((size_t)length, 1, err);
	if (!text)
		return -1;
	file->data = PREFIX + length;
	result = safetensors_pread(file, PREFIX, text, (size_t)length, err);
	if (!result && table_parse(&file->table, text, (size_t)length, err))
		result = err_prefix(err, "%s: header", file->path);
	free(text);
	if (!result && table_check(&file->table, size - file->data, err))
		result = err_prefix(err, "%s", file->path);
	return result ? result : safetensors_unchanged(file, err);
}

struct safetensors *safetensors_open(const char *path, struct err *err)
{
	struct safetensors *file = mem_array(1, sizeof *file, err);

	if (!file)
		return NULL;
	file->path = mem_strdup(path, err);
	file->fd = file->path ? file_open(path, NULL, err) : -1;
	if (file->fd >= 0 && fstat(file->fd, &file->status))
		err_set_errno(err, ERR_IO, "cannot examine '%s'", path);
	else if (file->fd >= 0 && !read_table(file, err))
		return file;
	safetensors_close(file);
	return NULL;
}

void safetensors_close(struct safetensors *file)
{
	if (!file)
		return;
	if (file->fd >= 0)
		close(file->fd);
	table_release(&file->table);
	free(file->path);
	free(file);
}

const char *safetensors_path(const struct safetensors *file)
{
	return file->path;
}

size_t safetensors_count(const struct safetensors *file)
{
	return file->table.n;
}

const char *safetensors_name(const struct safetensors *file, size_t index)
{
	return file->table.names + file->table.entries[index].name;
}

void safetensors_get(const struct safetensors *file, size_t index, struct tensor_info *info)
{
	const struct table *t = &file->table;
	const struct table_entry *e = &t->entries[index];
	const struct tensor_type *type = &tensor_types[e->type];

	*info = (struct tensor_info){
		.file = file,
		.name = t->names + e->name,
		.type = type->name,
		.weight = type->weight,
		.dtype = type->dtype,
		.rank = e->rank,
		.begin = file->data + e->begin,
		.bytes = e->end - e->begin,
	};
	for (int i = 0; i < e->rank; i++)
		info->shape[i] = t->dims[e->shape + (uint32_t)i];
}

bool safetensors_find(const struct safetensors *file, const char *name, struct tensor_info *info)
{
	const struct table *t = &file->table;
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, t->names + t->entries[middle].name);

		if (!order) {
			safetensors_get(file, middle, info);
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

const char *safetensors_metadata(const struct safetensors *file, const char *key)
{
	const struct table *t = &file->table;

	for (size_t i = 0; i < t->metadata_n; i++)
		if (!strcmp(t->names + t->metadata[i].key, key))
			return t->names + t->metadata[i].value;
	return NULL;
}
