// SPDX-License-Identifier: Apache-2.0
/*
 * Chat templates. Texts that Jinja makes of templates of each family, written
 * by tests/golden/make_chat.py; where answers stand in them; which templates
 * are recognised and which are refused.
 */
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "src/base/jsonio.h"
#include "src/text/chat.h"

namespace
{

std::vector<std::string> golden_lines()
{
	const char *root = getenv("TEST_SRCDIR");
	std::ifstream file(std::string(root ? root : ".") + "/tests/golden/chat.jsonl");
	std::vector<std::string> lines;

	EXPECT_TRUE(file.good());
	for (std::string line; std::getline(file, line);)
		lines.push_back(line);
	return lines;
}

/* A string, "" where there is none. */
std::string string_of(struct json_value value)
{
	const char *text = "";
	size_t n = 0;

	json_opt_string(value, "", &text, &n, nullptr);
	return std::string(text, n);
}

struct Case {
	bool prompt = false, error = false;
	std::string text;
	std::vector<std::string> words; /* role, content, role, content, ... */
	std::vector<struct chat_message> messages;

	explicit Case(struct json_value value)
	{
		struct json_value list = json_in(value, "messages");
		size_t n = 0;
		text = string_of(json_in(value, "text"));
		json_get_bool(json_in(value, "prompt"), &prompt, nullptr);
		json_opt_bool(json_in(value, "error"), false, &error, nullptr);
		json_get_length(list, &n, nullptr);
		for (size_t i = 0; i < n; i++) {
			words.push_back(string_of(json_at(json_at(list, i), 0)));
			words.push_back(string_of(json_at(json_at(list, i), 1)));
		}
		for (size_t i = 0; i < words.size(); i += 2)
			messages.push_back({words[i].c_str(), words[i + 1].data(), words[i + 1].size()});
	}
	Case(const Case &) = delete;
};

/* One line of the file: a family and its cases. */
struct Family {
	struct json *doc;
	struct json_value cases;
	std::string name, text;
	struct chat chat = {};
	size_t n = 0;

