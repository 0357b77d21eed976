// SPDX-License-Identifier: Apache-2.0
/*
 * tokenizer.h - bytes to token ids and back, as Hugging Face tokenizers do it.
 *
 * A tokenizer is read from a model directory: `tokenizer.json` (model type
 * BPE: byte-level, or over characters with byte fallback) and beside it, where
 * present, `tokenizer_config.json`, `special_tokens_map.json`,
 * `chat_template.jinja`, `generation_config.json` and `config.json`. Nothing
 * in them is trusted; a component that this room does not know is refused by
 * name.
 *
 *     struct tokenizer *tok = tokenizer_load(dir, &err);
 *     struct encoder *enc = tok ? encoder_new(tok, &err) : NULL;
 *     struct token_list list = {0};
 *     if (!enc || encoder_encode(enc, &list, text, n, true, &err))
 *             return -1;
 *     use(list.ids, list.n);
 *     token_list_release(&list);
 *     encoder_free(enc);
 *     tokenizer_free(tok);
 *
 * A tokenizer does not change after loading and may be read by any number of
 * threads. An encoder holds the working memory and a bounded cache of words:
 * one for each thread. It must not outlive its tokenizer.
 *
 * Failures: ERR_NOINPUT (no such directory), ERR_DATA (a file or a text breaks
 * a rule or a limit of limits.h; the message names the file and the rule),
 * ERR_MEMORY, ERR_IO, ERR_NOPERM.
 */
#ifndef BALDISTILL_TEXT_TOKENIZER_H
#define BALDISTILL_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tokenizer;

struct tokenizer *tokenizer_load(const char *dir, struct err *err);
/* From the text of a tokenizer.json alone: no bos, eos, pad and chat template. */
struct tokenizer *tokenizer_parse(const char *json, size_t n, struct err *err);
void tokenizer_free(struct tokenizer *tok);

/* How many ids there are; they run from 0. A model may have more rows in its embedding. */
size_t tokenizer_size(const struct tokenizer *tok);

/* Id of the token with exactly this text in the file, or -1. */
int32_t tokenizer_find(const struct tokenizer *tok, const char *token, size_t n);
/* A token's text in the file, *n bytes, not NUL-terminated, borrowed; NULL for an id without token. */
const char *tokenizer_token(const struct tokenizer *tok, int32_t id, size_t *n);
/* Whether decoding without special tokens leaves this id out. */
bool tokenizer_is_special(const struct tokenizer *tok, int32_t id);

enum tokenizer_role { TOKENIZER_BOS, TOKENIZER_EOS, TOKENIZER_PAD, TOKENIZER_UNK, TOKENIZER_ROLES };

/*
 * The token with a role, or -1: named in special_tokens_map.json, which counts
 * only where tokenizer_config.json has no added_tokens_decoder, else in
 * tokenizer_config.json, else, for eos and pad, by id (of a list, the first)
 * in generation_config.json or config.json.
 */
int32_t tokenizer_role_id(const struct tokenizer *tok, enum tokenizer_role role);
/* The token that encoding with special tokens puts right before the text (the beginning of a sequence), or -1. */
int32_t tokenizer_beginning(const struct tokenizer *tok);
/* The model's own chat template, NUL-terminated, borrowed; NULL where it has none. It is never run. */
const char *tokenizer_chat_template(const struct tokenizer *tok);

struct token_list {
	int32_t *ids;
	size_t n, room;
};

void token_list_release(struct token_list *list);

struct encoder;

struct encoder *encoder_new(const struct tokenizer *tok, struct err *err);
void encoder_free(struct encoder *enc);

/*
 * Append the ids of text[0..n), which must be UTF-8 (else ERR_DATA with the
 * byte offset), to list. With `special` the post-processor adds its tokens
 * (beginning, end of sequence). Added tokens written in the text become their
 * ids in either case. On failure the list is as it was before.
 */
int encoder_encode(struct encoder *enc, struct token_list *list, const char *text, size_t n, bool special,
		   struct err *err);

/*
 * The text of ids, NUL-terminated, *n bytes (n may be NULL), released with
 * free(); always UTF-8: bytes that form no character become U+FFFD. Ids
 * without a token are left out, and so are special tokens with skip_special.
 */
char *tokenizer_decode(const struct tokenizer *tok, const int32_t *ids, size_t count, bool skip_special, size_t *n,
		       struct err *err);

#ifdef __cplusplus
}
#endif
#endif
