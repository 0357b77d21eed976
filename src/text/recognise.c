// SPDX-License-Identifier: Apache-2.0
/*
 * The family of a template by what stands in its text. A template is program
 * text from outside and is never run; one with signs of anything that the
 * family's table does not do is not recognised.
 */
#include <stdlib.h>
#include <string.h>

#include "src/text/chat.h"
#include "src/text/internal.h"

enum { SIGNS = 10 };

static const struct family_signs {
	enum chat_family family;
	const char *system; /* what opens a system turn, up to its line breaks; NULL: there are none */
	const char *with[SIGNS], *without[SIGNS];
} signs[] = {
	{CHAT_CHATML,
	 "<|im_start|>system",
	 {"<|im_start|>", "<|im_end|>"},
	 {"<think>", "reasoning_content", "bos_token", "eos_token", "trim", "strip(", "strftime", "{{ system_message",
	  "{{- system_message", "{{system_message"}},
	{CHAT_LLAMA3,
	 "<|start_header_id|>system<|end_header_id|>",
	 {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "bos_token", "trim"},
	 {"<think>", "Cutting Knowledge Date", "strftime", "strip(", "eos_token"}},
	{CHAT_ZEPHYR,
	 "<|system|>",
	 {"<|system|>", "<|user|>", "<|assistant|>", "eos_token"},
	 {"<think>", "<|end|>", "bos_token", "trim", "strip("}},
	{CHAT_LLAMA2,
	 "<<SYS>>",
	 {"bos_token + '[INST] '", "' [/INST]'", "<<SYS>>\\n", "\\n<</SYS>>\\n\\n", "' ' + eos_token", "strip()"},
	 {"<think>", "trim"}},
	{CHAT_MISTRAL,
	 NULL,
	 {"bos_token", "'[INST] ' + message['content'] + ' [/INST]'", "message['content'] + eos_token"},
	 {"<think>", "<<SYS>>", "eos_token + ' '", "trim", "strip(", "system_message", "[AVAILABLE_TOOLS]"}},
};

static bool holds(const char *text, const char *const list[SIGNS], bool all)
{
	for (size_t i = 0; i < SIGNS && list[i]; i++) {
		if (!strstr(text, list[i]) == all)
			return !all;
	}
	return all;
}

static int unknown(struct err *err)
{
	return err_set(err, ERR_CONFIG,
		       "the model's chat template is not one that is known, and templates are not run; "
		       "set chat_template to chatml, llama2, llama3, mistral, zephyr or none");
}

/* ---- the system message that a template holds for conversations without one ---- */

/* In a variable. Meta's template of Llama 2 does so and switches it off. */
static bool sets_system(const char *text)
{
	return (strstr(text, "system_message = '") || strstr(text, "system_message = \"")) &&
	       !strstr(text, "elif false == true");
}

static bool is_quote(char c)
{
	return c == '\'' || c == '"';
}

/* Behind a line break, which is written as one or as \n; text itself where there is none. */
static const char *skip_break(const char *text)
{
	return *text == '\n' ? text + 1 : strncmp(text, "\\n", 2) ? text : text + 2;
}

/* Whether words follow what opens a system turn. */
static bool says_system(const char *text, const char *open)
{
	while ((text = strstr(text, open))) {
		const char *at = text += strlen(open), *next;
		while ((next = skip_break(at)) > at)
			at = next;
		if (at > text && !is_quote(*at) && *at != '{')
			return true;
	}
	return false;
}

/* Whether a literal that ended before `text` goes on in another one. */
static bool goes_on(const char *text)
{
	text += strspn(text, " ");
	return (*text == '+' || *text == '~') && is_quote(text[1 + strspn(text + 1, " ")]);
}

/* What a backslash and this letter mean in a literal, or NUL: more than one character, or not known. */
static char escaped(char letter)
{
	static const char letters[] = "nrt\\'\"", meanings[] = "\n\r\t\\'\"";
	const char *at = letter ? strchr(letters, letter) : NULL;

	return at ? meanings[at - letters] : '\0';
}

/* One character of a literal or, quote being NUL, of a text that may be in none; NUL where it ends or is not plain. */
static char read_plain(const char **text, char quote)
{
	char c = *(*text)++;

	if (c == '\\' && quote)
		return escaped(**text ? *(*text)++ : '\0');
	if (c == quote || c == '\r' || (!quote && strchr("'\"{}\\", c)) || (c == '{' && strchr("{%#", **text)))
		return '\0';
	return c;
}

/* The words of a chatml system turn, which must end where they began; none where the conversation's own follow. */
static int read_turn(struct buffer *out, const char *text, char quote, struct err *err)
{
	static const char end[] = "<|im_end|>";
	const char *at = skip_break(text);

	if (quote ? *at == quote : is_quote(*at))
		return goes_on(at + 1) ? unknown(err) : 0;
	if (at == text)
		return unknown(err);
	while (strncmp(at, end, sizeof end - 1)) {
		char c = read_plain(&at, quote);
		if (!c)
			return unknown(err);
		if (buffer_put(out, &c, 1, err))
			return -1;
	}
	return buffer_put(out, "", 1, err);
}

/* Two system messages would depend on what the template asks, which is not run. */
static int find_default(char **out, const char *text, const char *open, struct err *err)
{
	const char *at = text;
	int result = 0;

	while (!result && (at = strstr(at, open))) {
		struct buffer turn = {0};
		char quote = at > text && is_quote(at[-1]) ? at[-1] : '\0';
		at += strlen(open);
		result = read_turn(&turn, at, quote, err);
		if (!result && turn.bytes && *out && strcmp(turn.bytes, *out))
			result = unknown(err);
		if (!result && turn.bytes && !*out)
			*out = turn.bytes;
		else
			free(turn.bytes);
	}
	return result;
}

int chat_recognise(enum chat_family *family, char **default_system, const char *text, struct err *err)
{
	*default_system = NULL;
	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		const struct family_signs *s = &signs[i];
		if (!holds(text, s->with, true) || holds(text, s->without, false))
			continue;
		*family = s->family;
		if (s->family == CHAT_CHATML && !sets_system(text))
			return find_default(default_system, text, s->system, err);
		return sets_system(text) || (s->system && says_system(text, s->system)) ? unknown(err) : 0;
	}
	return unknown(err);
}
