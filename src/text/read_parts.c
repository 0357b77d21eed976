// SPDX-License-Identifier: Apache-2.0
/* The components of tokenizer.json by their types; what the tables do not hold is refused by name. */
#include <string.h>

#include "src/base/text.h"
#include "src/text/read.h"

int keep_slice(struct tokenizer *tok, struct slice *out, const char *bytes, size_t n, struct err *err)
{
	char *copy = arena_array(&tok->arena, n + 1, 1, err);

	if (!copy)
		return -1;
	memcpy(copy, bytes, n);
	*out = (struct slice){copy, n};
	return 0;
}

/* A short text that is put into other texts. */
int read_content(struct tokenizer *tok, struct slice *out, struct json_value value, struct err *err)
{
	const char *text;
	size_t n;

	if (json_get_string(value, &text, &n, err))
		return -1;
	if (n > TOKENIZER_MAX_CONTENT)
		return err_set(err, ERR_DATA, "a content of %zu bytes is above the limit of %d", n,
			       TOKENIZER_MAX_CONTENT);
	return keep_slice(tok, out, text, n, err);
}

int read_character(struct tokenizer *tok, struct slice *out, struct json_value value, struct err *err)
{
	if (read_content(tok, out, value, err))
		return -1;
	if (!out->n || text_utf8_length(out->bytes, out->n) != out->n)
		return err_set(err, ERR_DATA, "'%s' must be one character", out->bytes);
	return 0;
}

/* {"String": text} or {"Regex": text}. */
int read_pattern(struct pattern **out, struct json_value value, struct err *err)
{
	struct json_value string = json_in(value, "String");
	bool literal = json_kind(string) != JSON_ABSENT;
	const char *text;
	size_t n;

	if (json_get_string(literal ? string : json_in(value, "Regex"), &text, &n, err))
		return -1;
	*out = pattern_new(text, n, literal ? PATTERN_LITERAL : PATTERN_REGEX, err);
	return *out ? 0 : -1;
}

int no_room(const char *what, struct err *err)
{
	return err_set(err, ERR_DATA, "more than %d steps in the %s", TOKENIZER_MAX_STEPS, what);
}

struct part {
	const char *key, *list; /* of a Sequence */
	const struct component *known;
};

static int read_one(struct tokenizer *tok, struct json_value value, const struct part *part, struct err *err)
{
	const char *type;
	char shown[60];

	if (json_get_string(json_in(value, "type"), &type, NULL, err))
		return -1;
	for (const struct component *known = part->known; known->type; known++) {
		if (!strcmp(type, known->type))
			return known->read(tok, value, known->detail, err) ? err_prefix(err, "%s '%s'", part->key, type)
									   : 0;
	}
	return err_set(err, ERR_DATA, "%s '%s' is not supported", part->key,
		       text_escape(shown, sizeof shown, type, strlen(type)));
}

static int read_part(struct tokenizer *tok, struct json_value value, const struct part *part, struct err *err)
{
	struct json_value list = json_in(value, part->list);
	const char *type;
	size_t n;

	if (!json_is_there(value))
		return 0;
	if (json_get_string(json_in(value, "type"), &type, NULL, err))
		return -1;
	if (!!strcmp(type, "Sequence"))
		return read_one(tok, value, part, err);
	if (json_get_length(list, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (read_one(tok, json_at(list, i), part, err))
			return -1;
	}
	return 0;
}

int read_components(struct tokenizer *tok, struct json_value root, struct err *err)
{
	static const struct part parts[] = {
		{"normalizer", "normalizers", known_normalizers},
		{"pre_tokenizer", "pretokenizers", known_splitters},
		{"post_processor", "processors", known_processors},
		{"decoder", "decoders", known_decoders},
	};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		if (read_part(tok, json_in(root, parts[i].key), &parts[i], err))
			return -1;
	}
	return 0;
}
