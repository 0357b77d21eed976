// SPDX-License-Identifier: Apache-2.0
/*
 * Ids to text. The decoder's steps go over a list of parts: at first one for
 * each token, later joined or cut as a step demands.
 */
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/text/internal.h"

struct parts {
	struct buffer bytes;
	size_t *ends; /* of each part in bytes */
	size_t n, room;
};

static int end_part(struct parts *parts, struct err *err)
{
	if (mem_grow(&parts->ends, &parts->room, parts->n + 1, sizeof *parts->ends, err))
		return -1;
	parts->ends[parts->n++] = parts->bytes.n;
	return 0;
}

static struct slice part(const struct parts *parts, size_t i)
{
	size_t from = i ? parts->ends[i - 1] : 0;

	return (struct slice){parts->bytes.bytes + from, parts->ends[i] - from};
}

/* The bytes that a token's characters stand for, or the token itself where one of them stands for none. */
static int put_bytes(struct buffer *out, struct slice token, struct err *err)
{
	size_t before = out->n;

	for (size_t at = 0, length; at < token.n; at += length) {
		int byte = byte_level_byte(unicode_read(token.bytes + at, &length));
		char c = (char)byte;
		if (byte < 0) {
			out->n = before;
			return buffer_put(out, token.bytes, token.n, err);
		}
		if (buffer_put(out, &c, 1, err))
			return -1;
	}
	return 0;
}

static int decode_byte_level(struct parts *out, const struct parts *in, struct err *err)
{
	struct buffer bytes = {0};
	int result = 0;

	for (size_t i = 0; !result && i < in->n; i++)
		result = put_bytes(&bytes, part(in, i), err);
	if (!result)
		result = unicode_put_lossy(&out->bytes, bytes.bytes, bytes.n, err);
	free(bytes.bytes);
	return result ? -1 : end_part(out, err);
}

static int replace_part(struct buffer *out, const struct decoder *step, struct matcher *matcher, struct slice in,
			size_t most, struct err *err)
{
	size_t done = 0, from, to;
	struct scan scan;
	int found;

	scan_start(&scan, matcher, in.bytes, in.n);
	while ((found = scan_next(&scan, &from, &to, err)) > 0) {
		if (buffer_put(out, in.bytes + done, from - done, err) ||
		    buffer_put(out, step->content.bytes, step->content.n, err))
			return -1;
		if (out->n > most)
			return err_set(err, ERR_DATA, "the decoder makes a text more than %d times longer",
				       TOKENIZER_MAX_GROWTH);
		done = to;
	}
	return found ? -1 : buffer_put(out, in.bytes + done, in.n - done, err);
}

static int decode_replace(struct parts *out, const struct parts *in, const struct decoder *step, size_t most,
			  struct err *err)
{
	struct matcher *matcher = matcher_new(step->pattern, err);
	int result = matcher ? 0 : -1;

	for (size_t i = 0; !result && i < in->n; i++) {
		result = replace_part(&out->bytes, step, matcher, part(in, i), most, err);
		if (!result)
			result = end_part(out, err);
	}
	matcher_free(matcher);
	return result;
}

/* The byte of a token <0xHH>, or -1. */
static int fallback_byte(struct slice token)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	int byte = 0;

	if (token.n != 6 || memcmp(token.bytes, "<0x", 3) || token.bytes[5] != '>')
		return -1;
	for (size_t i = 3; i < 5; i++) {
		const char *digit = memchr(digits, token.bytes[i], sizeof digits - 1);
		if (!digit)
			return -1;
		byte = byte * 16 + (int)((digit - digits) % 16);
	}
	return byte;
}

/* Bytes in a row make one part if they are characters, else one U+FFFD each. */
static int put_run(struct parts *out, struct buffer *run, struct err *err)
{
	bool good = text_utf8_valid(run->bytes, run->n) == run->n;
	size_t n = run->n;

	run->n = 0;
	if (n && good)
		return buffer_put(&out->bytes, run->bytes, n, err) ? -1 : end_part(out, err);
	for (size_t i = 0; i < n; i++) {
		if (buffer_put(&out->bytes, "\xEF\xBF\xBD", 3, err) || end_part(out, err))
			return -1;
	}
	return 0;
}

static int put_token_or_byte(struct parts *out, struct buffer *run, struct slice token, struct err *err)
{
	int byte = fallback_byte(token);
	char c = (char)byte;

	if (byte >= 0)
		return buffer_put(run, &c, 1, err);
	if (put_run(out, run, err) || buffer_put(&out->bytes, token.bytes, token.n, err))
		return -1;
	return end_part(out, err);
}

static int decode_byte_fallback(struct parts *out, const struct parts *in, struct err *err)
{
	struct buffer run = {0};
	int result = 0;

	for (size_t i = 0; !result && i < in->n; i++)
		result = put_token_or_byte(out, &run, part(in, i), err);
	if (!result)
		result = put_run(out, &run, err);
	free(run.bytes);
	return result;
}

