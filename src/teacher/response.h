// SPDX-License-Identifier: Apache-2.0
/*
 * response.h - the body of a reply: an answer that can be used, or the reason
 * why not; or the error a server reports. Any bytes are accepted.
 *
 *     struct teacher_answer answer;
 *     if (teacher_answer_read(&answer, body, n, "my-model", &key, &err))
 *             return -1;                                // memory only
 *     if (answer.cause == TEACHER_USABLE)
 *             use(answer.content, answer.n);
 *     teacher_answer_release(&answer);
 *
 * An answer is usable when the body is one strict JSON object with exactly one
 * choice, whose finish_reason is "stop" ("eos", "eos_token" and "end_turn" of
 * other servers mean the same) and whose message has a text without
 * tool calls or refusal, neither empty nor blank, without control characters
 * (but tab and line ends) and bidirectional overrides. The text may be a list of
 * parts, {"type": "text", "text"}, joined. Thinking that begins a text, or
 * stands before a lone </think>, is left out of it. A usage that is absent, or
 * not made of counts that fit, or without a token of the prompt, is not known
 * and spoils nothing; completion_tokens is all that is not of the prompt. The
 * key never stands in any text given here.
 */
#ifndef BALDISTILL_TEACHER_RESPONSE_H
#define BALDISTILL_TEACHER_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/teacher/key.h"

#ifdef __cplusplus
extern "C" {
#endif

enum teacher_cause {
	TEACHER_USABLE,
	TEACHER_EMPTY_BODY,
	TEACHER_HTML,
	TEACHER_NOT_JSON,
	TEACHER_ERROR_BODY,    /* an error object in a reply of success */
	TEACHER_NO_CHOICE,     /* choices is missing, no list, or empty */
	TEACHER_CHOICES,       /* more than one choice */
	TEACHER_NO_CONTENT,    /* content missing, null or no text */
	TEACHER_EMPTY_CONTENT, /* nothing or white space */
	TEACHER_LENGTH,        /* cut at max_tokens */
	TEACHER_FILTERED,      /* finish_reason content_filter */
	TEACHER_REFUSAL,
	TEACHER_TOOL_CALLS,
	TEACHER_FINISH_REASON, /* missing or unknown */
	TEACHER_CONTROLS,      /* control or bidirectional characters in the text */
	TEACHER_CAUSES,
};

/* "length", "not json", …: a stable word or two for ledger and report; "" for TEACHER_USABLE. */
const char *teacher_cause_name(enum teacher_cause cause);

struct teacher_usage {
	bool known;   /* the counts below were given */
	bool flagged; /* something was given that is no such counts, and ignored */
	uint64_t prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens;
};

enum { TEACHER_NAME_ROOM = 128 };

struct teacher_answer {
	enum teacher_cause cause;
	char *content; /* NUL-terminated UTF-8, owned; NULL where the body has none; kept for unusable answers too */
	size_t n;
	char finish_reason[TEACHER_NAME_ROOM]; /* escaped, "" if none */
	char model[TEACHER_NAME_ROOM];         /* escaped, "" if none */
	bool other_model;                      /* neither the model asked for nor a dated name of it ("NAME-…") */
	struct teacher_usage usage;
};

/* 0, or -1 with ERR_MEMORY and nothing to release. model may be NULL: not compared. */
int teacher_answer_read(struct teacher_answer *answer, const char *body, size_t n, const char *model,
			const struct teacher_key *key, struct err *err);
void teacher_answer_release(struct teacher_answer *answer);

/*
 * The same of one object without choices, a program's line or a cassette's:
 * "content", "finish_reason" (absent or null: "stop") and "usage". said: by a
 * model just now, perhaps with its thinking; a cassette has what was left of it.
 */
int teacher_line_read(struct teacher_answer *answer, const char *line, size_t n, bool said, struct err *err);

/* Why this text cannot be a training row, TEACHER_USABLE if it can. finish_reason NULL: missing. */
enum teacher_cause teacher_text_cause(const char *content, size_t n, const char *finish_reason);

/*
 * Every error shape of such servers: {"error": {message, type, param, code}},
 * {"error": TEXT, "error_type"}, {"object": "error", message, …}, {"detail":
 * …}, {"message": …}, a list of one of them, a bare string. Texts are escaped.
 */
struct teacher_error {
	bool found; /* the body has one of those shapes; else message is the body's beginning */
	char message[512];
	char type[TEACHER_NAME_ROOM]; /* "" where there is none */
	char code[TEACHER_NAME_ROOM]; /* a number as its digits */
	char param[TEACHER_NAME_ROOM];
};

void teacher_error_read(struct teacher_error *error, const char *body, size_t n, const struct teacher_key *key);

#ifdef __cplusplus
}
#endif
#endif
