// SPDX-License-Identifier: Apache-2.0
/*
 * The strict checker, and the stream of events over the same pass: no recursion,
 * no tree. json-c's parser takes duplicate keys, NaN, 1e999, bad UTF-8 and raw
 * controls, clamps big integers and cuts a key at \u0000.
 */
#include <stdlib.h>
#include <string.h>

#include "src/base/json_scan.h"
#include "src/base/jsonio.h"
#include "src/base/mem.h"
#include "src/base/text.h"

const struct json_limits json_default_limits = {16u << 20, 32, 1u << 18};

/* What the next token may be. */
enum place { VALUE, VALUE_OR_END, KEY, KEY_OR_END, SEPARATOR, NOTHING };

struct frame {
	bool object;
	size_t first_key; /* where its keys start in lexer.keys */
};

struct key {
	const char *bytes; /* decoded; in the text itself where it has no escapes */
	size_t n;
	size_t at; /* offset of its opening quote */
};

struct lexer {
	struct json_scan in;
	const struct json_limits *limits;
	enum place place;
	struct frame *frames; /* open containers */
	size_t depth, frames_room;
	struct key *keys; /* of the open objects */
	size_t n_keys, keys_room;
	size_t values;
	struct arena arena; /* decoded keys and strings */
	struct json_event *event; /* to be filled, NULL where the text is only judged */
};

static char here(const struct lexer *lx)
{
	return lx->in.text[lx->in.pos];
}

/* Say what is wrong with the byte at pos, with a name for the mistakes people make. */
static int unexpected(struct lexer *lx)
{
	static const struct {
		const char *start, *rule;
	} known[] = {
		{"\xEF\xBB\xBF", "a byte order mark is not allowed"},
		{"/", "comments are not allowed"},
		{"#", "comments are not allowed"},
		{"'", "single quotes are not allowed, use double quotes"},
		{"NaN", "NaN is not a JSON number"},
		{"Infinity", "Infinity is not a JSON number"},
		{"-Infinity", "Infinity is not a JSON number"},
	};
	static const char *const wanted[] = {
		[VALUE] = "a value",
		[VALUE_OR_END] = "a value or ']'",
		[KEY] = "a key in double quotes",
		[KEY_OR_END] = "a key in double quotes or '}'",
		[SEPARATOR] = "',' or the closing bracket",
		[NOTHING] = "the end: trailing bytes after the value",
	};
	const char *at = lx->in.text + lx->in.pos;
	size_t left = lx->in.n - lx->in.pos;

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		size_t length = strlen(known[i].start);
		if (left >= length && !memcmp(at, known[i].start, length))
			return json_scan_fail(&lx->in, lx->in.pos, "%s", known[i].rule);
	}
	if ((*at == ']' && lx->place == VALUE && lx->depth && !lx->frames[lx->depth - 1].object) ||
	    (*at == '}' && lx->place == KEY))
		return json_scan_fail(&lx->in, lx->in.pos, "trailing comma before '%c'", *at);
	return json_scan_fail(&lx->in, lx->in.pos, "unexpected byte 0x%02x, expected %s", (unsigned char)*at,
			      wanted[lx->place]);
}

static void skip_space(struct lexer *lx)
{
	while (lx->in.pos < lx->in.n && memchr(" \t\n\r", here(lx), 4))
		lx->in.pos++;
}

/*
 * Decode what stands between lexer.pos, behind an opening quote, and the closing quote at `end`; it has been checked
 * already. Text without escapes stays where it is. A key has no NUL.
 */
static int decode(struct lexer *lx, size_t end, bool key, const char **bytes, size_t *n)
{
	char *out = arena_array(&lx->arena, end - lx->in.pos, 1, lx->in.err);
	unsigned code;

	if (!out)
		return -1;
	*bytes = out;
	for (*n = 0; lx->in.pos < end;) {
		size_t start = lx->in.pos;
		if (lx->in.text[start] != '\\') {
			out[(*n)++] = lx->in.text[lx->in.pos++];
			continue;
		}
		if (json_scan_escape(&lx->in, &code))
			return -1;
		if (!code && key)
			return json_scan_fail(&lx->in, start, "\\u0000 in a key");
		*n += json_scan_put_utf8(out + *n, code);
	}
	return 0;
}

/* The content of the string that lies from lexer.pos to its closing quote at `end`. */
static int string_content(struct lexer *lx, size_t end, bool escaped, bool key, const char **bytes, size_t *n)
{
	*bytes = lx->in.text + lx->in.pos;
	*n = end - lx->in.pos;
	return escaped ? decode(lx, end, key, bytes, n) : 0;
}

/* Tell the reader, where there is one, of a token that starts at `at`. */
static void tell(struct lexer *lx, enum json_event_kind kind, enum json_kind value, size_t at)
{
	if (lx->event)
		*lx->event = (struct json_event){kind, value, lx->in.text + at, lx->in.pos - at, at};
}