static int decode_fuse(struct parts *out, const struct parts *in, struct err *err)
{
	return buffer_put(&out->bytes, in->bytes.bytes, in->bytes.n, err) ? -1 : end_part(out, err);
}

static bool ends_with(struct slice text, struct slice end)
{
	return text.n >= end.n && !memcmp(text.bytes + text.n - end.n, end.bytes, end.n);
}

static bool starts_with(struct slice text, struct slice start)
{
	return text.n >= start.n && !memcmp(text.bytes, start.bytes, start.n);
}

static int decode_strip(struct parts *out, const struct parts *in, const struct decoder *step, struct err *err)
{
	for (size_t i = 0; i < in->n; i++) {
		struct slice text = part(in, i);
		for (size_t k = 0; k < step->start && starts_with(text, step->content); k++) {
			text.bytes += step->content.n;
			text.n -= step->content.n;
		}
		for (size_t k = 0; k < step->stop && ends_with(text, step->content); k++)
			text.n -= step->content.n;
		if (buffer_put(&out->bytes, text.bytes, text.n, err) || end_part(out, err))
			return -1;
	}
	return 0;
}

static int decode_metaspace(struct parts *out, const struct parts *in, const struct decoder *step, struct err *err)
{
	for (size_t i = 0; i < in->n; i++) {
		struct slice text = part(in, i);
		for (size_t at = 0, length; at < text.n; at += length) {
			struct slice rest = {text.bytes + at, text.n - at};
			bool mark = starts_with(rest, step->content);
			unicode_read(rest.bytes, &length);
			if (mark ? (i || !step->prepended) && buffer_put(&out->bytes, " ", 1, err)
				 : buffer_put(&out->bytes, rest.bytes, length, err))
				return -1;
		}
		if (end_part(out, err))
			return -1;
	}
	return 0;
}

static int run_step(struct parts *out, const struct parts *in, const struct decoder *step, size_t most, struct err *err)
{
	switch (step->kind) {
	case DECODER_BYTE_LEVEL:
		return decode_byte_level(out, in, err);
	case DECODER_REPLACE:
		return decode_replace(out, in, step, most, err);
	case DECODER_BYTE_FALLBACK:
		return decode_byte_fallback(out, in, err);
	case DECODER_FUSE:
		return decode_fuse(out, in, err);
	case DECODER_STRIP:
		return decode_strip(out, in, step, err);
	case DECODER_METASPACE:
		return decode_metaspace(out, in, step, err);
	}
	return err_set(err, ERR_INTERNAL, "unknown decoder step %d", step->kind);
}

static struct slice token_text(const struct tokenizer *tok, int32_t id)
{
	if (tok->vocab.tokens[id].flags & TOKEN_RENAMED) {
		for (size_t i = 0; i < tok->n_added; i++) {
			if (tok->added[i].id == id)
				return tok->added[i].shown;
		}
	}
	return vocab_text(&tok->vocab, id);
}

/* The texts of the ids; without a decoder a space between each two. */
static int put_tokens(struct parts *out, const struct tokenizer *tok, const int32_t *ids, size_t count,
		      bool skip_special, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (ids[i] < 0 || (size_t)ids[i] >= tok->vocab.n || (skip_special && tokenizer_is_special(tok, ids[i])))
			continue;
		struct slice text = token_text(tok, ids[i]);
		if ((!tok->n_decoders && out->n && buffer_put(&out->bytes, " ", 1, err)) ||
		    buffer_put(&out->bytes, text.bytes, text.n, err) || end_part(out, err))
			return -1;
	}
	return 0;
}

static int decode(struct parts *parts, const struct tokenizer *tok, const int32_t *ids, size_t count, bool skip_special,
		  struct err *err)
{
	int result = put_tokens(parts, tok, ids, count, skip_special, err);
	size_t most = parts->bytes.n * TOKENIZER_MAX_GROWTH + 16 * TOKENIZER_MAX_CONTENT;

	for (size_t i = 0; !result && i < tok->n_decoders; i++) {
		struct parts next = {0}, last = *parts;
		result = run_step(&next, &last, &tok->decoders[i], most, err);
		*parts = next;
		free(last.bytes.bytes);
		free(last.ends);
	}
	return result;
}

char *tokenizer_decode(const struct tokenizer *tok, const int32_t *ids, size_t count, bool skip_special, size_t *n,
		       struct err *err)
{
	struct parts parts = {0};
	int result = decode(&parts, tok, ids, count, skip_special, err);

	if (!result)
		result = buffer_put(&parts.bytes, "", 1, err);
	free(parts.ends);
	if (result) {
		free(parts.bytes.bytes);
		return NULL;
	}
	if (n)
		*n = parts.bytes.n - 1;
	return parts.bytes.bytes;
}
