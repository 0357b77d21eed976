// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include "src/base/tree.h"
#include "src/pipeline/work.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/model/directory.h"

enum { SMALL_FILE = 16 << 20 }; /* bytes; hashing weights would take as long as reading them */

/* One JSON text a line: no two lists of them are the same bytes. Releases the writer. */
static int add_line(struct hash *hash, struct json_writer *w, struct err *err)
{
	size_t n;
	const char *text = json_writer_text(w, &n, err);
	int rc = !text || hash_update(hash, text, n, err) || hash_update(hash, "\n", 1, err) ? -1 : 0;
	json_writer_release(w);
	return rc;
}

/* ---- program and options -------------------------------------------------------------- */

static void put_backend(struct json_writer *w, const struct job *job)
{
	struct backend_info info;
	backend_probe(job->student->dev->name, &info);
	json_member_text(w, "backend", info.name);
	json_member_text(w, "library", info.library);
	json_member_text(w, "core", info.core);
	json_member_text(w, "level", info.level);
	json_member_int(w, "threads", job->threads ? (int64_t)job->threads : info.threads);
}

static int add_program(struct hash *hash, const struct job *job, const char *settings, struct err *err)
{
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	json_member_text(&w, "version", PACKAGE_VERSION);
	put_backend(&w, job);
	json_member_text(&w, "dtype", job->dtype);
	json_member_text(&w, "chat_template", job->chat ? job->chat : "none");
	json_member_text(&w, "settings", settings);
	json_put_key(&w, "numbers");
	json_begin_array(&w);
	const uint64_t numbers[] = {job->memory, job->seed, job->slots, job->batch_invariant};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		json_put_uint(&w, numbers[i]);
	json_end_array(&w);
	json_end_object(&w);
	return add_line(hash, &w, err);
}

/* ---- model files ------------------------------------------------------------------------ */

static int is_read(const struct dirent *entry)
{
	static const char *const ends[] = {".json", ".jinja", ".safetensors"};
	const char *dot = strrchr(entry->d_name, '.');
	for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
		if (!strcmp(dot, ends[i]))
			return 1;
	return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_file(struct hash *hash, const char *path, const char *name, struct err *err)
{
	struct stat status;
	unsigned char digest[HASH_SIZE];
	char hex[HASH_HEX_ROOM];
	struct json_writer w;
	if (stat(path, &status))
		return err_set_errno(err, ERR_DATA, "cannot examine '%s'", path);
	json_writer_init(&w, 0);
	json_begin_object(&w);
	json_member_text(&w, "name", name);
	json_member_int(&w, "size", status.st_size);
	if (status.st_size > SMALL_FILE) {
		json_member_int(&w, "seconds", status.st_mtim.tv_sec);
		json_member_int(&w, "nanoseconds", status.st_mtim.tv_nsec);
	} else if (hash_file(digest, path, err)) {
		json_writer_release(&w);
		return directory_blame(err);
	} else {
		hash_hex(hex, digest);
		json_member_text(&w, "sha256", hex);
	}
	json_end_object(&w);
	return add_line(hash, &w, err);
}

static int add_files(struct hash *hash, const char *directory, struct err *err)
{
	struct dirent **list;
	int rc = 0, n = scandir(directory, &list, is_read, by_name);
	if (n < 0)
		return err_set_errno(err, errno == ENOMEM ? ERR_MEMORY : ERR_IO, "cannot list '%s'", directory);
	for (int i = 0; i < n; i++) {
		char *path = rc ? NULL : tree_join(directory, list[i]->d_name, err);
		rc = rc || !path || add_file(hash, path, list[i]->d_name, err) ? -1 : 0;
		free(path);
		free(list[i]);
	}
	free(list);
	return rc;
}

/* ---- rows --------------------------------------------------------------------------------- */

static int add_rows(struct hash *hash, const struct rows *rows, struct err *err)
{
	static const char *const without[] = {NULL};
	for (size_t i = 0; i < rows->n; i++) {
		struct json_writer w;
		json_writer_init(&w, 0);
		json_begin_object(&w);
		row_put_id(&w, &rows->row[i].id);
		row_put_others(&w, &rows->row[i], without, err);
		json_end_object(&w);
		if (add_line(hash, &w, err))
			return -1;
	}
	return 0;
}

int work_name(char hex[HASH_HEX_ROOM], const struct job *job, const char *settings, struct err *err)
{
	struct hash hash;
	unsigned char digest[HASH_SIZE];
	if (hash_init(&hash, err))
		return -1;
	int rc = add_program(&hash, job, settings, err) || add_files(&hash, job->model, err) ||
		 (job->adapter && add_files(&hash, job->adapter, err)) || add_rows(&hash, &job->rows, err) || hash_final(digest, &hash, err);
	hash_release(&hash);
	if (rc)
		return -1;
	hash_hex(hex, digest);
	return 0;
}
