// SPDX-License-Identifier: Apache-2.0
/* Which tokens have a role, and which others are special, as the files beside tokenizer.json say. */
#include "src/base/text.h"
#include "src/text/read.h"

static const struct {
	const char *name, *id; /* keys; no id: only a name gives the role */
	bool needed;           /* an unknown token is an error */
} roles[] = {
	[TOKENIZER_BOS] = {"bos_token", NULL, true},
	[TOKENIZER_EOS] = {"eos_token", "eos_token_id", true},
	[TOKENIZER_PAD] = {"pad_token", "pad_token_id", false},
	[TOKENIZER_UNK] = {"unk_token", NULL, false},
};

/* The id of a token, written as a text or as an object with one, or -1. */
static int find_token(int32_t *id, struct json_value value, const struct tokenizer *tok, struct slice *text,
		      struct err *err)
{
	struct json_value content = json_kind(value) == JSON_OBJECT ? json_in(value, "content") : value;

	if (json_get_string(content, &text->bytes, &text->n, err))
		return -1;
	*id = vocab_find(&tok->vocab, text->bytes, text->n);
	return 0;
}

/* A token with a role is special and found in text, also where tokenizer.json does not say so. */
static int make_special(struct tokenizer *tok, int32_t id, struct err *err)
{
	struct added added = {.id = id};

	tok->vocab.tokens[id].flags |= TOKEN_SPECIAL;
	return tok->vocab.tokens[id].flags & TOKEN_ADDED ? 0 : put_added(tok, &added, true, err);
}

static int set_role(struct tokenizer *tok, size_t role, struct json_value value, struct err *err)
{
	struct slice text;
	char shown[60];
	int32_t id;

	if (find_token(&id, value, tok, &text, err))
		return -1;
	if (id < 0 && roles[role].needed)
		return err_set(err, ERR_DATA, "'%s', '%s', is not in tokenizer.json", roles[role].name,
			       text_escape(shown, sizeof shown, text.bytes, text.n));
	tok->roles[role] = id;
	return id < 0 ? 0 : make_special(tok, id, err);
}

/* A special token without a role here; one that is listed as an added token already stays as it is. */
static int put_extra(struct tokenizer *tok, struct json_value value, struct err *err)
{
	struct slice text;
	int32_t id;

	if (find_token(&id, value, tok, &text, err))
		return -1;
	return id < 0 || tok->vocab.tokens[id].flags & TOKEN_ADDED ? 0 : make_special(tok, id, err);
}

/* A list of special tokens, or an object with a name for each; *n tells how many there are. */
static int read_extras(struct tokenizer *tok, struct json_value list, size_t *n, struct err *err)
{
	struct json_iter it;

	*n = 0;
	if (!json_is_there(list))
		return 0;
	if (json_kind(list) == JSON_OBJECT) {
		if (json_members(list, &it, err))
			return -1;
		for (; json_next(&it); ++*n) {
			if (json_kind(it.value) != JSON_ARRAY && put_extra(tok, it.value, err)) /* lists name tokens of pictures */
				return -1;
		}
		return 0;
	}
	if (json_get_length(list, n, err))
		return -1;
	for (size_t i = 0; i < *n; i++) {
		if (put_extra(tok, json_at(list, i), err))
			return -1;
	}
	return 0;
}

/* Special tokens whose roles do not matter here; the older name counts where the newer one has none. */
static int read_specials(struct tokenizer *tok, struct json_value root, struct err *err)
{
	static const char *const names[] = {"sep_token", "cls_token", "mask_token"};
	struct slice text;
	size_t n;
	int32_t id;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct json_value value = json_in(root, names[i]);
		if (!json_is_there(value))
			continue;
		if (find_token(&id, value, tok, &text, err) || (id >= 0 && make_special(tok, id, err)))
			return -1;
	}
	if (read_extras(tok, json_in(root, "extra_special_tokens"), &n, err))
		return -1;
	return n ? 0 : read_extras(tok, json_in(root, "additional_special_tokens"), &n, err);
}

int read_roles(struct tokenizer *tok, struct json_value root, struct err *err)
{
	for (size_t i = 0; i < TOKENIZER_ROLES; i++) {
		struct json_value value = json_in(root, roles[i].name);
		if (tok->roles[i] < 0 && json_is_there(value) && set_role(tok, i, value, err))
			return -1;
	}
	return read_specials(tok, root, err);
}

int read_role_ids(struct tokenizer *tok, struct json_value root, struct err *err)
{
	int64_t id;

	for (size_t i = 0; i < TOKENIZER_ROLES; i++) {
		struct json_value value;
		if (!roles[i].id)
			continue;
		value = json_in(root, roles[i].id);
		if (json_kind(value) == JSON_ARRAY)
			value = json_at(value, 0);
		if (json_opt_int64(value, -1, &id, err))
			return -1;
		if (tok->roles[i] < 0 && id >= 0 && (uint64_t)id < tok->vocab.n)
			tok->roles[i] = (int32_t)id;
	}
	return 0;
}
