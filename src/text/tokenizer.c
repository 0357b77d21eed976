// SPDX-License-Identifier: Apache-2.0
/* A tokenizer from its beginning to its end, and what can be asked of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/text/read.h"

/* Printable Latin-1 stands for itself, the other bytes for U+0100 and up in their order. */
uint32_t byte_level_code(unsigned char byte)
{
	if ((byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD))
		return byte;
	return byte <= 0x20 ? 0x100u + byte : byte <= 0xA0 ? 0x100u + 0x21 + (byte - 0x7Fu) : 0x143;
}

int byte_level_byte(uint32_t code)
{
	if (code >= 0x144)
		return -1;
	if (code < 0x100)
		return byte_level_code((unsigned char)code) == code ? (int)code : -1;
	return code <= 0x120 ? (int)code - 0x100 : code == 0x143 ? 0xAD : (int)code - 0x121 + 0x7F;
}

/* ---- what encoding needs, made from what was read ---- */

/* A normalised token is looked for, and decoded, in its normal form. */
static int index_normalized(struct tokenizer *tok, size_t i, struct buffer pair[2], struct matcher *const *matchers,
			    struct err *err)
{
	struct added *added = &tok->added[i];
	struct slice text = vocab_text(&tok->vocab, added->id);
	bool trimmed;

	if (normalize(&text, &trimmed, pair, tok, matchers, text, err) ||
	    keep_slice(tok, &added->shown, text.bytes, text.n, err))
		return -1;
	if (vocab_find(&tok->vocab, text.bytes, text.n) != added->id)
		tok->vocab.tokens[added->id].flags |= TOKEN_RENAMED;
	return added_insert(&tok->normalized, text.bytes, text.n, i, err);
}

static int index_added(struct tokenizer *tok, bool special, struct err *err)
{
	struct matcher *matchers[TOKENIZER_MAX_STEPS] = {0};
	struct buffer pair[2] = {{0}, {0}};
	int result = 0;

	for (size_t i = 0; !result && i < tok->n_normalizers; i++) {
		if (tok->normalizers[i].pattern)
			result = (matchers[i] = matcher_new(tok->normalizers[i].pattern, err)) ? 0 : -1;
	}
	for (size_t i = 0; !result && i < tok->n_added; i++) {
		const struct added *added = &tok->added[i];
		struct slice text = vocab_text(&tok->vocab, added->id);
		if (tokenizer_is_special(tok, added->id) != special)
			continue;
		result = added->normalized ? index_normalized(tok, i, pair, matchers, err)
					   : added_insert(&tok->raw, text.bytes, text.n, i, err);
	}
	for (size_t i = 0; i < TOKENIZER_MAX_STEPS; i++)
		matcher_free(matchers[i]);
	free(pair[0].bytes);
	free(pair[1].bytes);
	return result;
}

static void find_byte_ids(struct tokenizer *tok)
{
	char bytes[4];

	for (unsigned i = 0; i < 256; i++) {
		uint32_t code = tok->byte_level ? byte_level_code((unsigned char)i) : i;
		bool known = tok->byte_level || i < 0x80;
		tok->byte_ids[i] = known ? vocab_find_model(&tok->vocab, bytes, unicode_write(bytes, code)) : -1;
	}
}

static int find_fallback(struct tokenizer *tok, struct err *err)
{
	char name[8];

	for (unsigned i = 0; tok->byte_fallback && i < 256; i++) {
		snprintf(name, sizeof name, "<0x%02X>", i);
		tok->fallback[i] = vocab_find_model(&tok->vocab, name, 6);
		if (tok->fallback[i] < 0)
			return err_set(err, ERR_DATA, "'model.byte_fallback' needs a token '%s'", name);
		if (tok->byte_level && tok->byte_ids[i] < 0)
			return err_set(err, ERR_DATA,
				       "'model.byte_fallback' with 'ByteLevel' and no token for byte "
				       "0x%02X is not supported",
				       i);
	}
	return 0;
}

/* Whether a mark follows something else than a mark. */
static bool has_inner_mark(struct slice text)
{
	static const char mark[] = "\xE2\x96\x81";
	bool other = false;

	for (size_t at = 0; at < text.n;) {
		bool here = text.n - at >= 3 && !memcmp(text.bytes + at, mark, 3);
		if (here && other)
			return true;
		other |= !here;
		at += here ? 3 : 1;
	}
	return false;
}

