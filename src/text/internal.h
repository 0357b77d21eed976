// SPDX-License-Identifier: Apache-2.0
/*
 * internal.h - what the files of this room share; nothing outside includes it.
 *
 * The way of a text: added tokens are cut out of the raw text (added.c), what
 * is left is normalised (normalize.c), normalised added tokens are cut out of
 * that, the rest goes through the pre-tokenizer's steps (split.c), and each
 * word that comes out is merged into ids (merge.c).
 */
#ifndef BALDISTILL_TEXT_INTERNAL_H
#define BALDISTILL_TEXT_INTERNAL_H

#include "src/base/jsonio.h"
#include "src/base/mem.h"
#include "src/text/limits.h"
#include "src/text/tokenizer.h"

/* A text borrowed from somewhere; n bytes, no NUL needed. */
struct slice {
	const char *bytes;
	size_t n;
};

/* A text that grows; released with free(bytes). */
struct buffer {
	char *bytes;
	size_t n, room;
};

int buffer_put(struct buffer *buffer, const char *bytes, size_t n, struct err *err);

/* ---- unicode.c: the only includer of utf8proc ---- */

enum unicode_form { UNICODE_NFC, UNICODE_NFD, UNICODE_NFKC, UNICODE_NFKD };

/* First character of valid UTF-8, n > 0; *length is its bytes. */
uint32_t unicode_read(const char *bytes, size_t *length);
/* Write a character, at most 4 bytes; returns how many. */
size_t unicode_write(char *bytes, uint32_t code);
bool unicode_is_space(uint32_t code); /* White_Space */
bool unicode_is_mark(uint32_t code);  /* general category M */
bool unicode_is_word(uint32_t code);  /* \w of UTS 18: Alphabetic, M, Nd, Pc, Join_Control */
/* Lower case without context, one or two characters; returns how many. */
size_t unicode_lower(uint32_t lower[2], uint32_t code);
int unicode_normalize(struct buffer *out, enum unicode_form form, const char *bytes, size_t n, struct err *err);
/* Append bytes that may be bad UTF-8, each maximal bad part as U+FFFD (Unicode 3.9, best practice). */
int unicode_put_lossy(struct buffer *out, const char *bytes, size_t n, struct err *err);

/* ---- pattern.c, pattern_rewrite.c: the only includers of PCRE2 ---- */

enum pattern_kind {
	PATTERN_LITERAL, /* the text itself */
	PATTERN_REGEX,   /* as tokenizer files have it: Oniguruma's syntax */
	PATTERN_NATIVE,  /* PCRE2's */
};

struct pattern;

struct pattern *pattern_new(const char *text, size_t n, enum pattern_kind kind, struct err *err);
void pattern_free(struct pattern *pattern);

/* A pattern in Oniguruma's syntax in PCRE2's; ERR_DATA where PCRE2 cannot say the same. `out` is the caller's to free. */
int pattern_rewrite(struct buffer *out, const char *text, size_t n, struct err *err);

/* Working memory of matches with one pattern. */
struct matcher;

struct matcher *matcher_new(const struct pattern *pattern, struct err *err);
void matcher_free(struct matcher *matcher);

struct scan {
	struct matcher *matcher;
	const char *text;
	size_t n;
	size_t next; /* where the next search starts */
	size_t last; /* end of the last match; SIZE_MAX before the first */
};

void scan_start(struct scan *scan, struct matcher *matcher, const char *text, size_t n);
/* 1 with the next match in [*from, *to), 0 where there is none, -1 on failure. */
int scan_next(struct scan *scan, size_t *from, size_t *to, struct err *err);

/* ---- respell.c ---- */

/* A chat template respelled, NUL-terminated; the caller's to free. */
char *template_respell(const char *text, struct err *err);

/* ---- vocab.c ---- */

/* TOKEN_RENAMED: an added token whose normal form is another text; TOKEN_MODEL: in the model's own vocabulary */
enum { TOKEN_USED = 1, TOKEN_SPECIAL = 2, TOKEN_ADDED = 4, TOKEN_RENAMED = 8, TOKEN_MODEL = 16 };

