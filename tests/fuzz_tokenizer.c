// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz targets 5 and 7: tokenizer.json, encoding and decoding. The first line
 * of an input is a tokenizer.json, the rest a text. A tokenizer that loads
 * encodes the text twice alike, into ids that it has, and decodes them to
 * UTF-8; one that does not says why. In either case a tokenizer of bytes must
 * give the whole input back, and decode ids made of it.
 */
#define _GNU_SOURCE /* fuzz_check.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/text/tokenizer.h"
#include "tests/fuzz_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A refusal is of the data, with a reason. */
static void check_refusal(const struct err *err)
{
	require(err->code == ERR_DATA && err->message[0], "a refusal is ERR_DATA with a message", err);
}

static void check_decode(const struct tokenizer *tok, const int32_t *ids, size_t n)
{
	struct err err = {0};
	size_t length = 0;

	for (int skip = 0; skip < 2; skip++) {
		char *text = tokenizer_decode(tok, ids, n, skip, &length, &err);
		if (!text)
			check_refusal(&err);
		else
			require(text_utf8_valid(text, length) == length, "decoded text is UTF-8", &err);
		free(text);
	}
}

static void check_text(const struct tokenizer *tok, struct encoder *enc, const char *text, size_t n)
{
	struct token_list once = {0}, twice = {0};
	struct err err = {0};

	if (encoder_encode(enc, &once, text, n, true, &err)) {
		check_refusal(&err);
	} else {
		require(!encoder_encode(enc, &twice, text, n, true, &err), "what was encoded is encoded again", &err);
		require(once.n == twice.n && (!once.n || !memcmp(once.ids, twice.ids, once.n * sizeof *once.ids)),
			"the ids are the same again", &err);
		for (size_t i = 0; i < once.n; i++)
			require(once.ids[i] >= 0 && (size_t)once.ids[i] < tokenizer_size(tok), "ids exist", &err);
		check_decode(tok, once.ids, once.n);
	}
	token_list_release(&once);
	token_list_release(&twice);
}

static void check_file(const char *json, size_t json_n, const char *text, size_t n)
{
	struct err err = {0};
	struct tokenizer *tok = tokenizer_parse(json, json_n, &err);
	struct encoder *enc = tok ? encoder_new(tok, &err) : NULL;

	if (!tok)
		check_refusal(&err);
	else
		check_text(tok, enc, text, n);
	encoder_free(enc);
	tokenizer_free(tok);
}

/* Every byte a token, and a few merges of them. */
static struct tokenizer *byte_tokenizer(void)
{
	static char json[16384];
	struct err err = {0};
	size_t n = 0;

	n += (size_t)snprintf(json, sizeof json,
			      "{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},"
			      "{\"type\":\"Fuse\"}]},\"model\":{\"byte_fallback\":true,\"vocab\":{");
	for (int i = 0; i < 256; i++)
		n += (size_t)snprintf(json + n, sizeof json - n, "\"<0x%02X>\":%d,", i, i);
	n += (size_t)snprintf(json + n, sizeof json - n,
			      "\"a\":256,\"b\":257,\"ab\":258,\"aba\":259,\"\\u2581\":260},"
			      "\"merges\":[\"a b\",\"ab a\"]}}");
	struct tokenizer *tok = tokenizer_parse(json, n, &err);
	require(tok != NULL, "the tokenizer of bytes loads", &err);
	return tok;
}

static void check_bytes(const char *text, size_t n)
{
	static struct tokenizer *tok;
	static struct encoder *enc;
	struct token_list list = {0};
	struct err err = {0};
	size_t length = 0;

	if (!tok) {
		tok = byte_tokenizer();
		enc = encoder_new(tok, &err);
	}
	/* "<0x41>" in a text is decoded as the byte it names */
	if (!memmem(text, n, "<0x", 3) && !encoder_encode(enc, &list, text, n, false, &err)) {
		char *back = tokenizer_decode(tok, list.ids, list.n, false, &length, &err);
		require(back && length == n && !memcmp(back, text, n), "bytes come back", &err);
		free(back);
	}
	token_list_release(&list);
	if (n / sizeof(int32_t)) {
		int32_t *ids = malloc(n);
		memcpy(ids, text, n);
		check_decode(tok, ids, n / sizeof *ids);
		free(ids);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = size ? memchr(text, '\n', size) : NULL;
	size_t line = end ? (size_t)(end - text) : size;

	if (!size)
		return 0;
	check_file(text, line, end ? end + 1 : text, end ? size - line - 1 : 0);
	check_bytes(text, size);
	return 0;
}
