// SPDX-License-Identifier: Apache-2.0
/*
 * Byte pair encoding of a word (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909):
 * of all neighbours that may merge, those with the lowest rank do, the leftmost
 * first, until none may. Candidates wait in a heap; one whose symbols have
 * changed since is stale and dropped.
 */
#define _GNU_SOURCE /* memmem */
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/text/internal.h"

static const char mark[] = "\xE2\x96\x81"; /* U+2581, the visible space */
enum { MARK_BYTES = 3 };

/* ---- heap of rank << 32 | position, the smallest first ---- */

static int push(struct encoder *enc, uint64_t item, struct err *err)
{
	size_t at = enc->n_heap;

	if (mem_grow(&enc->heap, &enc->heap_room, at + 1, sizeof *enc->heap, err))
		return -1;
	for (enc->n_heap++; at && enc->heap[(at - 1) / 2] > item; at = (at - 1) / 2)
		enc->heap[at] = enc->heap[(at - 1) / 2];
	enc->heap[at] = item;
	return 0;
}

static uint64_t pop(struct encoder *enc)
{
	uint64_t *heap = enc->heap, top = heap[0], last = heap[--enc->n_heap];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < enc->n_heap) {
		child += child + 1 < enc->n_heap && heap[child + 1] < heap[child];
		if (heap[child] >= last)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
	return top;
}

/* ---- a word as symbols ---- */

static int put_symbol(struct encoder *enc, int32_t id, struct err *err)
{
	int32_t at = (int32_t)enc->n_symbols;

	if (mem_grow(&enc->symbols, &enc->symbols_room, enc->n_symbols + 1, sizeof *enc->symbols, err))
		return -1;
	enc->symbols[enc->n_symbols++] = (struct symbol){id, at - 1, at + 1};
	return 0;
}

/* The token of one character, read at *bytes and stepped over, or -1. */
static int32_t character_id(const struct tokenizer *tok, const char *bytes, size_t length)
{
	if (tok->byte_level || length == 1)
		return tok->byte_ids[(unsigned char)*bytes];
	return vocab_find_model(&tok->vocab, bytes, length);
}

/* A character without token: its bytes, or the unknown token, once for a run of them with fuse_unk; else nothing. */
static int put_unknown(struct encoder *enc, const char *bytes, size_t length, bool again, struct err *err)
{
	const struct tokenizer *tok = enc->tok;

	for (size_t i = 0; tok->byte_fallback && i < length; i++) {
		if (put_symbol(enc, tok->fallback[(unsigned char)bytes[i]], err))
			return -1;
	}
	if (tok->byte_fallback || tok->unk < 0 || (again && tok->fuse_unk))
		return 0;
	return put_symbol(enc, tok->unk, err);
}

static int put_symbols(struct encoder *enc, struct slice word, struct err *err)
{
	bool unknown = false;

	enc->n_symbols = 0;
	for (size_t at = 0, length = 1; at < word.n; at += length) {
		if (!enc->tok->byte_level)
			length = text_utf8_length(word.bytes + at, word.n - at);
		int32_t id = character_id(enc->tok, word.bytes + at, length);
		if (id < 0 ? put_unknown(enc, word.bytes + at, length, unknown, err) : put_symbol(enc, id, err))
			return -1;
		unknown = id < 0;
	}
	if (enc->n_symbols)
		enc->symbols[enc->n_symbols - 1].next = -1;
	return 0;
}

/* ---- merging ---- */

static int push_pair(struct encoder *enc, int32_t at, struct err *err)
{
	const struct symbol *left = &enc->symbols[at];
	int64_t rank = left->next < 0 ? -1 : merges_find(&enc->tok->merges, left->id, enc->symbols[left->next].id);

	return rank < 0 ? 0 : push(enc, (uint64_t)rank << 32 | (uint32_t)at, err);
}

static int apply(struct encoder *enc, const struct merge *merge, int32_t at, struct err *err)
{
	struct symbol *left = &enc->symbols[at];

	if (left->id != merge->left || left->next < 0 || enc->symbols[left->next].id != merge->right)
		return 0;
	enc->symbols[left->next].id = -1;
	left->id = merge->result;
	left->next = enc->symbols[left->next].next;
	if (left->next >= 0)
		enc->symbols[left->next].previous = at;
	if (left->previous >= 0 && push_pair(enc, left->previous, err))
		return -1;
	return push_pair(enc, at, err);
}