/* A key and its colon. */
static int read_key(struct lexer *lx)
{
	struct key key = {.at = lx->in.pos};
	bool escaped;

	if (here(lx) != '"')
		return unexpected(lx);
	if (json_scan_string(&lx->in, &escaped))
		return -1;
	size_t after = lx->in.pos;
	lx->in.pos = key.at + 1;
	if (string_content(lx, after - 1, escaped, true, &key.bytes, &key.n))
		return -1;
	lx->in.pos = after;
	if (mem_grow(&lx->keys, &lx->keys_room, lx->n_keys + 1, sizeof *lx->keys, lx->in.err))
		return -1;
	lx->keys[lx->n_keys++] = key;
	skip_space(lx);
	if (lx->in.pos == lx->in.n)
		return json_scan_truncated(&lx->in);
	if (here(lx) != ':')
		return json_scan_fail(&lx->in, lx->in.pos, "a ':' must follow the key");
	lx->in.pos++;
	lx->place = VALUE;
	if (lx->event)
		*lx->event = (struct json_event){JSON_EVENT_KEY, JSON_STRING, key.bytes, key.n, key.at};
	return 0;
}

static int same_key(const struct key *a, const struct key *b)
{
	return a->n == b->n && !memcmp(a->bytes, b->bytes, a->n);
}

static int compare_keys(const void *left, const void *right)
{
	const struct key *a = left, *b = right;
	int order = memcmp(a->bytes, b->bytes, a->n < b->n ? a->n : b->n);

	if (!order)
		order = (a->n > b->n) - (a->n < b->n);
	return order ? order : (a->at > b->at) - (a->at < b->at);
}

/* Sorting the keys of the object just closed finds its repeated keys in n log n, whoever chose them. */
static int check_duplicates(struct lexer *lx, size_t first)
{
	struct key *keys, *worst = NULL;
	size_t n = lx->n_keys - first;
	char shown[100];

	if (n < 2)
		return 0;
	keys = lx->keys + first;
	qsort(keys, n, sizeof *keys, compare_keys);
	for (size_t i = 1; i < n; i++)
		if (same_key(keys + i - 1, keys + i) && (!worst || keys[i].at < worst->at))
			worst = keys + i;
	if (!worst)
		return 0;
	return json_scan_fail(&lx->in, worst->at, "duplicate key '%s'",
			      text_escape(shown, sizeof shown, worst->bytes, worst->n));
}

static void value_done(struct lexer *lx)
{
	lx->place = lx->depth ? SEPARATOR : NOTHING;
}

static int open_container(struct lexer *lx, bool object)
{
	if (lx->depth >= lx->limits->max_depth)
		return json_scan_fail(&lx->in, lx->in.pos, "nested deeper than %zu levels", lx->limits->max_depth);
	if (mem_grow(&lx->frames, &lx->frames_room, lx->depth + 1, sizeof *lx->frames, lx->in.err))
		return -1;
	lx->frames[lx->depth++] = (struct frame){object, lx->n_keys};
	lx->in.pos++;
	lx->place = object ? KEY_OR_END : VALUE_OR_END;
	tell(lx, JSON_EVENT_VALUE, object ? JSON_OBJECT : JSON_ARRAY, lx->in.pos - 1);
	return 0;
}

static int close_container(struct lexer *lx)
{
	struct frame *frame = &lx->frames[lx->depth - 1];

	if (here(lx) != (frame->object ? '}' : ']'))
		return unexpected(lx);
	if (check_duplicates(lx, frame->first_key))
		return -1;
	lx->n_keys = frame->first_key;
	lx->depth--;
	lx->in.pos++;
	tell(lx, JSON_EVENT_CLOSE, frame->object ? JSON_OBJECT : JSON_ARRAY, lx->in.pos - 1);
	value_done(lx);
	return 0;
}

static int read_word(struct lexer *lx)
{
	static const struct {
		const char *word;
		enum json_kind kind;
	} words[] = {{"true", JSON_BOOL}, {"false", JSON_BOOL}, {"null", JSON_NULL}};
	size_t start = lx->in.pos, left = lx->in.n - start;

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		size_t length = strlen(words[i].word);
		if (memcmp(lx->in.text + start, words[i].word, left < length ? left : length))
			continue;
		if (left < length)
			return json_scan_truncated(&lx->in);
		lx->in.pos += length;
		tell(lx, JSON_EVENT_VALUE, words[i].kind, start);
		return 0;
	}
	return unexpected(lx);
}

static int read_string(struct lexer *lx)
{
	size_t start = lx->in.pos, after;
	bool escaped;

	if (json_scan_string(&lx->in, &escaped))
		return -1;
	if (!lx->event)
		return 0;
	after = lx->in.pos;
	tell(lx, JSON_EVENT_VALUE, JSON_STRING, start);
	lx->in.pos = start + 1;
	if (string_content(lx, after - 1, escaped, false, &lx->event->bytes, &lx->event->n))
		return -1;
	lx->in.pos = after;
	return 0;
}

