// SPDX-License-Identifier: Apache-2.0
/*
 * Added tokens in a text: a tree of bytes, searched for the leftmost and there
 * the longest. A token that must be a whole word and is not is passed over
 * with all its bytes, as Hugging Face tokenizers do.
 */
#include "src/base/text.h"
#include "src/text/internal.h"

static uint32_t find_child(const struct added_index *index, uint32_t node, unsigned char byte)
{
	uint32_t child = node ? index->nodes[node].child : index->first[byte];

	while (child && index->nodes[child].byte != byte)
		child = index->nodes[child].sibling;
	return child;
}

/* Append a node and hang it below `parent`; 0 on failure. */
static uint32_t new_child(struct added_index *index, uint32_t parent, unsigned char byte, struct err *err)
{
	uint32_t child = (uint32_t)index->n;

	if (mem_grow(&index->nodes, &index->room, index->n + 1, sizeof *index->nodes, err))
		return 0;
	uint32_t *head = parent ? &index->nodes[parent].child : &index->first[byte];
	index->nodes[index->n++] = (struct added_node){.sibling = *head, .byte = byte};
	*head = child;
	return child;
}

int added_insert(struct added_index *index, const char *bytes, size_t n, size_t token, struct err *err)
{
	uint32_t node = 0;
	char shown[60];

	if (!n)
		return 0;
	if (n > TOKENIZER_MAX_ADDED_BYTES)
		return err_set(err, ERR_DATA, "added token '%s': %zu bytes are above the limit of %d",
			       text_escape(shown, sizeof shown, bytes, n), n, TOKENIZER_MAX_ADDED_BYTES);
	if (!index->n) {
		if (mem_grow(&index->nodes, &index->room, 1, sizeof *index->nodes, err))
			return -1;
		index->nodes[index->n++] = (struct added_node){0};
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t child = find_child(index, node, (unsigned char)bytes[i]);
		if (!child)
			child = new_child(index, node, (unsigned char)bytes[i], err);
		if (!child)
			return -1;
		node = child;
	}
	if (!index->nodes[node].token) /* the first of two equal ones counts */
		index->nodes[node].token = (uint32_t)token + 1;
	return 0;
}

/* The longest token at text[at]: its index + 1, or 0; its end in *end. */
static uint32_t longest_at(const struct added_scan *scan, size_t at, size_t *end)
{
	uint32_t node = 0, token = 0;

	while (at < scan->n) {
		node = find_child(scan->index, node, (unsigned char)scan->text[at++]);
		if (!node)
			break;
		if (scan->index->nodes[node].token) {
			token = scan->index->nodes[node].token;
			*end = at;
		}
	}
	return token;
}

static size_t character_before(const char *text, size_t at)
{
	do
		at--;
	while (((unsigned char)text[at] & 0xC0) == 0x80);
	return at;
}

static bool is_word_at(const char *text, size_t at)
{
	size_t length;

	return unicode_is_word(unicode_read(text + at, &length));
}

static bool is_whole_word(const struct added_scan *scan, size_t from, size_t to)
{
	return (!from || !is_word_at(scan->text, character_before(scan->text, from))) &&
	       (to == scan->n || !is_word_at(scan->text, to));
}

/* Take in white space on the sides where the token asks for it, on the left not what the last hit took. */
static void widen(const struct added_scan *scan, const struct added *token, struct added_hit *hit)
{
	size_t length;

	while (token->lstrip && hit->from > scan->done) {
		size_t before = character_before(scan->text, hit->from);
		if (!unicode_is_space(unicode_read(scan->text + before, &length)))
			break;
		hit->from = before;
	}
	while (token->rstrip && hit->to < scan->n && unicode_is_space(unicode_read(scan->text + hit->to, &length)))
		hit->to += length;
}

bool added_next(struct added_scan *scan, struct added_hit *hit)
{
	const uint32_t *first = scan->index->first;

	while (scan->index->n && scan->next < scan->n) {
		size_t from = scan->next, to = 0;
		uint32_t token = first[(unsigned char)scan->text[from]] ? longest_at(scan, from, &to) : 0;
		scan->next = token ? to : from + 1;
		if (!token || (scan->tokens[token - 1].single_word && !is_whole_word(scan, from, to)))
			continue;
		*hit = (struct added_hit){from, to, scan->tokens[token - 1].id};
		widen(scan, &scan->tokens[token - 1], hit);
		scan->done = hit->to;
		return true;
	}
	return false;
}
