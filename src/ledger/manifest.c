// SPDX-License-Identifier: Apache-2.0
#include "src/ledger/manifest.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/ledger/internal.h"
#include "src/ledger/step.h"

static bool is_inside(const char *name)
{
	if (!*name || *name == '/')
		return false;
	for (const char *part = name; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (!strncmp(part, "..", 2) && (!part[2] || part[2] == '/'))
			return false;
	}
	return true;
}

static int hash_named(char hex[HASH_HEX_ROOM], const char *directory, const char *name, struct err *err)
{
	unsigned char digest[HASH_SIZE];
	size_t room = strlen(directory) + strlen(name) + 2;
	char shown[256];
	if (!is_inside(name))
		return err_set(err, ERR_LEDGER, "file '%s' is not inside the run directory",
			       text_escape(shown, sizeof shown, name, strlen(name)));
	char *path = mem_array(room, 1, err);
	if (!path)
		return -1;
	snprintf(path, room, "%s/%s", directory, name);
	int failed = hash_file(digest, path, err);
	if (!failed)
		hash_hex(hex, digest);
	free(path);
	return failed;
}

const char *manifest_write(struct json_writer *w, const char *directory, const char *const files[], size_t n,
			   struct err *err)
{
	char hex[HASH_HEX_ROOM];
	json_begin_object(w);
	for (size_t i = 0; i < n; i++) {
		if (hash_named(hex, directory, files[i], err))
			return NULL;
		json_put_key(w, files[i]);
		json_put_string(w, hex, strlen(hex));
	}
	json_end_object(w);
	return json_writer_text(w, NULL, err);
}

static int verify_one(const char *directory, const char *name, const char *want, struct err *err)
{
	char is[HASH_HEX_ROOM];
	char shown[512];
	struct err why = {0};
	if (hash_named(is, directory, name, &why))
		return err_set(err, ERR_LEDGER, "a finished step's file is lost: %s",
			       text_escape(shown, sizeof shown, why.message, strlen(why.message)));
	if (!strcmp(is, want))
		return 0;
	return err_set(err, ERR_LEDGER, "'%s' is not as its step left it; restore it or begin in another directory",
		       text_escape(shown, sizeof shown, name, strlen(name)));
}

static int verify_all(const char *directory, struct json_value root, struct err *err)
{
	struct json_iter it;
	if (json_members(root, &it, err))
		return -1;
	while (json_next(&it)) {
		const char *hex;
		size_t n;
		if (json_get_string(it.value, &hex, &n, err) || verify_one(directory, it.key, hex, err))
			return -1;
	}
	return 0;
}

int manifest_verify(const char *directory, const char *manifest, struct err *err)
{
	struct json *doc = json_parse(manifest, strlen(manifest), NULL, err);
	int failed = doc ? verify_all(directory, json_root(doc), err) : -1;
	json_free(doc);
	return failed;
}

int ledger_verify_files(struct ledger *l, struct err *err)
{
	int got = -1;
	sqlite3_stmt *rows = database_select(&l->db, err, "SELECT manifest FROM step WHERE state='DONE' ORDER BY stage", "");
	while (rows && (got = database_row(&l->db, rows, err)) > 0) {
		const char *manifest = (const char *)sqlite3_column_text(rows, 0);
		if (manifest && manifest_verify(l->directory, manifest, err)) {
			got = -1;
			break;
		}
	}
	sqlite3_finalize(rows);
	return got < 0 ? -1 : 0;
}
