// SPDX-License-Identifier: Apache-2.0
/* An encoder, and the way of a text through it. */
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/text/internal.h"

void token_list_release(struct token_list *list)
{
	free(list->ids);
	*list = (struct token_list){0};
}

static int make_matchers(struct encoder *enc, struct err *err)
{
	const struct tokenizer *tok = enc->tok;

	for (size_t i = 0; i < TOKENIZER_MAX_STEPS; i++) {
		const struct pattern *replace = i < tok->n_normalizers ? tok->normalizers[i].pattern : NULL;
		const struct pattern *split = i < tok->n_splitters ? tok->splitters[i].pattern : NULL;
		if (replace && !(enc->normalizer_matchers[i] = matcher_new(replace, err)))
			return -1;
		if (split && !(enc->splitter_matchers[i] = matcher_new(split, err)))
			return -1;
	}
	return 0;
}

struct encoder *encoder_new(const struct tokenizer *tok, struct err *err)
{
	struct encoder *enc = mem_array(1, sizeof *enc, err);

	if (!enc)
		return NULL;
	enc->tok = tok;
	enc->cache = mem_array(CACHE_SLOTS, sizeof *enc->cache, err);
	if (enc->cache && !make_matchers(enc, err))
		return enc;
	encoder_free(enc);
	return NULL;
}

void encoder_free(struct encoder *enc)
{
	if (!enc)
		return;
	for (size_t i = 0; i < TOKENIZER_MAX_STEPS; i++) {
		matcher_free(enc->normalizer_matchers[i]);
		matcher_free(enc->splitter_matchers[i]);
		free(enc->rewritten[i].bytes);
	}
	free(enc->normalized[0].bytes);
	free(enc->normalized[1].bytes);
	free(enc->cache);
	free(enc->symbols);
	free(enc->heap);
	free(enc->word.bytes);
	free(enc);
}

static int put_ids(struct token_list *list, const int32_t *ids, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (put_id(&list->ids, &list->n, &list->room, ids[i], err))
			return -1;
	}
	return 0;
}

static int encode_normalized(struct encoder *enc, struct slice text, bool first, struct err *err)
{
	struct added_scan scan = {&enc->tok->normalized, enc->tok->added, text.bytes, text.n, 0, 0};
	struct added_hit hit;
	size_t done = 0;

	while (added_next(&scan, &hit)) {
		struct slice before = {text.bytes + done, hit.from > done ? hit.from - done : 0};
		if ((before.n && split_text(enc, before, first && !done, err)) || put_ids(enc->list, &hit.id, 1, err))
			return -1;
		done = hit.to;
	}
	if (done >= text.n)
		return 0;
	return split_text(enc, (struct slice){text.bytes + done, text.n - done}, first && !done, err);
}

static int encode_raw(struct encoder *enc, struct slice text, bool first, struct err *err)
{
	struct slice normalized;
	bool trimmed;

	if (!text.n)
		return 0;
	if (normalize(&normalized, &trimmed, enc->normalized, enc->tok, enc->normalizer_matchers, text, err))
		return -1;
	return encode_normalized(enc, normalized, first && !trimmed, err);
}

static int encode_text(struct encoder *enc, struct slice text, struct err *err)
{
	struct added_scan scan = {&enc->tok->raw, enc->tok->added, text.bytes, text.n, 0, 0};
	struct added_hit hit;
	size_t done = 0;

	while (added_next(&scan, &hit)) {
		struct slice before = {text.bytes + done, hit.from > done ? hit.from - done : 0};
		if (encode_raw(enc, before, !done, err) || put_ids(enc->list, &hit.id, 1, err))
			return -1;
		done = hit.to;
	}
	return encode_raw(enc, (struct slice){text.bytes + done, text.n - done}, !done, err);
}

int encoder_encode(struct encoder *enc, struct token_list *list, const char *text, size_t n, bool special,
		   struct err *err)
{
	const struct around *around = &enc->tok->around;
	size_t before = list->n, good = text_utf8_valid(text, n);

	if (n > TOKENIZER_MAX_TEXT)
		return err_set(err, ERR_DATA, "a text of %zu bytes is above the limit of %d", n, TOKENIZER_MAX_TEXT);
	if (good < n)
		return err_set(err, ERR_DATA, "byte %zu of the text is not UTF-8", good);
	enc->list = list;
	enc->may_add = n * TOKENIZER_MAX_GROWTH + 16 * TOKENIZER_MAX_CONTENT;
	if ((!special || !put_ids(list, around->before, around->n_before, err)) &&
	    !encode_text(enc, (struct slice){n ? text : "", n}, err) &&
	    (!special || !put_ids(list, around->after, around->n_after, err)))
		return 0;
	list->n = before;
	return -1;
}
