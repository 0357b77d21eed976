// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "src/base/jsonio.h"
#include "src/base/mem.h"
#include "src/teacher/pick.h"
#include "src/teacher/teacher.h"

static void put_identity(struct json_writer *w, const struct teacher_question *q, const char *messages)
{
	json_begin_object(w);
	json_put_key(w, "kind");
	json_put_string(w, q->kind, strlen(q->kind));
	json_put_key(w, "id");
	json_put_string(w, q->id, strlen(q->id));
	json_put_key(w, "ordinal");
	json_put_uint(w, q->ordinal);
	json_put_key(w, "messages");
	json_put_raw(w, messages);
	json_end_object(w);
}

static int hash_identity(char hex[HASH_HEX_ROOM], const struct teacher_question *q, const char *messages,
			 struct err *err)
{
	unsigned char digest[HASH_SIZE];
	struct json_writer w;
	size_t n;
	json_writer_init(&w, 0);
	put_identity(&w, q, messages);
	const char *text = json_writer_text(&w, &n, err);
	int rc = text ? hash_bytes(digest, text, n, err) : -1;
	if (!rc)
		hash_hex(hex, digest);
	json_writer_release(&w);
	return rc;
}

int teacher_question_hash(char hex[HASH_HEX_ROOM], const struct teacher_question *q, struct err *err)
{
	struct pick messages = {.path = "messages"};
	struct pick_text text;
	int rc = pick_read(&text, q->body, q->body_n, &messages, 1, err);
	if (!rc && messages.kind != JSON_ARRAY)
		rc = err_set(err, ERR_DATA, "'messages' must be a list");
	char *copy = rc ? NULL : mem_array(messages.n + 1, 1, err);
	if (copy)
		memcpy(copy, messages.bytes, messages.n);
	pick_release(&text);
	if (!copy)
		return err_prefix(err, "request body");
	rc = hash_identity(hex, q, copy, err);
	free(copy);
	return rc;
}