static int merge_symbols(struct encoder *enc, struct err *err)
{
	enc->n_heap = 0;
	for (size_t at = 0; at < enc->n_symbols; at++) {
		if (push_pair(enc, (int32_t)at, err))
			return -1;
	}
	while (enc->n_heap) {
		uint64_t item = pop(enc);
		if (apply(enc, &enc->tok->merges.list[item >> 32], (int32_t)(uint32_t)item, err))
			return -1;
	}
	return 0;
}

static int put_list(struct encoder *enc, const int32_t *ids, size_t n, struct err *err)
{
	struct token_list *list = enc->list;

	if (!n)
		return 0;
	if (list->n + n > list->room && mem_grow(&list->ids, &list->room, list->n + n, sizeof *list->ids, err))
		return -1;
	memcpy(list->ids + list->n, ids, n * sizeof *ids);
	list->n += n;
	return 0;
}

/* The id of a word that is a token as it stands, for ignore_merges; or -1. */
static int32_t whole_word(struct encoder *enc, struct slice word, struct err *err)
{
	char character[4];

	if (!enc->tok->byte_level)
		return vocab_find_model(&enc->tok->vocab, word.bytes, word.n);
	enc->word.n = 0;
	for (size_t i = 0; i < word.n && enc->word.n <= enc->tok->vocab.longest; i++) {
		size_t length = unicode_write(character, byte_level_code((unsigned char)word.bytes[i]));
		if (buffer_put(&enc->word, character, length, err))
			return -2;
	}
	return vocab_find_model(&enc->tok->vocab, enc->word.bytes, enc->word.n);
}

static int put_merged(struct encoder *enc, struct slice word, struct err *err)
{
	int32_t whole = enc->tok->ignore_merges ? whole_word(enc, word, err) : -1;

	if (word.n > INT32_MAX)
		return err_set(err, ERR_DATA, "a word of %zu bytes is too long", word.n);
	if (whole >= 0)
		return put_list(enc, &whole, 1, err);
	if (whole < -1 || put_symbols(enc, word, err) || merge_symbols(enc, err))
		return -1;
	for (size_t at = 0; at < enc->n_symbols; at++) {
		if (enc->symbols[at].id >= 0 && put_list(enc, &enc->symbols[at].id, 1, err))
			return -1;
	}
	return 0;
}

static int put_word(struct encoder *enc, struct slice word, struct err *err)
{
	struct cached *line = &enc->cache[text_hash(enc->tok->vocab.seed, word.bytes, word.n) & (CACHE_SLOTS - 1)];
	size_t before = enc->list->n, n;

	if (word.n > CACHED_KEY)
		return put_merged(enc, word, err);
	if (line->n_key == word.n && !memcmp(line->key, word.bytes, word.n))
		return put_list(enc, line->ids, line->n, err);
	if (put_merged(enc, word, err))
		return -1;
	n = enc->list->n - before;
	if (n > CACHED_IDS)
		return 0;
	line->n_key = (uint8_t)word.n;
	line->n = (uint8_t)n;
	memcpy(line->key, word.bytes, word.n);
	if (n)
		memcpy(line->ids, enc->list->ids + before, n * sizeof *line->ids);
	return 0;
}

static bool is_mark(const char *bytes, const char *end)
{
	return end - bytes >= MARK_BYTES && !memcmp(bytes, mark, MARK_BYTES);
}

/* Bytes of the part before the next run of marks. */
static size_t part_length(const char *bytes, size_t n)
{
	const char *at = bytes, *end = bytes + n;

	while (is_mark(at, end))
		at += MARK_BYTES;
	at = memmem(at, (size_t)(end - at), mark, MARK_BYTES);
	return at ? (size_t)(at - bytes) : n;
}

int merge_word(struct encoder *enc, struct slice word, struct err *err)
{
	if (!enc->tok->cut_at_mark)
		return put_word(enc, word, err);
	for (size_t at = 0, n; at < word.n; at += n) {
		n = part_length(word.bytes + at, word.n - at);
		if (put_word(enc, (struct slice){word.bytes + at, n}, err))
			return -1;
	}
	return 0;
}