	explicit Family(const std::string &line)
	{
		struct err err = {};
		doc = json_parse(line.data(), line.size(), nullptr, &err);
		EXPECT_NE(doc, nullptr) << err.message;
		struct json_value root = json_root(doc);
		name = string_of(json_in(root, "family"));
		text = string_of(json_in(root, "template"));
		chat.bos = strdup(string_of(json_in(root, "bos")).c_str());
		chat.eos = strdup(string_of(json_in(root, "eos")).c_str());
		cases = json_in(root, "cases");
		json_get_length(cases, &n, nullptr);
		EXPECT_EQ(chat_recognise(&chat.family, &chat.default_system, text.c_str(), &err), 0) << err.message;
		EXPECT_EQ(name, chat_family_name(chat.family));
	}
	~Family()
	{
		chat_release(&chat);
		json_free(doc);
	}
	Family(const Family &) = delete;
};

void check_case(const Family &family, const Case &c, size_t *rendered, size_t *refused)
{
	struct chat_text text;
	struct err err = {};
	int result = chat_render(&text, &family.chat, c.messages.data(), c.messages.size(), c.prompt, &err);

	if (c.error) {
		EXPECT_EQ(result, -1) << family.name;
		EXPECT_EQ(err.code, ERR_DATA);
		EXPECT_EQ(std::string(err.message).rfind("message ", 0), 0u) << err.message;
		++*refused;
		return;
	}
	ASSERT_EQ(result, 0) << err.message << ": " << family.name << " of " << c.text;
	EXPECT_EQ(std::string(text.bytes, text.n), c.text) << family.name;
	++*rendered;
	chat_text_release(&text);
}

TEST(Chat, RendersAsTheModelsTemplate)
{
	size_t rendered = 0, refused = 0;

	for (const std::string &line : golden_lines()) {
		Family family(line);
		for (size_t i = 0; i < family.n; i++)
			check_case(family, Case(json_at(family.cases, i)), &rendered, &refused);
	}
	EXPECT_GE(rendered, 150u);
	EXPECT_GE(refused, 10u);
}

void check_answers(const Family &family, const Case &c, size_t *answers)
{
	struct chat_text text;
	size_t last = 0, k = 0;

	if (chat_render(&text, &family.chat, c.messages.data(), c.messages.size(), c.prompt, nullptr))
		return;
	std::string all(text.bytes, text.n);
	for (size_t i = 0; i < c.words.size(); i += 2) {
		if (c.words[i] != "assistant")
			continue;
		ASSERT_LT(k, text.n_answers);
		const struct chat_span &span = text.answers[k++];
		std::string content = all.substr(span.begin, span.end - span.begin);
		std::string mark = all.substr(span.end, span.stop - span.end);
		EXPECT_LE(last, span.begin);
		EXPECT_LE(span.stop, text.n);
		last = span.stop;
		EXPECT_NE(c.words[i + 1].find(content), std::string::npos) << all;
		if (family.name != "llama2" && family.name != "llama3") {
			EXPECT_EQ(content, c.words[i + 1]);
		}
		EXPECT_EQ(mark, (family.name == "llama2" ? " " : "") + std::string(family.chat.eos)) << all;
		++*answers;
	}
	EXPECT_EQ(k, text.n_answers);
	chat_text_release(&text);
}

TEST(Chat, MarksEveryAnswer)
{
	size_t answers = 0;

	for (const std::string &line : golden_lines()) {
		Family family(line);
		for (size_t i = 0; i < family.n; i++)
			check_answers(family, Case(json_at(family.cases, i)), &answers);
	}
	EXPECT_GE(answers, 100u);
}

struct Template {
	const char *text;
	const char *family; /* NULL: refused */
};

/* Meta's template of Llama 2, but for most of its system message and what it says to turns out of order. */
#define LLAMA2(condition)                                                                                              \
	"{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"                               \
	"{% set system_message = messages[0]['content'] %}{% " condition " %}{% set loop_messages = messages %}"       \
	"{% set system_message = 'You are a helpful, respectful and honest assistant.' %}{% else %}"                   \
	"{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"                                \
	"{% for message in loop_messages %}{% if loop.index0 == 0 and system_message != false %}"                      \
	"{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}"       \
	"{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"                          \
	"{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'system' %}"             \
	"{{ '<<SYS>>\\n' + content.strip() + '\\n<</SYS>>\\n\\n' }}{% elif message['role'] == 'assistant' %}"          \
	"{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"

/* The turns of a template, and what stands in them that makes it another one. */
#define EACH(turn) "{% for message in messages %}" turn "{% endfor %}"
#define CHATML     EACH("{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}")
#define BY_ROLE(answer)                                                                                                \
	EACH("{% if message['role']=='user' %}{{'<|im_start|>user\n' + message['content'] + '<|im_end|>\n'}}"          \
	     "{% elif message['role']=='assistant' %}{{'" answer "\n' + message['content'] + '<|im_end|>\n' }}"        \
	     "{% else %}{{ '<|im_start|>system\n' + message['content'] + '<|im_end|>\n' }}{% endif %}")                \
	"{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
#define LLAMA3                                                                                                         \
	"{{ bos_token }}" EACH("{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ "                \
			       "message['content'] | trim + '<|eot_id|>' }}")
#define ZEPHYR(user, last)                                                                                             \
	EACH("\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + " user " }}\n"              \
	     "{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + " user " }}\n"          \
	     "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n"  \
	     "{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}" last "{% endif %}\n")
#define MISTRAL(user, answer)                                                                                          \
	"{{ bos_token }}" EACH("{% if message['role'] == 'user' %}{{ " user " }}{% elif message['role'] == "           \
			       "'assistant' %}{{ " answer " }}{% endif %}")
#define QWEN3(end)                                                                                                     \
	EACH("\n    {%- if message.content is string %}\n        {%- set content = message.content %}\n"               \
	     "    {%- endif %}\n    {%- if message.role == \"user\" %}\n"                                              \
	     "        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}\n"                 \
	     "    {%- else %}\n        {{- '<|im_start|>' + message.role + '\\n' + content }}\n"                       \
	     "        {%- if message.tool_calls %}\n            {{- message.tool_calls }}\n        {%- endif %}\n"     \
	     "        {{- '<|im_end|>" end "' }}\n    {%- endif %}\n")

const Template templates[] = {
	{"", nullptr},
	{"{{ messages }}", nullptr},
	{"<|im_start|>", nullptr},
	{"<|im_start|><|im_end|>", nullptr},
	{CHATML, "chatml"},
	{CHATML "{{ '<think>' }}", nullptr},
	{"{{ bos_token }}" CHATML, nullptr},
	{CHATML "{{ message.content | trim }}", nullptr},
	/* other spellings of the same */
	{EACH("{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"), "chatml"},
	{EACH("{{ \"<|im_start|>\" ~ message[\"role\"] }}{# role #}{{ '\\n' ~ message.content ~ '<|im_end|>\\n' }}"),
	 "chatml"},
	{EACH("<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"), "chatml"},
	{EACH("\n    {{- '<|im_start|>' + message.role }}\n{{ message.content -}}\n  <|im_end|>\n    "), "chatml"},
	{BY_ROLE("<|im_start|>assistant"), "chatml"},
	{BY_ROLE("<|im_start|>model"), nullptr},
	{QWEN3("\\n"), "chatml"},
	{QWEN3(""), nullptr},
	/* what these do, the table does not: no line break, none behind the last turn, another mark, two line breaks */
	{EACH("{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}"), nullptr},
	{EACH("{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] }}"
	      "{% if (loop.last and add_generation_prompt) or not loop.last %}{{ '<|im_end|>' + '\\n'}}{% endif %}"),
	 nullptr},
	{EACH("{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] + '<|im_end|>' }}"), nullptr},
	{EACH("{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}\n"), nullptr},
	{LLAMA3, "llama3"},
	{LLAMA3 "Cutting Knowledge Date: 2023", nullptr},
	{"{{ bos_token }}" EACH("{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>' + "
				"message['content'] | trim + '<|eot_id|>' }}"),
	 nullptr},
	{ZEPHYR("eos_token", "\n"), "zephyr"},
	{ZEPHYR("eos_token", ""), nullptr},
	{ZEPHYR("eos_token", "\n") "<|end|>", nullptr},
	{ZEPHYR("'\\n'", "\n"), nullptr}, /* Tulu's: user turns without the end token */
	{MISTRAL("'[INST] ' + message['content'] + ' [/INST]'", "message['content'] + eos_token"), "mistral"},
	{MISTRAL("'[INST] ' + message['content'] + ' [/INST]'", "message['content'] + eos_token + ' '"), nullptr},
	{MISTRAL("'[INST] ' + message['content'] + '[/INST]'", "message['content'] + eos_token"), nullptr},
	/* what stands in front of the join makes another one, too */
	{MISTRAL("'[INST] ' + message['content'] + ' [/INST]'", "' ' + message['content'] + eos_token"), nullptr},
	{MISTRAL("bos_token + '[INST] ' + message['content'] + ' [/INST]'", "message['content'] + eos_token"), nullptr},
	/* a system message of the template's own, in a variable or a literal, or one printed without its marks */
	{"{% set system_message = 'Be short.' %}" CHATML, nullptr},
	{"{%- set system_message = \"Be short.\" %}" CHATML, nullptr},
	{"{% set system_message = x if x else 'Be short.' %}" CHATML, nullptr},
	{"{% set system_message = messages[0].content %}{{ '<|im_start|>system\\n' + system_message + '<|im_end|>\\n' "
	 "}}" CHATML,
	 "chatml"},
	{"{% set s = 'Be short.' %}{{ '<|im_start|>system\\n' + s + '<|im_end|>\\n' }}" CHATML, nullptr},
	{"{{ '<|im_start|>system\\n' }}{% if s %}{{ s }}{% endif %}{{ '<|im_end|>\\n' }}" CHATML, nullptr},
	{"{%- if tools %}\n  {{- '<|im_start|>system\\n' }}\n  {%- if s %}\n    {{- s }}\n  {%- endif %}\n"
	 "  {{- '<|im_end|>\\n' }}\n{%- endif %}\n" CHATML,
	 "chatml"},
	{"{% set system_message = messages[0]['content'] %}{{ system_message }}" CHATML, nullptr},
	{"{{ '<|start_header_id|>system<|end_header_id|>\\n\\nBe short.<|eot_id|>' }}" LLAMA3, nullptr},
	{"{{ '<|start_header_id|>system<|end_header_id|>\\n\\n' + s + '<|eot_id|>' }}" LLAMA3, nullptr},
	{"{{ '<|start_header_id|>system<|end_header_id|>\\n\\n' + messages[0].content | trim + '<|eot_id|>' }}" LLAMA3,
	 "llama3"},
	{"{{ '<|system|>\nBe short.' + eos_token }}" ZEPHYR("eos_token", "\n"), nullptr},
	{LLAMA2("elif false == true and not '<<SYS>>' in messages[0]['content']"), "llama2"},
	{LLAMA2("elif true == true and not '<<SYS>>' in messages[0]['content']"), nullptr},
	{LLAMA2("elif false"), nullptr},
};

TEST(Chat, RecognisesOnlyWhatTheTableDoes)
{
	for (const Template &t : templates) {
		struct err err = {};
		enum chat_family family = CHAT_NONE;
		char *system = nullptr;
		int result = chat_recognise(&family, &system, t.text, &err);
		EXPECT_EQ(result, t.family ? 0 : -1) << t.text;
		if (t.family) {
			EXPECT_STREQ(chat_family_name(family), t.family) << t.text;
		} else {
			EXPECT_EQ(err.code, ERR_CONFIG);
			EXPECT_NE(strstr(err.message, "set chat_template to"), nullptr) << err.message;
		}
		free(system);
	}
}

TEST(Chat, TakesTheDefaultSystemMessageAsJinjaReadsIt)
{
	const struct {
		const char *text, *system;
	} cases[] = {
		{"", nullptr},
		{"{{ '<|im_start|>system\\nBe short.<|im_end|>\\n' }}", "Be short."},
		{"{{ '<|im_start|>system\nBe short.<|im_end|>\n' }}", "Be short."},
		{"<|im_start|>system\nBe short.<|im_end|>\n", "Be short."},
		{"<|im_start|>system\nYou're a\\nb.<|im_end|>\n", "You're a\\nb."},
		{"{{ '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}", nullptr},
		{"{{ '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}{% else %}"
		 "{{ '<|im_start|>system\\nB<|im_end|>\\n' }}",
		 "B"},
		{"{{ '<|im_start|>system\\nB<|im_end|>\\n' }}{% if x %}{{ \"<|im_start|>system\nB<|im_end|>\n\" }}",
		 "B"},
		{"{{ '<|im_start|>system\\n' + 'A' + '<|im_end|>\\n' }}", "A"},
		{"{{ '<|im_start|>system\\nanswer within \\\\boxed{}.<|im_end|>\\n' }}", "answer within \\boxed{}."},
		{"{{ \"<|im_start|>system\\nYou're C++.<|im_end|>\\n\" }}", "You're C++."},
		{"{{ '<|im_start|>system\\nYou\\'re \"a\"\\n\\tb.<|im_end|>\\n' }}", "You're \"a\"\n\tb."},
		{"{{ '<|im_start|>system\\n\"a\"<|im_end|>\\n' }}", "\"a\""},
		{"{{ '<|im_start|>system\\n\\n a<|im_end|>\\n' }}", "\n a"},
		{"{{ '<|im_start|>system\\n<|im_end|>\\n' }}", ""},
	};

	for (const auto &c : cases) {
		enum chat_family family;
		char *system = nullptr;
		struct err err = {};
		ASSERT_EQ(chat_recognise(&family, &system, (c.text + std::string(CHATML)).c_str(), &err), 0)
			<< c.text << err.message;
		EXPECT_STREQ(system, c.system) << c.text;
		free(system);
	}
}

TEST(Chat, RefusesADefaultSystemMessageThatItCannotRead)
{
	for (const char *text : {
		     "<|im_start|>system\n{{ x }}<|im_end|>\n",
		     "{{ '<|im_start|>system\\n' + x + '<|im_end|>\\n' }}",
		     "{{ '<|im_start|>system' ~ x ~ '<|im_end|>\\n' }}",
		     "{{ '<|im_start|>system <|im_end|>\\n' }}",
		     "{{ '<|im_start|>system\\nA' + x + '<|im_end|>\\n' }}",
		     "{{ '<|im_start|>system\\nA<|im_end|>' }}",
		     "{{ '<|im_start|>system\\n\\x41<|im_end|>\\n' }}",
		     "{{ '<|im_start|>system\\nA\r\nB<|im_end|>\\n' }}",
		     "{{ '<|im_start|>system\\nA<|im_end|>\\n' }}{% if x %}{{ '<|im_start|>system\\nB<|im_end|>\\n' }}",
	     }) {
		enum chat_family family;
		char *system = nullptr;
		struct err err = {};
		EXPECT_EQ(chat_recognise(&family, &system, (text + std::string(CHATML)).c_str(), &err), -1) << text;
		EXPECT_EQ(err.code, ERR_CONFIG);
		EXPECT_NE(strstr(err.message, "set chat_template to"), nullptr) << err.message;
		free(system);
	}
}

/* A template that ends anywhere is read to its end and no further. */
TEST(Chat, ReadsTemplatesThatBreakOff)
{
	const std::string text = "<|im_start|>system\nA{# b -#} {%- if x['y'] == \"\\n\" -%} {{- 'c' ~ d -}} \n" CHATML
				 "{{ '<|im_start|>system\\nA\\x<|im_end|>\\n' }}";

	for (size_t n = 0; n <= text.size(); n++) {
		enum chat_family family;
		char *system = nullptr;
		struct err err = {};
		std::vector<char> part(text.begin(), text.begin() + (std::ptrdiff_t)n);
		part.push_back('\0');
		EXPECT_EQ(chat_recognise(&family, &system, part.data(), &err), -1) << n;
		EXPECT_EQ(err.code, ERR_CONFIG);
		free(system);
	}
}

const char tokenizer_json[] = R"({"added_tokens":[],"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}})";

