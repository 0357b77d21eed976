// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include "src/pipeline/work.h"

#include "src/model/identity.h"

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
	int rc = add_program(&hash, job, settings, err) || identity_add(&hash, job->model, err) ||
		 (job->adapter && identity_add(&hash, job->adapter, err)) || add_rows(&hash, &job->rows, err) || hash_final(digest, &hash, err);
	hash_release(&hash);
	if (rc)
		return -1;
	hash_hex(hex, digest);
	return 0;
}
