// SPDX-License-Identifier: Apache-2.0
/* The normalizer's steps, each from one buffer into the other. */
#include <string.h>

#include "src/text/internal.h"

static int check_growth(size_t n, size_t most, struct err *err)
{
	if (n <= most)
		return 0;
	return err_set(err, ERR_DATA, "the normalizer makes a text more than %d times longer", TOKENIZER_MAX_GROWTH);
}

static int put_replaced(struct buffer *out, bool *trimmed, const struct normalizer *step, struct matcher *matcher,
			struct slice in, size_t most, struct err *err)
{
	size_t done = 0, from, to;
	struct scan scan;
	int found;

	scan_start(&scan, matcher, in.bytes, in.n);
	while ((found = scan_next(&scan, &from, &to, err)) > 0) {
		if (buffer_put(out, in.bytes + done, from - done, err) ||
		    buffer_put(out, step->content.bytes, step->content.n, err) || check_growth(out->n, most, err))
			return -1;
		*trimmed |= !from && to && !step->content.n;
		done = to;
	}
	return found ? -1 : buffer_put(out, in.bytes + done, in.n - done, err);
}

static int put_lower(struct buffer *out, struct slice in, struct err *err)
{
	uint32_t lower[2];
	char bytes[8];

	for (size_t at = 0, length; at < in.n; at += length) {
		size_t n = 0, count = unicode_lower(lower, unicode_read(in.bytes + at, &length));
		for (size_t i = 0; i < count; i++)
			n += unicode_write(bytes + n, lower[i]);
		if (buffer_put(out, bytes, n, err))
			return -1;
	}
	return 0;
}

static int put_without_marks(struct buffer *out, bool *trimmed, struct slice in, struct err *err)
{
	for (size_t at = 0, length; at < in.n; at += length) {
		bool mark = unicode_is_mark(unicode_read(in.bytes + at, &length));
		*trimmed |= mark && !at;
		if (!mark && buffer_put(out, in.bytes + at, length, err))
			return -1;
	}
	return 0;
}

static int put_stripped(struct buffer *out, bool *trimmed, const struct normalizer *step, struct slice in,
			struct err *err)
{
	size_t from = 0, to = 0, length;

	while (step->left && from < in.n && unicode_is_space(unicode_read(in.bytes + from, &length)))
		from += length;
	for (size_t at = from; at < in.n; at += length) {
		if (!unicode_is_space(unicode_read(in.bytes + at, &length)))
			to = at + length;
	}
	if (!step->right)
		to = in.n;
	*trimmed |= from > 0;
	return to > from ? buffer_put(out, in.bytes + from, to - from, err) : 0;
}

static int put_prepended(struct buffer *out, const struct normalizer *step, struct slice in, struct err *err)
{
	if (in.n && buffer_put(out, step->content.bytes, step->content.n, err))
		return -1;
	return buffer_put(out, in.bytes, in.n, err);
}

static int run_step(struct buffer *out, bool *trimmed, const struct normalizer *step, struct matcher *matcher,
		    struct slice in, size_t most, struct err *err)
{
	switch (step->kind) {
	case NORMALIZER_FORM:
		return unicode_normalize(out, step->form, in.bytes, in.n, err);
	case NORMALIZER_LOWERCASE:
		return put_lower(out, in, err);
	case NORMALIZER_STRIP:
		return put_stripped(out, trimmed, step, in, err);
	case NORMALIZER_STRIP_ACCENTS:
		return put_without_marks(out, trimmed, in, err);
	case NORMALIZER_PREPEND:
		return put_prepended(out, step, in, err);
	case NORMALIZER_REPLACE:
		return put_replaced(out, trimmed, step, matcher, in, most, err);
	}
	return err_set(err, ERR_INTERNAL, "unknown normalizer step %d", step->kind);
}

int normalize(struct slice *out, bool *trimmed, struct buffer pair[2], const struct tokenizer *tok,
	      struct matcher *const *matchers, struct slice text, struct err *err)
{
	size_t most = text.n * TOKENIZER_MAX_GROWTH + 16 * TOKENIZER_MAX_CONTENT;

	*trimmed = false;
	*out = text;
	for (size_t i = 0; i < tok->n_normalizers; i++) {
		struct buffer *next = &pair[i % 2];
		next->n = 0;
		if (run_step(next, trimmed, &tok->normalizers[i], matchers[i], *out, most, err) ||
		    buffer_put(next, "", 0, err) || check_growth(next->n, most, err))
			return -1;
		*out = (struct slice){next->bytes, next->n};
	}
	return 0;
}