struct vocab {
	struct buffer bytes; /* texts of all tokens */
	struct token {
		uint32_t at, n, flags;
	} * tokens;     /* by id */
	size_t n, room; /* ids */
	size_t longest; /* bytes */
	struct slot {
		uint32_t hash, id; /* upper half of the text's hash; id + 1, 0 where empty */
	} * slots;
	size_t n_slots, used;
	uint64_t seed;
};

struct merges {
	struct merge {
		int32_t left, right, result;
	} * list; /* by rank */
	size_t n, room;
	uint32_t *slots; /* hash table of rank + 1 by (left, right), 0 where empty */
	size_t n_slots;
	uint64_t seed; /* the vocabulary's */
};

/* A hash that needs its seed to be attacked; of words of a few bytes, for which no library at hand has one. */
uint64_t text_hash(uint64_t seed, const char *bytes, size_t n);

int vocab_init(struct vocab *vocab, struct err *err);
void vocab_release(struct vocab *vocab);
/* Give an id its text; refused where id or text is taken, or too large. */
int vocab_add(struct vocab *vocab, const char *bytes, size_t n, uint64_t id, struct err *err);
int32_t vocab_find(const struct vocab *vocab, const char *bytes, size_t n);
/* Only among the model's own tokens, of which the merging knows; the others are added. */
int32_t vocab_find_model(const struct vocab *vocab, const char *bytes, size_t n);
struct slice vocab_text(const struct vocab *vocab, int32_t id);
/* Fail at the first id without a token. */
int vocab_check(const struct vocab *vocab, struct err *err);

int merges_add(struct merges *merges, const struct vocab *vocab, struct slice left, struct slice right,
	       struct err *err);
/* Rank of a pair, or -1. */
int64_t merges_find(const struct merges *merges, int32_t left, int32_t right);
void merges_release(struct merges *merges);

/* ---- added.c: tokens found in text before anything else looks at it ---- */

struct added {
	int32_t id;
	bool lstrip, rstrip, single_word, normalized;
	struct slice shown; /* normalized: what decoding starts from */
};

struct added_index {
	struct added_node {
		uint32_t child, sibling; /* 0: none */
		uint32_t token;          /* index + 1 of the token that ends here, 0: none */
		unsigned char byte;
	} * nodes; /* nodes[0] is the root */
	size_t n, room;
	uint32_t first[256]; /* children of the root */
};

struct added_hit {
	size_t from, to;
	int32_t id;
};

struct added_scan {
	const struct added_index *index;
	const struct added *tokens;
	const char *text;
	size_t n, next;
	size_t done; /* end of the last hit */
};

int added_insert(struct added_index *index, const char *bytes, size_t n, size_t token, struct err *err);
/* The next token in the text, leftmost and longest, widened by lstrip and rstrip; false where there is none. */
bool added_next(struct added_scan *scan, struct added_hit *hit);

/* ---- normalize.c, split.c, decode.c: the steps of a tokenizer.json's components ---- */

enum normalizer_kind {
	NORMALIZER_FORM,
	NORMALIZER_LOWERCASE,
	NORMALIZER_STRIP,
	NORMALIZER_STRIP_ACCENTS,
	NORMALIZER_PREPEND,
	NORMALIZER_REPLACE,
};

struct normalizer {
	enum normalizer_kind kind;
	enum unicode_form form;
	bool left, right;        /* strip */
	struct slice content;    /* prepend, replace */
	struct pattern *pattern; /* replace; owned */
};

enum behaviour { SPLIT_ISOLATED, SPLIT_REMOVED, SPLIT_PREVIOUS, SPLIT_NEXT, SPLIT_CONTIGUOUS };
enum prepend { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS };

/* A pre-tokenizer's step: rewrite (replace, prepend), then split where there is a pattern. */
struct splitter {
	struct slice mark; /* what is prepended, and with replace_spaces what replaces U+0020; n == 0: no rewriting */
	bool replace_spaces;
	enum prepend prepend;
	struct pattern *pattern; /* owned, or NULL */
	enum behaviour behaviour;
	bool invert;
};

