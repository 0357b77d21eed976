// SPDX-License-Identifier: Apache-2.0
/*
 * jsonio.h - strict JSON in, deterministic JSON out.
 *
 * Reading is RFC 8259 without mercy: duplicate keys, NaN, numbers out of
 * range, bad UTF-8, lone surrogates, comments, trailing commas, a byte order
 * mark, bytes after the value and everything deeper or larger than the limits
 * are refused, each with "byte OFFSET: RULE" (offsets from 0). A document has one owner; values are borrowed
 * from it, cheap to copy, and valid until json_free. Looking something up never
 * fails: json_in and json_at remember what they looked for, and the getter that
 * follows reports the whole path.
 *
 *     struct json *doc = json_parse(text, n, NULL, &err);
 *     if (!doc)
 *             return err_prefix(&err, "%s", path);
 *     struct json_value root = json_root(doc);
 *     if (json_get_uint64(json_in(root, "hidden_size"), &hidden, &err) ||
 *         json_opt_double(json_in(json_in(root, "rope_scaling"), "factor"), 1.0, &factor, &err))
 *             err_prefix(&err, "%s", path);       // "config.json: 'rope_scaling.factor' must be …"
 *     json_free(doc);
 *
 * Writing appends values to a buffer; commas, colons and escapes are the
 * writer's business. The first failure sticks and is told by json_writer_text.
 *
 *     struct json_writer w;
 *     json_writer_init(&w, 0);
 *     json_begin_object(&w);
 *     json_put_key(&w, "stage");
 *     json_put_int(&w, 3);
 *     json_end_object(&w);
 *     const char *text = json_writer_text(&w, &n, &err);   // {"stage":3}
 *     json_writer_release(&w);
 *
 * A document is for one thread at a time.
 */
#ifndef BALDISTILL_BASE_JSONIO_H
#define BALDISTILL_BASE_JSONIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct json_limits {
	size_t max_bytes;  /* of the text */
	size_t max_depth;  /* nested arrays and objects; a scalar alone has depth 0 */
	size_t max_values; /* scalars, arrays and objects together; an empty object costs about 800 bytes of memory */
};

/* What a NULL limits means: a line of 16 MiB, depth 32, 262144 values. */
extern const struct json_limits json_default_limits;

enum { JSON_NUMBER_BYTES = 1024 }; /* a longer number is refused */

/* Only judge the text: 0, or -1 with "byte OFFSET: RULE" (ERR_DATA; ERR_MEMORY for its lists of brackets and keys). */
int json_check(const char *text, size_t n, const struct json_limits *limits, struct err *err);

struct json;

/*
 * Check and parse text[0..n), which needs no NUL and is not kept. NULL on
 * failure: ERR_DATA, ERR_MEMORY; ERR_INTERNAL where the text or the limit of
 * depth exceeds an int.
 */
struct json *json_parse(const char *text, size_t n, const struct json_limits *limits, struct err *err);
void json_free(struct json *doc);

