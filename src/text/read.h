// SPDX-License-Identifier: Apache-2.0
/*
 * read.h - from the files of a directory to a tokenizer, for the read_*.c and
 * tokenizer.c alone: tokenizer.json in pieces (read_json.c), its model
 * (read_model.c), its components (read_parts.c, with a table of known types in
 * each of read_normalizer.c, read_splitter.c and read_decoder.c), and the other
 * files (read_config.c, with the roles of tokens in read_roles.c).
 */
#ifndef BALDISTILL_TEXT_READ_H
#define BALDISTILL_TEXT_READ_H

#include "src/text/internal.h"

/* vocab and merges cut out of a checked tokenizer.json, the rest as a document of its own. */
struct json_parts {
	struct slice vocab, merges; /* n == 0 where absent */
	struct json *rest;
};

int json_parts_read(struct json_parts *parts, const char *text, size_t n, struct err *err);
/* Hand the elements of an array or the members of an object, as containers of some thousands, to use(). */
int json_pieces(struct slice container, int (*use)(void *, struct json_value, struct err *), void *context,
		struct err *err);

/* The components: normalizer, pre_tokenizer, post_processor, decoder. */
int read_components(struct tokenizer *tok, struct json_value root, struct err *err);
int read_added(struct tokenizer *tok, struct json_value token, uint64_t id, struct err *err);
/* List a token of the vocabulary, which is not listed yet, among the added ones. */
int put_added(struct tokenizer *tok, const struct added *added, bool special, struct err *err);
/* Take over the flags of a token that is added already. */
int reread_added(struct tokenizer *tok, struct json_value token, int32_t id, struct err *err);
struct tokenizer *read_tokenizer(const char *text, size_t n, struct err *err);
/* Roles that no file read before has given, and the special tokens that have none. */
int read_roles(struct tokenizer *tok, struct json_value root, struct err *err);
/* Roles by id, for a tokenizer whose own files do not name them. */
int read_role_ids(struct tokenizer *tok, struct json_value root, struct err *err);
/* The files beside tokenizer.json. */
int read_config(struct tokenizer *tok, const char *dir, struct err *err);
/* Check ids and build what encoding needs, when everything is read. */
int finish_tokenizer(struct tokenizer *tok, struct err *err);

/* A type of component; a table of them ends with a NULL type. */
struct component {
	const char *type;
	int (*read)(struct tokenizer *tok, struct json_value value, int detail, struct err *err);
	int detail;
};

extern const struct component known_normalizers[], known_splitters[], known_processors[], known_decoders[];

/* A short text that is put into other texts. */
int read_content(struct tokenizer *tok, struct slice *out, struct json_value value, struct err *err);
int read_character(struct tokenizer *tok, struct slice *out, struct json_value value, struct err *err);
/* {"String": text} or {"Regex": text}. */
int read_pattern(struct pattern **out, struct json_value value, struct err *err);
/* prepend_scheme, and the older add_prefix_space, which must not contradict it. */
int read_prepend_scheme(enum prepend *out, struct json_value value, struct err *err);
/* Say that a component has too many steps; returns -1. */
int no_room(const char *what, struct err *err);

#endif
