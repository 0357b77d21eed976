// SPDX-License-Identifier: Apache-2.0
/* tokenizer.json: the vocabulary, the merges, the added tokens, the model's options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/text/read.h"

int put_id(int32_t **ids, size_t *n, size_t *room, int32_t id, struct err *err)
{
	if (*n == *room && mem_grow(ids, room, *n + 1, sizeof **ids, err))
		return -1;
	(*ids)[(*n)++] = id;
	return 0;
}

/* ---- vocabulary and merges ---- */

static int use_vocab(void *context, struct json_value object, struct err *err)
{
	struct tokenizer *tok = context;
	struct json_iter it;
	uint64_t id;

	if (json_members(object, &it, err))
		return -1;
	while (json_next(&it)) {
		if (json_get_uint64(it.value, &id, err) || vocab_add(&tok->vocab, it.key, strlen(it.key), id, err))
			return -1;
		tok->vocab.tokens[id].flags |= TOKEN_MODEL;
	}
	return 0;
}

/* "left right", the older form. */
static int split_merge(struct slice pair[2], struct json_value value, size_t rank, struct err *err)
{
	const char *text, *space;
	char shown[100];
	size_t n;

	if (json_get_string(value, &text, &n, err))
		return -1;
	space = memchr(text, ' ', n);
	if (!space || memchr(space + 1, ' ', n - (size_t)(space + 1 - text)))
		return err_set(err, ERR_DATA, "merge %zu, '%s', must be two tokens with one space between", rank,
			       text_escape(shown, sizeof shown, text, n));
	pair[0] = (struct slice){text, (size_t)(space - text)};
	pair[1] = (struct slice){space + 1, n - pair[0].n - 1};
	return 0;
}

static int read_merge(struct slice pair[2], struct json_value value, size_t rank, struct err *err)
{
	size_t n;

	if (json_kind(value) == JSON_STRING)
		return split_merge(pair, value, rank, err);
	if (json_get_length(value, &n, err))
		return -1;
	if (n != 2)
		return err_set(err, ERR_DATA, "merge %zu has %zu parts, not two", rank, n);
	for (size_t i = 0; i < 2; i++) {
		if (json_get_string(json_at(value, i), &pair[i].bytes, &pair[i].n, err))
			return -1;
	}
	return 0;
}

static bool is_version(struct json_value value)
{
	static const char start[] = "#version";
	const char *text;
	size_t n;

	return json_kind(value) == JSON_STRING && !json_get_string(value, &text, &n, NULL) && n >= sizeof start - 1 &&
	       !memcmp(text, start, sizeof start - 1);
}

static int use_merges(void *context, struct json_value array, struct err *err)
{
	struct tokenizer *tok = context;
	struct slice pair[2];
	size_t n;

	if (json_get_length(array, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct json_value value = json_at(array, i);
		if (is_version(value))
			continue;
		if (read_merge(pair, value, tok->merges.n, err) ||
		    merges_add(&tok->merges, &tok->vocab, pair[0], pair[1], err))
			return -1;
	}
	return 0;
}

static int read_tables(struct tokenizer *tok, const struct json_parts *parts, struct err *err)
{
	if (!parts->vocab.n || parts->vocab.bytes[0] != '{')
		return err_set(err, ERR_DATA, "'model.vocab' must be an object");
	if (!parts->merges.n || parts->merges.bytes[0] != '[')
		return err_set(err, ERR_DATA, "'model.merges' must be an array");
	if (json_pieces(parts->vocab, use_vocab, tok, err))
		return err_prefix(err, "'model.vocab'");
	if (json_pieces(parts->merges, use_merges, tok, err))
		return err_prefix(err, "'model.merges'");
	return 0;
}

/* ---- options of the model ---- */

static int check_unused(struct json_value model, struct err *err)
{
	static const char *const keys[] = {"continuing_subword_prefix", "end_of_word_suffix"};
	const char *text;
	double dropout;

	if (json_opt_double(json_in(model, "dropout"), 0, &dropout, err))
		return -1;
	if (dropout != 0)
		return err_set(err, ERR_DATA, "'model.dropout' is not supported; set it to null");
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (json_opt_string(json_in(model, keys[i]), "", &text, NULL, err))
			return -1;
		if (*text)
			return err_set(err, ERR_DATA, "'model.%s' is not supported", keys[i]);
	}
	return 0;
}

static int read_unk(struct tokenizer *tok, struct json_value model, struct err *err)
{
	const char *unk;
	char shown[60];
	size_t n = 0;

	if (json_opt_string(json_in(model, "unk_token"), NULL, &unk, &n, err))
		return -1;
	tok->unk = unk ? vocab_find(&tok->vocab, unk, n) : -1;
	if (unk && tok->unk < 0)
		return err_set(err, ERR_DATA, "'model.unk_token', '%s', is not in the vocabulary",
			       text_escape(shown, sizeof shown, unk, n));
	return 0;
}

static int read_options(struct tokenizer *tok, struct json_value model, struct err *err)
{
	const char *type;
	char shown[60];

	if (json_expect(model, JSON_OBJECT, err) || json_opt_string(json_in(model, "type"), "BPE", &type, NULL, err))
		return -1;
	if (strcmp(type, "BPE"))
		return err_set(err, ERR_DATA, "model type '%s' is not supported; only BPE is",
			       text_escape(shown, sizeof shown, type, strlen(type)));
	return check_unused(model, err) || json_opt_bool(json_in(model, "fuse_unk"), false, &tok->fuse_unk, err) ||
			       json_opt_bool(json_in(model, "byte_fallback"), false, &tok->byte_fallback, err) ||
			       json_opt_bool(json_in(model, "ignore_merges"), false, &tok->ignore_merges, err)
		       ? -1
		       : 0;
}

