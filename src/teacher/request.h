// SPDX-License-Identifier: Apache-2.0
/*
 * request.h - the body of a chat completion: the same bytes for the same
 * request, without the key, never streamed, always one choice.
 *
 *     struct teacher_request request = {.model = "m", .messages = m, .n = 2, .temperature = 0, .max_tokens = 512};
 *     if (teacher_request_check_extra(extra, &err))     // once, when the plan is read
 *             return -1;
 *     json_writer_init(&w, 0);
 *     teacher_request_write(&w, &request);
 *     const char *body = json_writer_text(&w, &n, &err);
 *
 * The members are, in this order: model, messages, temperature, max_tokens (or
 * max_completion_tokens), n, and then extra_body's in file order.
 *
 * Some models refuse max_tokens or any temperature of one's own with status
 * 400; outcome.h tells. What was planned is kept as it is; what is sent is a
 * changed copy of it:
 *
 *     char *sent = teacher_request_change(body, n, TEACHER_RENAME_LIMIT | TEACHER_DROP_TEMPERATURE, &m, &err);
 */
#ifndef BALDISTILL_TEACHER_REQUEST_H
#define BALDISTILL_TEACHER_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/jsonio.h"

#ifdef __cplusplus
extern "C" {
#endif

struct teacher_message {
	const char *role;
	const char *content; /* UTF-8 */
	size_t n;
};

struct teacher_request {
	const char *model;
	const struct teacher_message *messages;
	size_t n;
	double temperature;      /* negative: left out */
	int64_t max_tokens;      /* 0: left out */
	bool max_completion;     /* the limit's key is max_completion_tokens */
	struct json_value extra; /* an object, or all zero for none */
	bool has_extra;
};

/* extra_body must be an object without the keys that belong to us: ERR_CONFIG naming the key. */
int teacher_request_check_extra(struct json_value extra, struct err *err);

/* One value for the writer, which keeps the first failure. */
void teacher_request_write(struct json_writer *w, const struct teacher_request *request);

enum teacher_change {
	TEACHER_RENAME_LIMIT = 1, /* max_tokens becomes max_completion_tokens */
	TEACHER_DROP_TEMPERATURE = 2,
};

/*
 * A copy of body[0..n), as teacher_request_write made it, with a set of changes
 * made; its length in *changed_n, released with free(). NULL: ERR_DATA where it
 * is no such body, ERR_MEMORY.
 */
char *teacher_request_change(const char *body, size_t n, unsigned changes, size_t *changed_n, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