enum decoder_kind {
	DECODER_BYTE_LEVEL,
	DECODER_REPLACE,
	DECODER_BYTE_FALLBACK,
	DECODER_FUSE,
	DECODER_STRIP,
	DECODER_METASPACE,
};

struct decoder {
	enum decoder_kind kind;
	struct pattern *pattern; /* replace; owned */
	struct slice content;    /* replace, strip, metaspace: the character */
	size_t start, stop;      /* strip */
	bool prepended;          /* metaspace: the first token's marks go away */
};

/* Ids that the post-processor puts around a text. */
struct around {
	int32_t *before, *after;
	size_t n_before, n_after, before_room, after_room;
};

struct tokenizer {
	struct arena arena;
	struct vocab vocab;
	struct merges merges;
	struct added *added;
	size_t n_added, added_room;
	struct added_index raw, normalized;
	struct normalizer normalizers[TOKENIZER_MAX_STEPS];
	struct splitter splitters[TOKENIZER_MAX_STEPS];
	struct decoder decoders[TOKENIZER_MAX_STEPS];
	size_t n_normalizers, n_splitters, n_decoders;
	struct around around;
	bool byte_level;    /* words are bytes, each a character of the byte-level alphabet */
	bool byte_fallback; /* an unknown character becomes <0xHH> tokens */
	bool ignore_merges, fuse_unk;
	bool added_listed;     /* by tokenizer_config.json: special_tokens_map.json does not count */
	bool cut_at_mark;      /* no merge crosses the start of a run of U+2581 */
	int32_t unk;           /* id, or -1 */
	int32_t byte_ids[256]; /* byte_level: of each byte; else of ASCII characters, the rest -1 */
	int32_t fallback[256]; /* byte_fallback: of <0xHH> */
	int32_t roles[TOKENIZER_ROLES];
	char *chat_template;
};

/* The byte-level alphabet of GPT-2: a printable character for each byte, below U+0144. */
uint32_t byte_level_code(unsigned char byte);
/* The byte of a character, or -1. */
int byte_level_byte(uint32_t code);

/* Normalise bytes[0..n). *trimmed tells whether the first character was taken away. */
int normalize(struct slice *out, bool *trimmed, struct buffer pair[2], const struct tokenizer *tok,
	      struct matcher *const *matchers, struct slice text, struct err *err);

/* ---- small things that several files do ---- */

/* Append an id to a growing array. */
int put_id(int32_t **ids, size_t *n, size_t *room, int32_t id, struct err *err);
/* Copy into the tokenizer's arena. */
int keep_slice(struct tokenizer *tok, struct slice *out, const char *bytes, size_t n, struct err *err);

/* ---- encode.c, split.c, merge.c ---- */

enum { CACHED_KEY = 22, CACHED_IDS = 10, CACHE_SLOTS = 1 << 15 };

/* A word and its ids, one line of the processor's cache. */
struct cached {
	uint8_t n_key, n; /* n_key == 0: empty */
	char key[CACHED_KEY];
	int32_t ids[CACHED_IDS];
};

struct symbol {
	int32_t id; /* -1 once merged into its left neighbour */
	int32_t previous, next;
};

struct encoder {
	const struct tokenizer *tok;
	struct matcher *normalizer_matchers[TOKENIZER_MAX_STEPS];
	struct matcher *splitter_matchers[TOKENIZER_MAX_STEPS];
	struct buffer normalized[2];
	struct buffer rewritten[TOKENIZER_MAX_STEPS]; /* by splitter */
	struct cached *cache;
	struct symbol *symbols; /* of the word at hand */
	size_t n_symbols, symbols_room;
	uint64_t *heap; /* rank << 32 | position */
	size_t n_heap, heap_room;
	struct buffer word;      /* of ignore_merges */
	size_t may_add;          /* bytes by which the pre-tokenizer may lengthen the text at hand */
	struct token_list *list; /* where ids go */
};

/* Take bytes apart with the pre-tokenizer from its first step and merge the words. `first`: the text starts here. */
int split_text(struct encoder *enc, struct slice text, bool first, struct err *err);
/* Append the ids of a word. */
int merge_word(struct encoder *enc, struct slice word, struct err *err);

#endif
