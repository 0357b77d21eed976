// SPDX-License-Identifier: Apache-2.0
/* The files beside tokenizer.json: added tokens, beginning and end of a sequence, the chat template. */
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/base/tree.h"
#include "src/text/read.h"

/* The text of a file, or 0 with *text NULL where there is none. */
static int read_beside(char **text, size_t *n, const char *dir, const char *name, struct err *err)
{
	struct buffer path = {0};
	int result = buffer_put(&path, dir, strlen(dir), err) || buffer_put(&path, "/", 1, err) ||
		     buffer_put(&path, name, strlen(name) + 1, err);

	enum tree_kind kind = TREE_NOTHING;

	*text = NULL;
	if (!result)
		result = tree_find(path.bytes, &kind, err);
	if (!result && kind != TREE_NOTHING) {
		*text = file_read(path.bytes, TOKENIZER_MAX_CONFIG, n, err);
		result = !*text;
	}
	free(path.bytes);
	return result ? -1 : 0;
}

/*
 * Put text into out with ".0" behind each integer of more than 18 digits.
 * transformers writes "no limit" as 1000000000000000019884624838656, which the
 * strict reader would refuse as an integer.
 */
static int widen_integers(struct buffer *out, const char *text, size_t n, struct err *err)
{
	bool quoted = false;
	size_t done = 0;

	for (size_t at = 0, length; at < n; at += length) {
		size_t digits = quoted ? 0 : strspn(text + at, "0123456789");
		length = digits ? digits : quoted && text[at] == '\\' && at + 1 < n ? 2 : 1;
		quoted ^= text[at] == '"';
		if (digits <= 18 || (at && strchr(".eE+", text[at - 1])) || strchr(".eE", text[at + digits]))
			continue;
		if (buffer_put(out, text + done, at + digits - done, err) || buffer_put(out, ".0", 2, err))
			return -1;
		done = at + digits;
	}
	return buffer_put(out, text + done, n - done, err);
}

/* Added tokens that tokenizer.json does not have, and flags that count more than those it has. */
static int read_decoder_table(struct tokenizer *tok, struct json_value root, struct err *err)
{
	struct json_value table = json_in(root, "added_tokens_decoder");
	struct json_iter it;
	const char *text;
	size_t n;

	tok->added_listed = json_is_there(table);
	if (!tok->added_listed)
		return 0;
	if (json_members(table, &it, err))
		return -1;
	while (json_next(&it)) {
		char *end;
		unsigned long long id = strtoull(it.key, &end, 10);
		if (*end || end == it.key || *it.key == '-')
			return err_set(err, ERR_DATA, "'added_tokens_decoder': '%.60s' is no id", it.key);
		if (json_get_string(json_in(it.value, "content"), &text, &n, err))
			return -1;
		int32_t known = vocab_find(&tok->vocab, text, n);
		bool again = known >= 0 && (uint64_t)known == id && tok->vocab.tokens[known].flags & TOKEN_ADDED;
		if (again ? reread_added(tok, it.value, known, err) : read_added(tok, it.value, id, err))
			return -1;
	}
	return 0;
}

/*
 * A written add_bos_token or add_eos_token takes the place of tokenizer.json's
 * post-processor, as in transformers 4 for LlamaTokenizerFast and its like.
 * transformers 5 heeds neither where there is a tokenizer.json.
 */
static int read_around(struct tokenizer *tok, struct json_value root, struct err *err)
{
	struct json_value bos = json_in(root, "add_bos_token"), eos = json_in(root, "add_eos_token");
	struct around *around = &tok->around;
	bool add_bos, add_eos;

	if (json_opt_bool(bos, false, &add_bos, err) || json_opt_bool(eos, false, &add_eos, err))
		return -1;
	if (!json_is_there(bos) && !json_is_there(eos))
		return 0;
	around->n_before = around->n_after = 0;
	if (add_bos && tok->roles[TOKENIZER_BOS] >= 0 &&
	    put_id(&around->before, &around->n_before, &around->before_room, tok->roles[TOKENIZER_BOS], err))
		return -1;
	if (add_eos && tok->roles[TOKENIZER_EOS] >= 0 &&
	    put_id(&around->after, &around->n_after, &around->after_room, tok->roles[TOKENIZER_EOS], err))
		return -1;
	return 0;
}

/* A text, or a list of named ones, of which the one called default counts. */
static int read_template(struct tokenizer *tok, struct json_value value, struct err *err)
{
	const char *name, *text = NULL;
	size_t n;

	if (json_kind(value) != JSON_ARRAY) {
		if (json_opt_string(value, NULL, &text, NULL, err))
			return -1;
	} else {
		if (json_get_length(value, &n, err))
			return -1;
		for (size_t i = 0; i < n; i++) {
			if (json_get_string(json_in(json_at(value, i), "name"), &name, NULL, err))
				return -1;
			if (!strcmp(name, "default") &&
			    json_get_string(json_in(json_at(value, i), "template"), &text, NULL, err))
				return -1;
		}
	}
	if (text)
		tok->chat_template = mem_strdup(text, err);
	return text && !tok->chat_template ? -1 : 0;
}

static int read_tokenizer_config(struct tokenizer *tok, struct json_value root, struct err *err)
{
	return read_roles(tok, root, err) || read_template(tok, json_in(root, "chat_template"), err) ? -1 : 0;
}

static int read_map(struct tokenizer *tok, struct json_value root, struct err *err)
{
	return tok->added_listed ? 0 : read_roles(tok, root, err);
}

static int read_one(struct tokenizer *tok, const char *dir, const char *name,
		    int (*read)(struct tokenizer *, struct json_value, struct err *), struct err *err)
{
	static const struct json_limits limits = {TOKENIZER_MAX_CONFIG, 32, TOKENIZER_MAX_REST};
	struct buffer widened = {0};
	struct json *doc = NULL;
	char *text;
	size_t n;
	int result;

	if (read_beside(&text, &n, dir, name, err))
		return -1;
	if (!text)
		return 0;
	result = widen_integers(&widened, text, n, err);
	if (!result)
		doc = json_parse(widened.bytes, widened.n, &limits, err);
	result = doc ? read(tok, json_root(doc), err) : -1;
	json_free(doc);
	free(widened.bytes);
	free(text);
	return result ? err_prefix(err, "%s/%s", dir, name) : 0;
}

/* A template in a file of its own wins. */
static int read_jinja(struct tokenizer *tok, const char *dir, struct err *err)
{
	char *text;
	size_t n;

	if (read_beside(&text, &n, dir, "chat_template.jinja", err))
		return -1;
	if (!text)
		return 0;
	free(tok->chat_template);
	tok->chat_template = text;
	if (strlen(text) != n || text_utf8_valid(text, n) != n)
		return err_set(err, ERR_DATA, "%s/chat_template.jinja: not a text in UTF-8", dir);
	return 0;
}

int read_config(struct tokenizer *tok, const char *dir, struct err *err)
{
	static const struct {
		const char *name;
		int (*read)(struct tokenizer *, struct json_value, struct err *);
	} files[] = {
		{"tokenizer_config.json", read_decoder_table},
		{"special_tokens_map.json", read_map},
		{"tokenizer_config.json", read_tokenizer_config},
		{"generation_config.json", read_role_ids},
		{"config.json", read_role_ids},
		{"tokenizer_config.json", read_around}, /* needs the roles */
	};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		if (read_one(tok, dir, files[i].name, files[i].read, err))
			return -1;
	}
	return read_jinja(tok, dir, err);
}
