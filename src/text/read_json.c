// SPDX-License-Identifier: Apache-2.0
/*
 * tokenizer.json in pieces. Vocabulary and merges are nearly all of the file,
 * and as one tree they would take ten times its size; so these two are cut out
 * of the text and parsed some thousand entries at a time. Cutting goes by
 * quotes, brackets and commas alone; every byte is checked when its piece is
 * parsed.
 */
#include <stdlib.h>
#include <string.h>

#include "src/text/read.h"

enum { PIECE_ENTRIES = 4096, PIECE_BYTES = 256 << 10 };

static char peek(struct slice text, size_t at)
{
	return at < text.n ? text.bytes[at] : '\0';
}

static size_t skip_space(struct slice text, size_t at)
{
	for (char c = peek(text, at); c == ' ' || c == '\n' || c == '\t' || c == '\r'; c = peek(text, at))
		at++;
	return at;
}

/* Behind the string whose quote is at `at`. */
static size_t skip_string(struct slice text, size_t at)
{
	for (at++; at < text.n && text.bytes[at] != '"'; at++)
		at += text.bytes[at] == '\\';
	return at < text.n ? at + 1 : text.n;
}

/* Behind the value that starts at `at`. */
static size_t skip_value(struct slice text, size_t at)
{
	size_t depth = 0;

	do {
		char c = peek(text, at);
		depth += c == '[' || c == '{';
		depth -= depth && (c == ']' || c == '}');
		at = c == '"' ? skip_string(text, at) : at + 1;
	} while (at < text.n && (depth || !strchr(",]} \t\r\n", text.bytes[at])));
	return at < text.n ? at : text.n;
}

/* Behind a member's key and colon. */
static size_t skip_key(struct slice text, size_t at)
{
	return skip_space(text, skip_space(text, skip_string(text, at)) + 1);
}

/* The value of an object's member; n == 0 where the text is no object or has no such member in plain letters. */
static struct slice find_member(struct slice object, const char *key)
{
	size_t n = strlen(key), at = skip_space(object, 0);

	if (peek(object, at) != '{')
		return (struct slice){0};
	for (at = skip_space(object, at + 1); peek(object, at) == '"'; at = skip_space(object, at + 1)) {
		size_t from = skip_key(object, at), to = skip_value(object, from);
		if (object.n - at > n + 1 && !memcmp(object.bytes + at + 1, key, n) &&
		    object.bytes[at + 1 + n] == '"' && from < to)
			return (struct slice){object.bytes + from, to - from};
		at = skip_space(object, to);
		if (peek(object, at) != ',')
			break;
	}
	return (struct slice){0};
}

/* Copy text[*done..cut) and put null for the cut. */
static int put_null(struct buffer *rest, const char *text, size_t *done, struct slice cut, struct err *err)
{
	size_t from = cut.n ? (size_t)(cut.bytes - text) : 0;

	if (!cut.n)
		return 0;
	if (buffer_put(rest, text + *done, from - *done, err) || buffer_put(rest, "null", 4, err))
		return -1;
	*done = from + cut.n;
	return 0;
}

static struct json *parse_rest(struct slice text, struct slice first, struct slice second, struct err *err)
{
	static const struct json_limits limits = {TOKENIZER_MAX_FILE, 32, TOKENIZER_MAX_REST};
	struct buffer rest = {0};
	struct json *doc = NULL;
	size_t done = 0;

	if (!put_null(&rest, text.bytes, &done, first, err) && !put_null(&rest, text.bytes, &done, second, err) &&
	    !buffer_put(&rest, text.bytes + done, text.n - done, err))
		doc = json_parse(rest.bytes, rest.n, &limits, err);
	free(rest.bytes);
	return doc;
}

int json_parts_read(struct json_parts *parts, const char *text, size_t n, struct err *err)
{
	struct slice all = {text, n}, model = find_member(all, "model");

	*parts = (struct json_parts){find_member(model, "vocab"), find_member(model, "merges"), NULL};
	if (n > TOKENIZER_MAX_FILE)
		return err_set(err, ERR_DATA, "%zu bytes are above the limit of %d", n, TOKENIZER_MAX_FILE);
	parts->rest = parts->vocab.bytes < parts->merges.bytes ? parse_rest(all, parts->vocab, parts->merges, err)
							       : parse_rest(all, parts->merges, parts->vocab, err);
	return parts->rest ? 0 : -1;
}

/* The end of the entries from `at` on that make one piece: a comma or the closing bracket. */
static size_t find_end(struct slice text, size_t at, bool object)
{
	size_t start = at;

	for (size_t count = 1;; count++) {
		if (object)
			at = skip_key(text, at);
		at = skip_space(text, skip_value(text, at));
		if (peek(text, at) != ',' || count == PIECE_ENTRIES || at - start > PIECE_BYTES)
			return at < text.n ? at : text.n - 1;
		at = skip_space(text, at + 1);
	}
}

/* Parse entries as a container of their own. */
static int use_piece(struct buffer *piece, struct slice entries, const char brackets[2],
		     int (*use)(void *, struct json_value, struct err *), void *context, struct err *err)
{
	static const struct json_limits limits = {TOKENIZER_MAX_FILE, 2, 4 * PIECE_ENTRIES};
	struct json *doc;
	int result;

	piece->n = 0;
	if (buffer_put(piece, brackets, 1, err) || buffer_put(piece, entries.bytes, entries.n, err) ||
	    buffer_put(piece, brackets + 1, 1, err))
		return -1;
	doc = json_parse(piece->bytes, piece->n, &limits, err);
	if (!doc)
		return -1;
	result = use(context, json_root(doc), err);
	json_free(doc);
	return result;
}

/* The container's last byte is its closing bracket, or the piece before it does not parse. */
int json_pieces(struct slice container, int (*use)(void *, struct json_value, struct err *), void *context,
		struct err *err)
{
	bool object = container.bytes[0] == '{', more = true;
	struct buffer piece = {0};
	size_t at = 1, end;
	int result = 0;

	if (container.n < 2 || container.bytes[container.n - 1] != (object ? '}' : ']'))
		return err_set(err, ERR_DATA, "a bracket is not closed");
	if (skip_space(container, at) == container.n - 1)
		return 0;
	while (!result && more) {
		if (skip_space(container, at) == container.n - 1) {
			result = err_set(err, ERR_DATA, "trailing comma before the closing bracket");
			break;
		}
		end = find_end(container, skip_space(container, at), object);
		more = end < container.n - 1;
		if (more && container.bytes[end] != ',') {
			result = err_set(err, ERR_DATA, "entries without a comma between them");
			break;
		}
		result = use_piece(&piece, (struct slice){container.bytes + at, end - at}, object ? "{}" : "[]", use,
				   context, err);
		at = end + 1;
	}
	free(piece.bytes);
	return result;
}