TEST(Chat, IsChosenByName)
{
	struct err err = {};
	struct tokenizer *tok = tokenizer_parse(tokenizer_json, sizeof tokenizer_json - 1, &err);
	struct chat chat;
	struct chat_text text;
	struct chat_message message = {"user", "x", 1};

	ASSERT_NE(tok, nullptr) << err.message;
	ASSERT_EQ(chat_init(&chat, tok, "chatml", &err), 0) << err.message;
	EXPECT_EQ(chat.family, CHAT_CHATML);
	chat_release(&chat);
	/* llama3 writes bos, which this tokenizer does not have */
	EXPECT_EQ(chat_init(&chat, tok, "llama3", &err), -1);
	EXPECT_EQ(err.code, ERR_CONFIG);
	EXPECT_EQ(chat_init(&chat, tok, "vicuna", &err), -1);
	EXPECT_NE(strstr(err.message, "'vicuna'"), nullptr) << err.message;
	/* no template: none, which renders nothing */
	ASSERT_EQ(chat_init(&chat, tok, nullptr, &err), 0);
	EXPECT_EQ(chat.family, CHAT_NONE);
	EXPECT_EQ(chat_render(&text, &chat, &message, 1, false, &err), -1);
	EXPECT_EQ(err.code, ERR_CONFIG);
	chat_release(&chat);
	tokenizer_free(tok);
}

TEST(Chat, RefusesMessagesThatAreNone)
{
	struct chat chat = {CHAT_CHATML, strdup(""), strdup(""), nullptr};
	const struct {
		struct chat_message message;
		const char *rule;
	} cases[] = {
		{{"tool", "x", 1}, "message 0: unknown role 'tool'"},
		{{"user", "a\xFF", 2}, "message 0: byte 1 is not UTF-8"},
	};
	struct chat_text text;
	struct err err = {};

	for (const auto &c : cases) {
		EXPECT_EQ(chat_render(&text, &chat, &c.message, 1, false, &err), -1);
		EXPECT_EQ(err.code, ERR_DATA);
		EXPECT_NE(strstr(err.message, c.rule), nullptr) << err.message;
	}
	EXPECT_EQ(chat_render(&text, &chat, nullptr, 0, false, &err), -1);
	const struct chat_message folded[] = {{"system", "\xFF", 1}, {"user", "x", 1}};
	chat.family = CHAT_LLAMA2;
	EXPECT_EQ(chat_render(&text, &chat, folded, 2, false, &err), -1);
	EXPECT_NE(strstr(err.message, "message 0: "), nullptr) << err.message;
	chat_release(&chat);
}

} // namespace
