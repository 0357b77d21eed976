// SPDX-License-Identifier: Apache-2.0
/*
 * The pre-tokenizer. Each step takes a part of the text, may rewrite it, and
 * hands the parts it is cut into to the next step, the last one's to the
 * merging. The depth is the number of steps, at most TOKENIZER_MAX_STEPS.
 *
 * Metaspace's scheme "first" asks whether a part starts the whole text; Hugging
 * Face answers by the offset in the text before normalisation. The two differ
 * where a normalizer makes several parts of the first character (U+FDFA).
 */
#include <string.h>

#include "src/text/internal.h"

struct cut {
	struct encoder *enc;
	size_t step;
	struct slice text;
	bool first;      /* the text at hand starts the whole text */
	size_t from, to; /* the open part */
	bool open, matched;
};

static int run_from(struct encoder *enc, size_t step, struct slice text, bool first, struct err *err);

static int close_part(struct cut *cut, struct err *err)
{
	struct slice part = {cut->text.bytes + cut->from, cut->to - cut->from};

	if (!cut->open || !part.n)
		return 0;
	return run_from(cut->enc, cut->step + 1, part, cut->first && !cut->from, err);
}

/* The next stretch of text, which did or did not match: join it to the open part, or close that and open a new one. */
static int put_part(struct cut *cut, size_t from, size_t to, bool match, struct err *err)
{
	/* [behaviour][the stretch before matched][this one matched] */
	static const bool joins[][2][2] = {
		[SPLIT_ISOLATED] = {{false, false}, {false, false}}, [SPLIT_REMOVED] = {{false, false}, {false, false}},
		[SPLIT_PREVIOUS] = {{false, true}, {false, false}},  [SPLIT_NEXT] = {{false, false}, {true, false}},
		[SPLIT_CONTIGUOUS] = {{true, false}, {false, true}},
	};
	enum behaviour behaviour = cut->enc->tok->splitters[cut->step].behaviour;

	match ^= cut->enc->tok->splitters[cut->step].invert;
	if (cut->open && joins[behaviour][cut->matched][match]) {
		cut->to = to;
	} else {
		if (close_part(cut, err))
			return -1;
		cut->open = behaviour != SPLIT_REMOVED || !match;
		cut->from = from;
		cut->to = to;
	}
	cut->matched = match;
	return 0;
}

static int split(struct encoder *enc, size_t step, struct slice text, bool first, struct err *err)
{
	struct cut cut = {.enc = enc, .step = step, .text = text, .first = first};
	size_t done = 0, from, to;
	struct scan scan;
	int found;

	scan_start(&scan, enc->splitter_matchers[step], text.bytes, text.n);
	while ((found = scan_next(&scan, &from, &to, err)) > 0) {
		if ((from > done && put_part(&cut, done, from, false, err)) || put_part(&cut, from, to, true, err))
			return -1;
		done = to;
	}
	if (found || (done < text.n && put_part(&cut, done, text.n, false, err)))
		return -1;
	return close_part(&cut, err);
}

static bool wants_mark(const struct splitter *step, struct slice text, bool first)
{
	if (step->prepend == PREPEND_NEVER || (step->prepend == PREPEND_FIRST && !first))
		return false;
	return !(step->replace_spaces && text.bytes[0] == ' ') &&
	       !(text.n >= step->mark.n && !memcmp(text.bytes, step->mark.bytes, step->mark.n));
}

static int rewrite(struct buffer *out, const struct splitter *step, struct slice text, bool first, struct err *err)
{
	const char *at = text.bytes, *end = text.bytes + text.n, *space;

	out->n = 0;
	if (wants_mark(step, text, first) && buffer_put(out, step->mark.bytes, step->mark.n, err))
		return -1;
	while (step->replace_spaces && (space = memchr(at, ' ', (size_t)(end - at)))) {
		if (buffer_put(out, at, (size_t)(space - at), err) ||
		    buffer_put(out, step->mark.bytes, step->mark.n, err))
			return -1;
		at = space + 1;
	}
	return buffer_put(out, at, (size_t)(end - at), err);
}

/* Parts that grow and are cut again could grow without end. */
static int count_growth(struct encoder *enc, size_t before, size_t after, struct err *err)
{
	size_t added = after > before ? after - before : 0;

	if (added > enc->may_add)
		return err_set(err, ERR_DATA, "the pre-tokenizer makes a text more than %d times longer",
			       TOKENIZER_MAX_GROWTH);
	enc->may_add -= added;
	return 0;
}

static int run_from(struct encoder *enc, size_t step, struct slice text, bool first, struct err *err)
{
	for (; step < enc->tok->n_splitters; step++) {
		const struct splitter *splitter = &enc->tok->splitters[step];
		if (splitter->mark.n) {
			struct buffer *out = &enc->rewritten[step];
			if (rewrite(out, splitter, text, first, err) || count_growth(enc, text.n, out->n, err))
				return -1;
			text = (struct slice){out->bytes, out->n};
		}
		if (splitter->pattern)
			return split(enc, step, text, first, err);
	}
	return merge_word(enc, text, err);
}

int split_text(struct encoder *enc, struct slice text, bool first, struct err *err)
{
	return run_from(enc, 0, text, first, err);
}