static int read_number(struct lexer *lx)
{
	size_t start = lx->in.pos;
	enum json_kind kind = JSON_INTEGER;

	if (json_scan_number(&lx->in))
		return -1;
	for (size_t i = start; i < lx->in.pos; i++)
		if (memchr(".eE", lx->in.text[i], 3))
			kind = JSON_DOUBLE;
	tell(lx, JSON_EVENT_VALUE, kind, start);
	return 0;
}

static int read_scalar(struct lexer *lx)
{
	char c = here(lx);

	if (c == '"')
		return read_string(lx);
	if (c == '-' && lx->in.n - lx->in.pos > 1 && lx->in.text[lx->in.pos + 1] == 'I')
		return unexpected(lx);
	return c == '-' || (c >= '0' && c <= '9') ? read_number(lx) : read_word(lx);
}

static int read_value(struct lexer *lx)
{
	char c = here(lx);

	if (++lx->values > lx->limits->max_values)
		return json_scan_fail(&lx->in, lx->in.pos, "more than %zu values", lx->limits->max_values);
	if (c == '{' || c == '[')
		return open_container(lx, c == '{');
	if (read_scalar(lx))
		return -1;
	value_done(lx);
	return 0;
}

static int read_separator(struct lexer *lx)
{
	if (here(lx) != ',')
		return close_container(lx);
	lx->in.pos++;
	lx->place = lx->frames[lx->depth - 1].object ? KEY : VALUE;
	return 0;
}

static int step(struct lexer *lx)
{
	char c = here(lx);

	switch (lx->place) {
	case VALUE_OR_END:
		return c == ']' ? close_container(lx) : read_value(lx);
	case VALUE:
		return read_value(lx);
	case KEY_OR_END:
		return c == '}' ? close_container(lx) : read_key(lx);
	case KEY:
		return read_key(lx);
	case SEPARATOR:
		return read_separator(lx);
	case NOTHING:
		break;
	}
	return unexpected(lx);
}

static int check_all(struct lexer *lx)
{
	for (skip_space(lx); lx->in.pos < lx->in.n; skip_space(lx))
		if (step(lx))
			return -1;
	return lx->place == NOTHING ? 0 : json_scan_truncated(&lx->in);
}

static int lexer_init(struct lexer *lx, const char *text, size_t n, const struct json_limits *limits, struct err *err)
{
	*lx = (struct lexer){.in = {text, n, 0, err}, .limits = limits};
	arena_init(&lx->arena);
	if (n > limits->max_bytes)
		return json_scan_fail(&lx->in, limits->max_bytes, "the text is longer than %zu bytes", limits->max_bytes);
	return 0;
}

static void lexer_release(struct lexer *lx)
{
	arena_release(&lx->arena);
	free(lx->frames);
	free(lx->keys);
}

int json_check(const char *text, size_t n, const struct json_limits *limits, struct err *err)
{
	struct lexer lx;
	int result = lexer_init(&lx, text, n, limits ? limits : &json_default_limits, err);

	if (!result)
		result = check_all(&lx);
	lexer_release(&lx);
	return result;
}

struct json_reader {
	struct lexer lexer;
	struct json_limits limits;
};

struct json_reader *json_reader_new(const char *text, size_t n, const struct json_limits *limits, struct err *err)
{
	struct json_reader *reader = mem_array(1, sizeof *reader, err);

	if (!reader)
		return NULL;
	reader->limits = limits ? *limits : json_default_limits;
	if (!lexer_init(&reader->lexer, text, n, &reader->limits, err))
		return reader;
	json_reader_free(reader);
	return NULL;
}

void json_reader_free(struct json_reader *reader)
{
	if (!reader)
		return;
	lexer_release(&reader->lexer);
	free(reader);
}

int json_reader_next(struct json_reader *reader, struct json_event *event, struct err *err)
{
	struct lexer *lx = &reader->lexer;

	*event = (struct json_event){.kind = JSON_EVENT_END};
	lx->event = event;
	lx->in.err = err;
	while (event->kind == JSON_EVENT_END) {
		skip_space(lx);
		if (lx->in.pos == lx->in.n)
			return lx->place == NOTHING ? 0 : json_scan_truncated(&lx->in);
		if (step(lx))
			return -1;
	}
	return 0;
}

int json_event_uint64(const struct json_event *event, uint64_t *out, struct err *err)
{
	uint64_t value = 0;

	if (event->kind != JSON_EVENT_VALUE || event->value != JSON_INTEGER || event->bytes[0] == '-')
		return err_set(err, ERR_DATA, "byte %zu: expected an integer from 0 to 2^64 - 1", event->at);
	for (size_t i = 0; i < event->n; i++) /* fits: the scanner has seen it */
		value = value * 10 + (uint64_t)(event->bytes[i] - '0');
	*out = value;
	return 0;
}
