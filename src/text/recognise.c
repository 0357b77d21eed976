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

enum { SIGNS = 8 };

static const struct {
	enum chat_family family;
	const char *with[SIGNS], *without[SIGNS];
} signs[] = {
	{CHAT_CHATML,
	 {"<|im_start|>", "<|im_end|>"},
	 {"<think>", "reasoning_content", "bos_token", "eos_token", "trim", "strip(", "strftime"}},
	{CHAT_LLAMA3,
	 {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "bos_token", "trim"},
	 {"<think>", "Cutting Knowledge Date", "strftime", "strip(", "eos_token"}},
	{CHAT_ZEPHYR,
	 {"<|system|>", "<|user|>", "<|assistant|>", "eos_token"},
	 {"<think>", "<|end|>", "bos_token", "trim", "strip("}},
	{CHAT_LLAMA2,
	 {"bos_token + '[INST] '", "' [/INST]'", "<<SYS>>\\n", "\\n<</SYS>>\\n\\n", "' ' + eos_token", "strip()"},
	 {"<think>", "trim"}},
	{CHAT_MISTRAL,
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

/* The text that `at` starts, up to the end mark, if it is plain; else 0. A line break is written as one or as \n. */
static size_t plain_length(const char **at)
{
	const char *text = *at, *end;

	if (!strncmp(text, "\\n", 2))
		text += 2;
	else if (*text == '\n')
		text++;
	else
		return 0;
	end = strstr(text, "<|im_end|>");
	if (!end || strcspn(text, "'\"{}\\+") < (size_t)(end - text))
		return 0;
	*at = text;
	return (size_t)(end - text);
}

/* The system message that a chatml template holds for conversations without one. */
static int find_default(char **out, const char *text, struct err *err)
{
	static const char start[] = "<|im_start|>system";
	size_t n;

	while ((text = strstr(text, start))) {
		text += sizeof start - 1;
		n = plain_length(&text);
		if (!n)
			continue;
		*out = mem_array(n + 1, 1, err);
		if (!*out)
			return -1;
		memcpy(*out, text, n);
		return 0;
	}
	return 0;
}

int chat_recognise(enum chat_family *family, char **default_system, const char *text, struct err *err)
{
	*default_system = NULL;
	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		if (!holds(text, signs[i].with, true) || holds(text, signs[i].without, false))
			continue;
		*family = signs[i].family;
		return *family == CHAT_CHATML ? find_default(default_system, text, err) : 0;
	}
	return err_set(err, ERR_CONFIG,
		       "the model's chat template is not one that is known, and templates are not run; "
		       "set chat_template to chatml, llama2, llama3, mistral, zephyr or none");
}
