// SPDX-License-Identifier: Apache-2.0
#include "src/model/identity.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/tree.h"
#include "src/model/directory.h"

enum { SMALL_FILE = 16 << 20, PIECE = 4 << 10, PIECES = 1024 };

static int is_read(const struct dirent *entry)
{
	static const char *const names[] = {
		"config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json",
		"special_tokens_map.json", "chat_template.jinja", "adapter_config.json",
	};
	const char *dot = strrchr(entry->d_name, '.');
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(entry->d_name, names[i]))
			return 1;
	return dot && !strcmp(dot, ".safetensors");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The first and the last piece, and those between. */
static int add_pieces(struct hash *hash, int fd, size_t size, const char *path, struct err *err)
{
	char *piece = mem_array(PIECE, 1, err);
	int rc = piece ? 0 : -1;
	for (size_t i = 0; !rc && i < PIECES; i++) {
		off_t at = (off_t)((size - PIECE) * i / (PIECES - 1));
		ssize_t n = lseek(fd, at, SEEK_SET) == at ? file_read_some(fd, piece, PIECE, path, err)
							  : err_set_errno(err, ERR_IO, "cannot read '%s'", path);
		rc = n < 0 || hash_update(hash, piece, (size_t)n, err) ? -1 : 0;
	}
	free(piece);
	return rc;
}

static int add_bytes(struct hash *hash, const char *path, size_t *size, struct err *err)
{
	unsigned char digest[HASH_SIZE];
	int fd = file_open(path, size, err);
	if (fd < 0)
		return -1;
	int rc = *size > SMALL_FILE ? add_pieces(hash, fd, *size, path, err)
				    : hash_file(digest, path, err) || hash_update(hash, digest, sizeof digest, err) ? -1 : 0;
	close(fd);
	return rc;
}

/* The name with its NUL and the size come after the bytes: no two lists of files are the same text. */
static int add_file(struct hash *hash, const char *directory, const char *name, struct err *err)
{
	size_t size;
	char *path = tree_join(directory, name, err);
	int rc = path ? 0 : -1;
	if (!rc && add_bytes(hash, path, &size, err))
		rc = directory_blame(err);
	if (!rc)
		rc = hash_update(hash, name, strlen(name) + 1, err) || hash_update(hash, &size, sizeof size, err) ? -1 : 0;
	free(path);
	return rc;
}

int identity_add(struct hash *hash, const char *directory, struct err *err)
{
	struct dirent **list;
	if (directory_check(directory, err))
		return -1;
	int rc = 0, n = scandir(directory, &list, is_read, by_name);
	if (n < 0)
		return err_set_errno(err, ERR_IO, "cannot list '%s'", directory);
	for (int i = 0; i < n; i++) {
		rc = rc || add_file(hash, directory, list[i]->d_name, err) ? -1 : 0;
		free(list[i]);
	}
	free(list);
	return rc;
}
