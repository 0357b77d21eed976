// SPDX-License-Identifier: Apache-2.0
/* Patterns of tokenizer files, run by PCRE2 with limits on steps and memory. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <stdlib.h>

#include <pcre2.h>

#include "src/base/text.h"
#include "src/text/internal.h"

enum { JIT_STACK_FIRST = 32 << 10, JIT_STACK_MOST = 1 << 20 };

struct pattern {
	pcre2_code *code;
	bool jit;
};

struct matcher {
	const struct pattern *pattern;
	pcre2_match_data *data;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

/* ---- compiling ---- */

static pcre2_code *compile(const char *text, size_t n, uint32_t options, struct err *err)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	char shown[200], reason[160];
	pcre2_code *code = NULL;
	PCRE2_SIZE at = 0;
	int number = 0;

	if (context) {
		pcre2_set_newline(context, PCRE2_NEWLINE_LF);
		pcre2_set_parens_nest_limit(context, TOKENIZER_MAX_GROUPS);
		code = pcre2_compile((PCRE2_SPTR)text, n, options, &number, &at, context);
		pcre2_compile_context_free(context);
	}
	if (code)
		return code;
	if (!context || number == PCRE2_ERROR_HEAP_FAILED) {
		err_set(err, ERR_MEMORY, "out of memory for a regular expression");
		return NULL;
	}
	pcre2_get_error_message(number, (PCRE2_UCHAR *)reason, sizeof reason);
	err_set(err, ERR_DATA, "regular expression '%s': byte %zu: %s", text_escape(shown, sizeof shown, text, n), at,
		reason);
	return NULL;
}

static pcre2_code *compile_kind(const char *text, size_t n, enum pattern_kind kind, struct err *err)
{
	static const uint32_t regex = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
	struct buffer rewritten = {0};
	pcre2_code *code;

	if (!n || n > TOKENIZER_MAX_PATTERN) {
		err_set(err, ERR_DATA, "a pattern must have 1 to %d bytes", TOKENIZER_MAX_PATTERN);
		return NULL;
	}
	if (kind == PATTERN_LITERAL)
		return compile(text, n, PCRE2_UTF | PCRE2_LITERAL, err);
	if (kind == PATTERN_NATIVE)
		return compile(text, n, regex, err);
	code = pattern_rewrite(&rewritten, text, n, err) ? NULL : compile(rewritten.bytes, rewritten.n, regex, err);
	free(rewritten.bytes);
	return code;
}

struct pattern *pattern_new(const char *text, size_t n, enum pattern_kind kind, struct err *err)
{
	struct pattern *pattern = mem_array(1, sizeof *pattern, err);

	if (!pattern)
		return NULL;
	pattern->code = compile_kind(text, n, kind, err);
	if (!pattern->code) {
		free(pattern);
		return NULL;
	}
	/* where there is no just-in-time compiler the interpreter serves */
	pattern->jit = !pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
	return pattern;
}

void pattern_free(struct pattern *pattern)
{
	if (pattern)
		pcre2_code_free(pattern->code);
	free(pattern);
}

/* ---- matching ---- */

struct matcher *matcher_new(const struct pattern *pattern, struct err *err)
{
	struct matcher *matcher = mem_array(1, sizeof *matcher, err);

	if (!matcher)
		return NULL;
	matcher->pattern = pattern;
	matcher->data = pcre2_match_data_create_from_pattern(pattern->code, NULL);
	matcher->context = pcre2_match_context_create(NULL);
	matcher->stack = pattern->jit ? pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MOST, NULL) : NULL;
	if (!matcher->data || !matcher->context || (pattern->jit && !matcher->stack)) {
		err_set(err, ERR_MEMORY, "out of memory for matching");
		matcher_free(matcher);
		return NULL;
	}
	pcre2_set_heap_limit(matcher->context, TOKENIZER_MATCH_KIB);
	if (matcher->stack)
		pcre2_jit_stack_assign(matcher->context, NULL, matcher->stack);
	return matcher;
}

void matcher_free(struct matcher *matcher)
{
	if (!matcher)
		return;
	pcre2_match_data_free(matcher->data);
	pcre2_match_context_free(matcher->context);
	pcre2_jit_stack_free(matcher->stack);
	free(matcher);
}

/*
 * PCRE2 counts steps anew at each place where a match may start, so that a
 * fixed limit, high enough for long texts, would let short ones take hours.
 */
void scan_start(struct scan *scan, struct matcher *matcher, const char *text, size_t n)
{
	uint64_t steps = (uint64_t)n * TOKENIZER_MATCH_STEPS + TOKENIZER_MATCH_LEAST;

	pcre2_set_match_limit(matcher->context, steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX);
	*scan = (struct scan){.matcher = matcher, .text = text, .n = n, .last = SIZE_MAX};
}

static int search(struct scan *scan, struct err *err)
{
	static const uint32_t options = PCRE2_NO_UTF_CHECK;
	struct matcher *m = scan->matcher;
	PCRE2_SPTR text = (PCRE2_SPTR)scan->text;
	char reason[120];
	int found = m->pattern->jit
			    ? pcre2_jit_match(m->pattern->code, text, scan->n, scan->next, options, m->data, m->context)
			    : pcre2_match(m->pattern->code, text, scan->n, scan->next, options, m->data, m->context);

	if (found > 0 || found == PCRE2_ERROR_NOMATCH)
		return found > 0;
	pcre2_get_error_message(found, (PCRE2_UCHAR *)reason, sizeof reason);
	return err_set(err, found == PCRE2_ERROR_NOMEMORY ? ERR_MEMORY : ERR_DATA,
		       "the tokenizer's regular expression, %zu bytes into a part of the text: %s", scan->next, reason);
}

/* An empty match right behind the last one does not count. */
int scan_next(struct scan *scan, size_t *from, size_t *to, struct err *err)
{
	const PCRE2_SIZE *range = pcre2_get_ovector_pointer(scan->matcher->data);
	size_t length;

	while (scan->next <= scan->n) {
		int found = search(scan, err);
		if (found <= 0)
			return found;
		if (range[0] < range[1] || range[1] != scan->last) {
			*from = range[0];
			*to = scan->next = scan->last = range[1];
			return 1;
		}
		length = 1;
		if (scan->next < scan->n)
			unicode_read(scan->text + scan->next, &length);
		scan->next += length;
	}
	return 0;
}
