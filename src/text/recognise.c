// SPDX-License-Identifier: Apache-2.0
/*
 * The family of a template by what stands in its text. A template is program
 * text from outside and is never run. It is respelled, so that all ways to
 * write the same join look alike, and compared with the joins of each family;
 * one with signs of anything that the family's table does not do is not
 * recognised.
 */
#include <stdlib.h>
#include <string.h>

#include "src/text/chat.h"
#include "src/text/internal.h"

enum { SIGNS = 10 };

#define NOT_CHATML                                                                                                     \
	{                                                                                                              \
		"<think>", "reasoning_content", "bos_token", "eos_token", "trim", "strip(", "strftime",                \
			"%}system_message", "notloop.last", "<|im_end|>'"                                              \
	}

static const struct family_signs {
	enum chat_family family;
	const char *system, *breaks; /* what opens a system turn, and the line breaks behind it; NULL: there are none */
	const char *with[SIGNS], *without[SIGNS]; /* in the template as it is respelled */
} signs[] = {
	{CHAT_CHATML,
	 "<|im_start|>system",
	 "\n",
	 {"'<|im_start|>'+message.role+'\n'+message.content+'<|im_end|>\n'"},
	 NOT_CHATML},
	{CHAT_CHATML, /* Qwen3's, where the answer's end is behind its calls of tools */
	 "<|im_start|>system",
	 "\n",
	 {"{%setcontent=message.content%}", "'<|im_start|>'+message.role+'\n'+content+'<|im_end|>\n'",
	  "'<|im_start|>'+message.role+'\n'+content{%ifmessage.tool_calls%}", "{%endif%}'<|im_end|>\n'"},
	 NOT_CHATML},
	{CHAT_CHATML, /* a branch for each role */
	 "<|im_start|>system",
	 "\n",
	 {"%}'<|im_start|>user\n'+message.content+'<|im_end|>\n'{%", "%}'<|im_start|>assistant\n'+message.content+'<|im_end|>\n'{%",
	  "%}'<|im_start|>system\n'+message.content+'<|im_end|>\n'{%"},
	 NOT_CHATML},
	{CHAT_LLAMA3,
	 "<|start_header_id|>system<|end_header_id|>",
	 "\n\n",
	 {"'<|start_header_id|>'+message.role+'<|end_header_id|>\n\n'+message.content|trim+'<|eot_id|>'", "bos_token"},
	 {"<think>", "Cutting Knowledge Date", "strftime", "strip(", "eos_token"}},
	{CHAT_ZEPHYR,
	 "<|system|>",
	 "\n",
	 {"'<|system|>\n'+message.content+eos_token+'\n'{%", "'<|user|>\n'+message.content+eos_token+'\n'{%",
	  "'<|assistant|>\n'+message.content+eos_token+'\n'{%", "'<|assistant|>\n'{%endif%}"},
	 {"<think>", "<|end|>", "bos_token", "trim", "strip("}},
	{CHAT_LLAMA2,
	 "<<SYS>>",
	 "\n",
	 {"bos_token+'[INST] '+", ".strip()+' [/INST]'{%", "'<<SYS>>\n'+", "+'\n<</SYS>>\n\n'",
	  "%}' '+", ".strip()+' '+eos_token{%"},
	 {"<think>", "trim"}},
	{CHAT_MISTRAL,
	 NULL,
	 NULL,
	 {"bos_token", "%}'[INST] '+message.content+' [/INST]'{%", "%}message.content+eos_token{%"},
	 {"<think>", "<<SYS>>", "trim", "strip(", "system_message", "[AVAILABLE_TOOLS]"}},
};

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

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

/*
 * Whether the variable that system messages go through gets anything else than
 * one of the conversation. Meta's template of Llama 2 does so and switches it off.
 */
static bool sets_system(const char *text)
{
	static const char set[] = "system_message=", *const values[] = {"messages[0].content", "''", "false", "none"};

	if (strstr(text, "{%eliffalse==true"))
		return false;
	while ((text = strstr(text, set))) {
		size_t i = 0;
		text += sizeof set - 1;
		if (*text == '=')
			continue;
		while (i < sizeof values / sizeof *values && !starts(text, values[i]))
			i++;
		if (i == sizeof values / sizeof *values)
			return true;
		text += strlen(values[i]);
		text += starts(text, "|trim") ? strlen("|trim") : 0;
		if (!starts(text, "%}"))
			return true;
	}
	return false;
}

/* Whether a literal that ends at `text` has a message of the conversation behind it. */
static bool is_own(const char *text)
{
	static const char *const names[] = {"messages[0].content", "message.content", "system_message",
					    "content.strip()"};

	for (size_t i = 0; starts(text, "'+") && i < sizeof names / sizeof *names; i++) {
		const char *end = text + 2 + strlen(names[i]);
		if (starts(text + 2, names[i]))
			return *end == '+' || starts(end, "|trim+");
	}
	return false;
}

/* The words of a system turn, which must end in the literal that they began in. */
static int read_turn(struct buffer *out, const char *at, struct err *err)
{
	while (!starts(at, "<|im_end|>\n")) {
		char c = *at++;
		bool escape = c == '\\';
		if (escape)
			c = *at++;
		if (!c || c == '\r' || (c == '\'' && !escape) || (escape && c != '\'' && c != '\\'))
			return unknown(err);
		if (buffer_put(out, &c, 1, err))
			return -1;
	}
	return buffer_put(out, "", 1, err);
}

/* Two system messages would depend on what the template asks, which is not run. */
static int keep_turn(char **kept, const char *at, struct err *err)
{
	struct buffer turn = {0};
	int result = read_turn(&turn, at, err);

	if (!result && *kept && strcmp(turn.bytes, *kept))
		result = unknown(err);
	if (!result && !*kept)
		*kept = turn.bytes;
	else
		free(turn.bytes);
	return result;
}

static int find_default(char **kept, const char *text, const struct family_signs *s, struct err *err)
{
	static const char tools[] = "{%iftools%}'";

	for (const char *from = text, *at; s->system && (at = strstr(from, s->system));) {
		bool skipped = (size_t)(at - text) >= strlen(tools) && starts(at - strlen(tools), tools);
		from = at + strlen(s->system);
		if (skipped || starts(from, "'in"))
			continue;
		if (!starts(from, s->breaks))
			return unknown(err);
		from += strlen(s->breaks);
		if (is_own(from))
			continue;
		if (s->family != CHAT_CHATML)
			return unknown(err);
		if (keep_turn(kept, from, err))
			return -1;
	}
	return 0;
}

static int recognise(enum chat_family *family, char **default_system, const char *text, struct err *err)
{
	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		const struct family_signs *s = &signs[i];
		if (!holds(text, s->with, true) || holds(text, s->without, false))
			continue;
		*family = s->family;
		return sets_system(text) ? unknown(err) : find_default(default_system, text, s, err);
	}
	return unknown(err);
}

int chat_recognise(enum chat_family *family, char **default_system, const char *text, struct err *err)
{
	char *respelled = template_respell(text, err);
	int result;

	*default_system = NULL;
	result = respelled ? recognise(family, default_system, respelled, err) : -1;

	free(respelled);
	return result;
}
