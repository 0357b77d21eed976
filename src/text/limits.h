// SPDX-License-Identifier: Apache-2.0
/*
 * limits.h - what the reader of tokenizer files and the encoder take, in one
 * place. Published tokenizers stay below half of each of them; a file or text
 * beyond is refused with a message that names the limit.
 */
#ifndef BALDISTILL_TEXT_LIMITS_H
#define BALDISTILL_TEXT_LIMITS_H

enum {
	TOKENIZER_MAX_FILE = 64 << 20,  /* bytes of tokenizer.json */
	TOKENIZER_MAX_CONFIG = 4 << 20, /* bytes of each other file */
	TOKENIZER_MAX_VALUES = 1 << 24, /* JSON values of tokenizer.json */
	TOKENIZER_MAX_REST = 1 << 17,   /* JSON values outside vocab and merges */
	TOKENIZER_MAX_TOKENS = 1 << 20, /* ids */
	TOKENIZER_MAX_MERGES = 1 << 21,
	TOKENIZER_MAX_ADDED = 1 << 13,      /* added tokens */
	TOKENIZER_MAX_ADDED_BYTES = 1 << 9, /* of an added token, which may be compared at every byte of a text */
	TOKENIZER_MAX_TOKEN_BYTES = 1 << 12,
	TOKENIZER_MAX_STEPS = 32,       /* components of a normalizer, pre-tokenizer or decoder */
	TOKENIZER_MAX_AROUND = 64,      /* special tokens before a text, or behind it */
	TOKENIZER_MAX_CONTENT = 256,    /* bytes of a text that a component inserts */
	TOKENIZER_MAX_PATTERN = 4096,   /* bytes of a regular expression */
	TOKENIZER_MAX_GROUPS = 50,      /* nested groups in it */
	TOKENIZER_MATCH_STEPS = 16,     /* of a match at one place, for each byte of the text */
	TOKENIZER_MATCH_LEAST = 4096,   /* and so many more */
	TOKENIZER_MATCH_KIB = 20000,    /* memory of one match */
	TOKENIZER_MAX_TEXT = 256 << 20, /* bytes of a text to encode */
	TOKENIZER_MAX_GROWTH = 32,      /* times a normalizer, a pre-tokenizer or a decoder may lengthen a text */
	TOKENIZER_MAX_COMBINING = 4096, /* combining characters in a row, which sort in quadratic time */
};

#endif