enum json_kind {
	JSON_ABSENT,
	JSON_NULL,
	JSON_BOOL,
	JSON_INTEGER, /* written without fraction and exponent, in [-2^63, 2^64 - 1] */
	JSON_DOUBLE,  /* written with fraction or exponent; always finite */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/*
 * The same strict reading as a stream of events, for a text whose tree would
 * cost too much memory: nothing is kept but the brackets and keys of the open
 * containers, and the strings that had escapes.
 *
 *     struct json_reader *reader = json_reader_new(text, n, &limits, &err);
 *     struct json_event event;
 *     do
 *             if (json_reader_next(reader, &event, &err))
 *                     return -1;                        // free the reader first
 *     while (event.kind != JSON_EVENT_END);             // the whole text was good
 *     json_reader_free(reader);
 *
 * A repeated key is found at the end of its object. What was read counts only
 * once JSON_EVENT_END has come.
 */
enum json_event_kind {
	JSON_EVENT_END,   /* of the text */
	JSON_EVENT_KEY,   /* of the value that comes next */
	JSON_EVENT_VALUE, /* a scalar, or an array or object that begins */
	JSON_EVENT_CLOSE, /* the innermost array or object ends */
};

struct json_event {
	enum json_event_kind kind;
	enum json_kind value; /* of a value, or of the container that ends */
	const char *bytes;    /* a key or string decoded, a number or word as written; no NUL behind it */
	size_t n;
	size_t at; /* offset of its first byte in the text */
};

struct json_reader;

/* A reader of text[0..n), which must outlive it as it must the bytes of its events. NULL: ERR_DATA, ERR_MEMORY. */
struct json_reader *json_reader_new(const char *text, size_t n, const struct json_limits *limits, struct err *err);
void json_reader_free(struct json_reader *reader);
/* The next event; -1 with the failures of json_check, after which the reader can only be freed. */
int json_reader_next(struct json_reader *reader, struct json_event *event, struct err *err);
/* The number of an event, which must be written as an integer and fit; -1 with "byte OFFSET: RULE", *out unchanged. */
int json_event_uint64(const struct json_event *event, uint64_t *out, struct err *err);

/* A place in a document, filled or not. The fields are private. */
struct json_value {
	struct json_object *parent; /* container looked into, NULL for the root */
	struct json_object *node;   /* NULL for null and where nothing was found */
	const char *key;            /* of a member, borrowed from the caller or the document; NULL otherwise */
	size_t index;               /* of an element */
	unsigned state;
};

struct json_value json_root(const struct json *doc);
/* Member `key` of an object; absent where the object is absent or null. The key must outlive the value. */
struct json_value json_in(struct json_value object, const char *key);
/* Element `index` of an array; absent past its end. */
struct json_value json_at(struct json_value array, size_t index);
enum json_kind json_kind(struct json_value value);

/* Neither absent nor null, which writers of tables put where a row lacks a column. */
bool json_is_there(struct json_value value);

/* Fail unless the value is of this kind. */
int json_expect(struct json_value value, enum json_kind kind, struct err *err);

/*
 * Typed getters: 0, or -1 with ERR_DATA naming the path, *out unchanged.
 * Integers must be written as integers and fit; a double may be written as
 * either. Strings are UTF-8, NUL-terminated, borrowed from the document; with
 * n == NULL a string with a NUL inside is refused.
 */
int json_get_string(struct json_value value, const char **out, size_t *n, struct err *err);
int json_get_int64(struct json_value value, int64_t *out, struct err *err);
int json_get_uint64(struct json_value value, uint64_t *out, struct err *err);
int json_get_double(struct json_value value, double *out, struct err *err);
int json_get_bool(struct json_value value, bool *out, struct err *err);
int json_get_length(struct json_value array, size_t *out, struct err *err);

/* The same, but an absent or null value gives `fallback` (for a string, NUL-terminated or NULL). */
int json_opt_string(struct json_value value, const char *fallback, const char **out, size_t *n, struct err *err);
int json_opt_int64(struct json_value value, int64_t fallback, int64_t *out, struct err *err);
int json_opt_double(struct json_value value, double fallback, double *out, struct err *err);
int json_opt_bool(struct json_value value, bool fallback, bool *out, struct err *err);

/*
 * Members in file order:
 *     struct json_iter it;
 *     if (json_members(object, &it, err))
 *             return -1;
 *     while (json_next(&it))
 *             use(it.key, it.value);
 */
struct json_iter {
	const char *key;
	struct json_value value;
	struct json_object *object; /* private */
	const void *next;           /* private */
};

int json_members(struct json_value object, struct json_iter *it, struct err *err);
bool json_next(struct json_iter *it);

struct json_writer {
	char *text;
	size_t n, room;
	char *open; /* '{' or '[' for each open container, innermost last */
	size_t depth, open_room;
	int indent;
	int place; /* what came last and so what may come next */
	struct err err;
};

/* indent: spaces per level and one value per line, or 0 for no white space at all. */
void json_writer_init(struct json_writer *w, int indent);
void json_writer_release(struct json_writer *w);

/*
 * The finished text, NUL-terminated, borrowed until release (n may be NULL).
 * NULL with the first failure: ERR_DATA for bad UTF-8, ERR_NOTFINITE for a
 * double without a JSON form, ERR_MEMORY, ERR_INTERNAL for calls out of order
 * (a value without a key, an end without its begin, an unfinished document).
 */
const char *json_writer_text(struct json_writer *w, size_t *n, struct err *err);

void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_put_key(struct json_writer *w, const char *key);
/* Escapes quotes, backslash, controls, '<', U+2028 and U+2029; all else stands as it is. */
void json_put_string(struct json_writer *w, const char *text, size_t n);
void json_put_int(struct json_writer *w, int64_t value);
void json_put_uint(struct json_writer *w, uint64_t value);
/* The shortest of 15, 16 and 17 digits that reads back as the same double. */
void json_put_double(struct json_writer *w, double value);
/* The same, or null where the number is not known. */
void json_put_known(struct json_writer *w, double value, bool known);
/* A value of a document as it stands there: the same numbers, digit by digit. */
void json_put_value(struct json_writer *w, struct json_value value);
/* One value that is JSON already; not checked. */
void json_put_raw(struct json_writer *w, const char *json);
void json_put_bool(struct json_writer *w, bool value);
void json_put_null(struct json_writer *w);

/* A member of an object: its key and its value in one call. */
void json_member_text(struct json_writer *w, const char *key, const char *text);
void json_member_int(struct json_writer *w, const char *key, int64_t value);
void json_member_uint(struct json_writer *w, const char *key, uint64_t value);
void json_member_double(struct json_writer *w, const char *key, double value);
void json_member_known(struct json_writer *w, const char *key, double value, bool known);
void json_member_bool(struct json_writer *w, const char *key, bool value);

#ifdef __cplusplus
}
#endif
#endif