/* ---- added tokens ---- */

/* Put the text of an added token under its id, where the vocabulary does not have it there. */
static int place_added(struct tokenizer *tok, struct slice text, uint64_t id, struct err *err)
{
	char shown[100];
	int32_t known = vocab_find(&tok->vocab, text.bytes, text.n);

	if (known < 0)
		return vocab_add(&tok->vocab, text.bytes, text.n, id, err);
	text_escape(shown, sizeof shown, text.bytes, text.n);
	if ((uint64_t)known != id)
		return err_set(err, ERR_DATA, "added token '%s' has two ids, %d and %ju", shown, known, (uintmax_t)id);
	if (tok->vocab.tokens[known].flags & TOKEN_ADDED)
		return err_set(err, ERR_DATA, "added token '%s' is listed twice", shown);
	return 0;
}

static int read_flags(struct added *added, bool *special, struct json_value token, struct err *err)
{
	return json_opt_bool(json_in(token, "special"), false, special, err) ||
			       json_opt_bool(json_in(token, "lstrip"), false, &added->lstrip, err) ||
			       json_opt_bool(json_in(token, "rstrip"), false, &added->rstrip, err) ||
			       json_opt_bool(json_in(token, "single_word"), false, &added->single_word, err) ||
			       json_opt_bool(json_in(token, "normalized"), !*special, &added->normalized, err)
		       ? -1
		       : 0;
}

int put_added(struct tokenizer *tok, const struct added *added, bool special, struct err *err)
{
	if (tok->n_added == TOKENIZER_MAX_ADDED)
		return err_set(err, ERR_DATA, "more than %d added tokens", TOKENIZER_MAX_ADDED);
	if (mem_grow(&tok->added, &tok->added_room, tok->n_added + 1, sizeof *tok->added, err))
		return -1;
	tok->added[tok->n_added++] = *added;
	tok->vocab.tokens[added->id].flags |= TOKEN_ADDED | (special ? TOKEN_SPECIAL : 0u);
	return 0;
}

int read_added(struct tokenizer *tok, struct json_value token, uint64_t id, struct err *err)
{
	struct added added = {0};
	struct slice text;
	bool special;

	if (json_get_string(json_in(token, "content"), &text.bytes, &text.n, err) ||
	    read_flags(&added, &special, token, err))
		return -1;
	if (!text.n)
		return err_set(err, ERR_DATA, "added token %ju is empty", (uintmax_t)id);
	if (place_added(tok, text, id, err))
		return -1;
	added.id = (int32_t)id;
	return put_added(tok, &added, special, err);
}

int reread_added(struct tokenizer *tok, struct json_value token, int32_t id, struct err *err)
{
	struct added added = {.id = id};
	bool special;

	if (read_flags(&added, &special, token, err))
		return -1;
	for (size_t i = 0; i < tok->n_added; i++) {
		if (tok->added[i].id == id)
			tok->added[i] = added;
	}
	tok->vocab.tokens[id].flags &= ~(uint32_t)TOKEN_SPECIAL;
	tok->vocab.tokens[id].flags |= special ? TOKEN_SPECIAL : 0u;
	return 0;
}

static int read_all_added(struct tokenizer *tok, struct json_value list, struct err *err)
{
	uint64_t id;
	size_t n;

	if (!json_is_there(list))
		return 0;
	if (json_get_length(list, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct json_value token = json_at(list, i);
		if (json_get_uint64(json_in(token, "id"), &id, err) || read_added(tok, token, id, err))
			return -1;
	}
	return 0;
}

/* Where a piece of broken JSON was refused, tell its place in the whole text. */
static int explain(const char *text, size_t n, struct err *err)
{
	static const struct json_limits limits = {TOKENIZER_MAX_FILE, 32, TOKENIZER_MAX_VALUES};
	struct err whole = {0};

	if (err && err->code == ERR_DATA && json_check(text, n, &limits, &whole))
		*err = whole;
	return -1;
}

static int read_all(struct tokenizer *tok, const char *text, size_t n, struct err *err)
{
	struct json_parts parts;
	struct json_value root;
	int result;

	if (json_parts_read(&parts, text, n, err))
		return explain(text, n, err);
	root = json_root(parts.rest);
	result = read_options(tok, json_in(root, "model"), err) || read_tables(tok, &parts, err) ||
		 read_unk(tok, json_in(root, "model"), err) ||
		 read_all_added(tok, json_in(root, "added_tokens"), err) || read_components(tok, root, err);
	json_free(parts.rest);
	return result ? explain(text, n, err) : 0;
}

struct tokenizer *read_tokenizer(const char *text, size_t n, struct err *err)
{
	struct tokenizer *tok = mem_array(1, sizeof *tok, err);

	if (!tok)
		return NULL;
	arena_init(&tok->arena);
	for (size_t i = 0; i < TOKENIZER_ROLES; i++)
		tok->roles[i] = -1;
	if (!vocab_init(&tok->vocab, err)) {
		tok->merges.seed = tok->vocab.seed;
		if (!read_all(tok, text, n, err))
			return tok;
	}
	tokenizer_free(tok);
	return NULL;
}