/*
 * Where no merge joins something with a mark behind it, a text falls into
 * parts at its marks, and a long text without pre-tokenizer into words. The
 * mark must be a token: an unknown one could fuse with its neighbours.
 */
static bool may_cut(const struct tokenizer *tok)
{
	if (tok->byte_level || tok->ignore_merges || vocab_find_model(&tok->vocab, "\xE2\x96\x81", 3) < 0)
		return false;
	for (size_t i = 0; i < tok->merges.n; i++) {
		if (has_inner_mark(vocab_text(&tok->vocab, tok->merges.list[i].result)))
			return false;
	}
	return true;
}

int finish_tokenizer(struct tokenizer *tok, struct err *err)
{
	if (vocab_check(&tok->vocab, err))
		return -1;
	find_byte_ids(tok);
	if (find_fallback(tok, err))
		return -1;
	tok->cut_at_mark = may_cut(tok);
	return index_added(tok, true, err) || index_added(tok, false, err) ? -1 : 0;
}

/* ---- from the cradle to the grave ---- */

struct tokenizer *tokenizer_parse(const char *json, size_t n, struct err *err)
{
	struct tokenizer *tok = read_tokenizer(json, n, err);

	if (tok && !finish_tokenizer(tok, err))
		return tok;
	tokenizer_free(tok);
	return NULL;
}

/* The text of tokenizer.json. A directory without it is bad data, no directory at all a missing input. */
static char *read_file(const char *dir, size_t *n, struct err *err)
{
	struct buffer path = {0};
	char *text = NULL;

	if (!buffer_put(&path, dir, strlen(dir), err) &&
	    !buffer_put(&path, "/tokenizer.json", sizeof "/tokenizer.json", err)) {
		text = file_read(path.bytes, TOKENIZER_MAX_FILE, n, err);
		if (!text && err && err->code == ERR_NOINPUT && !access(dir, F_OK))
			err->code = ERR_DATA;
	}
	free(path.bytes);
	return text;
}

struct tokenizer *tokenizer_load(const char *dir, struct err *err)
{
	struct tokenizer *tok;
	char *text;
	size_t n;

	text = read_file(dir, &n, err);
	if (!text)
		return NULL;
	tok = read_tokenizer(text, n, err);
	free(text);
	if (!tok) {
		err_prefix(err, "%s/tokenizer.json", dir);
		return NULL;
	}
	if (!read_config(tok, dir, err)) {
		if (!finish_tokenizer(tok, err))
			return tok;
		err_prefix(err, "%s/tokenizer.json", dir);
	}
	tokenizer_free(tok);
	return NULL;
}

void tokenizer_free(struct tokenizer *tok)
{
	if (!tok)
		return;
	for (size_t i = 0; i < TOKENIZER_MAX_STEPS; i++) {
		pattern_free(tok->normalizers[i].pattern);
		pattern_free(tok->splitters[i].pattern);
		pattern_free(tok->decoders[i].pattern);
	}
	vocab_release(&tok->vocab);
	merges_release(&tok->merges);
	arena_release(&tok->arena);
	free(tok->raw.nodes);
	free(tok->normalized.nodes);
	free(tok->around.before);
	free(tok->around.after);
	free(tok->added);
	free(tok->chat_template);
	free(tok);
}

/* ---- questions ---- */

size_t tokenizer_size(const struct tokenizer *tok)
{
	return tok->vocab.n;
}

int32_t tokenizer_find(const struct tokenizer *tok, const char *token, size_t n)
{
	return vocab_find(&tok->vocab, token, n);
}

const char *tokenizer_token(const struct tokenizer *tok, int32_t id, size_t *n)
{
	if (id < 0 || (size_t)id >= tok->vocab.n)
		return NULL;
	*n = vocab_text(&tok->vocab, id).n;
	return vocab_text(&tok->vocab, id).bytes;
}

bool tokenizer_is_special(const struct tokenizer *tok, int32_t id)
{
	return id >= 0 && (size_t)id < tok->vocab.n && tok->vocab.tokens[id].flags & TOKEN_SPECIAL;
}

int32_t tokenizer_role_id(const struct tokenizer *tok, enum tokenizer_role role)
{
	return tok->roles[role];
}

int32_t tokenizer_beginning(const struct tokenizer *tok)
{
	return tok->around.n_before ? tok->around.before[tok->around.n_before - 1] : -1;
}

const char *tokenizer_chat_template(const struct tokenizer *tok)
{
	return tok->chat_template;
}
