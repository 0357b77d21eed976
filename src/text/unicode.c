// SPDX-License-Identifier: Apache-2.0
/* Characters: UTF-8, classes, case, normal forms. */
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "src/base/text.h"
#include "src/text/internal.h"

int buffer_put(struct buffer *buffer, const char *bytes, size_t n, struct err *err)
{
	size_t need;

	if (!size_add(&need, buffer->n, n))
		return err_set(err, ERR_MEMORY, "out of memory for a text of %zu and %zu bytes", buffer->n, n);
	/* even an empty text is a valid pointer */
	if ((need > buffer->room || !buffer->bytes) && mem_grow(&buffer->bytes, &buffer->room, need + !need, 1, err))
		return -1;
	if (n)
		memcpy(buffer->bytes + buffer->n, bytes, n);
	buffer->n = need;
	return 0;
}

uint32_t unicode_read(const char *bytes, size_t *length)
{
	const unsigned char *b = (const unsigned char *)bytes;

	if (b[0] < 0x80) {
		*length = 1;
		return b[0];
	}
	*length = b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : 4;
	uint32_t code = b[0] & (0xFFu >> (*length + 1));
	for (size_t i = 1; i < *length; i++)
		code = code << 6 | (b[i] & 0x3Fu);
	return code;
}

size_t unicode_write(char *bytes, uint32_t code)
{
	return (size_t)utf8proc_encode_char((utf8proc_int32_t)code, (utf8proc_uint8_t *)bytes);
}

bool unicode_is_space(uint32_t code)
{
	if (code < 0x80)
		return code == ' ' || (code >= '\t' && code <= '\r');
	switch (utf8proc_category((utf8proc_int32_t)code)) {
	case UTF8PROC_CATEGORY_ZS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return true;
	default:
		return code == 0x85;
	}
}

bool unicode_is_mark(uint32_t code)
{
	utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);

	return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

bool unicode_is_word(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} others[] = {
		/* Join_Control; circled and squared letters, which are Alphabetic symbols */
		{0x200C, 0x200D}, {0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189},
	};
	utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);

	if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL)
		return true; /* letters, marks, decimal digits, letter numbers, in utf8proc's order */
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		if (code >= others[i].first && code <= others[i].last)
			return true;
	}
	return category == UTF8PROC_CATEGORY_PC;
}

size_t unicode_lower(uint32_t lower[2], uint32_t code)
{
	if (code == 0x130) { /* the only character whose lower case is two */
		lower[0] = 'i';
		lower[1] = 0x307;
		return 2;
	}
	lower[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
	return 1;
}

/* Whether the text is its own normal form by its bytes alone: below U+0080, or below U+0300 for NFC. */
static bool is_normal(enum unicode_form form, const char *bytes, size_t n)
{
	unsigned char first = form == UNICODE_NFC ? 0xCC : 0x80;

	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)bytes[i] >= first)
			return false;
	}
	return true;
}

/* Putting a run of combining characters in order takes quadratic time. */
static int check_runs(const char *bytes, size_t n, struct err *err)
{
	size_t run = 0;

	for (size_t at = 0, length; at < n; at += length) {
		uint32_t code = unicode_read(bytes + at, &length);
		const utf8proc_property_t *property = utf8proc_get_property((utf8proc_int32_t)code);
		run = code < 0x300 || !property->combining_class ? 0 : run + 1;
		if (run > TOKENIZER_MAX_COMBINING)
			return err_set(err, ERR_DATA, "byte %zu: more than %d combining characters in a row", at,
				       TOKENIZER_MAX_COMBINING);
	}
	return 0;
}

int unicode_normalize(struct buffer *out, enum unicode_form form, const char *bytes, size_t n, struct err *err)
{
	static const unsigned options[] = {
		[UNICODE_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
		[UNICODE_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
		[UNICODE_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
		[UNICODE_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
	};
	utf8proc_uint8_t *mapped = NULL;
	utf8proc_ssize_t length;
	int result;

	if (is_normal(form, bytes, n))
		return buffer_put(out, bytes, n, err);
	if (check_runs(bytes, n, err))
		return -1;
	length = utf8proc_map((const utf8proc_uint8_t *)bytes, (utf8proc_ssize_t)n, &mapped,
			      (utf8proc_option_t)options[form]);
	if (length == UTF8PROC_ERROR_NOMEM || length == UTF8PROC_ERROR_OVERFLOW)
		return err_set(err, ERR_MEMORY, "out of memory for normalising %zu bytes", n);
	if (length < 0)
		return err_set(err, ERR_INTERNAL, "normalising: %s", utf8proc_errmsg(length));
	result = buffer_put(out, (const char *)mapped, (size_t)length, err);
	free(mapped);
	return result;
}

/* Bytes of the maximal part that could have begun a character, at least 1. */
static size_t bad_part(const char *bytes, size_t n)
{
	for (size_t k = n < 3 ? n : 3; k > 1; k--) {
		char whole[4] = {'\x80', '\x80', '\x80', '\x80'};
		memcpy(whole, bytes, k);
		if (text_utf8_length(whole, sizeof whole) > k)
			return k;
	}
	return 1;
}

int unicode_put_lossy(struct buffer *out, const char *bytes, size_t n, struct err *err)
{
	for (size_t at = 0; at < n;) {
		size_t good = text_utf8_valid(bytes + at, n - at);
		if (buffer_put(out, bytes + at, good, err))
			return -1;
		at += good;
		if (at == n)
			break;
		if (buffer_put(out, "\xEF\xBF\xBD", 3, err))
			return -1;
		at += bad_part(bytes + at, n - at);
	}
	return 0;
}
