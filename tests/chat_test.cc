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

const Template templates[] = {
	{"", nullptr},
	{"{{ messages }}", nullptr},
	{"<|im_start|>", nullptr},
	{"<|im_start|><|im_end|>", "chatml"},
	{"<|im_start|><|im_end|>{{ '<think>' }}", nullptr},
	{"{{ bos_token }}<|im_start|><|im_end|>", nullptr},
	{"<|im_start|>{{ message.content | trim }}<|im_end|>", nullptr},
	{"<|start_header_id|><|end_header_id|>{{ bos_token }}{{ c | trim }}<|eot_id|>", "llama3"},
	{"<|start_header_id|><|end_header_id|>{{ bos_token }}{{ c | trim }}<|eot_id|>Cutting Knowledge Date: 2023",
	 nullptr},
	{"<|system|><|user|><|assistant|>{{ eos_token }}", "zephyr"},
	{"<|system|><|user|><|assistant|><|end|>{{ eos_token }}", nullptr},
	{"{{ bos_token }}{{ '[INST] ' + message['content'] + ' [/INST]' }}{{ message['content'] + eos_token }}",
	 "mistral"},
	{"{{ bos_token }}{{ '[INST] ' + message['content'] + ' [/INST]' }}{{ message['content'] + eos_token + ' ' }}",
	 nullptr},
	{"{{ bos_token }}{{ '[INST] ' + message['content'] + '[/INST]' }}{{ message['content'] + eos_token }}",
	 nullptr},
	/* a system message of the template's own, in a variable or a literal, or one printed without its marks */
	{"{% set system_message = 'Be short.' %}<|im_start|><|im_end|>", nullptr},
	{"{%- set system_message = \"Be short.\" %}<|im_start|><|im_end|>", nullptr},
	{"{% set system_message = messages[0].content %}{{ '<|im_start|>system\\n' + system_message + '<|im_end|>' }}",
	 "chatml"},
	{"{% set system_message = messages[0]['content'] %}{{ system_message }}<|im_start|><|im_end|>", nullptr},
	{"{{ '<|start_header_id|>system<|end_header_id|>\\n\\nBe short.<|eot_id|>' }}{{ bos_token }}{{ c | trim }}",
	 nullptr},
	{"{{ '<|start_header_id|>system<|end_header_id|>\\n\\n' + c | trim + '<|eot_id|>' }}{{ bos_token }}", "llama3"},
	{"{{ '<|system|>\nBe short.' + eos_token }}<|user|><|assistant|>", nullptr},
	{"{{ '<|system|>\n' + message['content'] + eos_token }}<|user|><|assistant|>", "zephyr"},
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
		{"'<|im_start|>system\\nBe short.<|im_end|>\\n'", "Be short."},
		{"'<|im_start|>system\nBe short.<|im_end|>\n'", "Be short."},
		{"<|im_start|>system\nBe short.<|im_end|>\n", "Be short."},
		{"'<|im_start|>system\\n' + x + '<|im_end|>'", nullptr},
		{"'<|im_start|>system' ~ x ~ '<|im_end|>'", nullptr},
		{"'<|im_start|>system\\n' + x; '<|im_start|>system\\nB<|im_end|>'", "B"},
		{"'<|im_start|>system\\nB<|im_end|>'; \"<|im_start|>system\nB<|im_end|>\"", "B"},
		{"'<|im_start|>system\\nanswer within \\\\boxed{}.<|im_end|>\\n'", "answer within \\boxed{}."},
		{"\"<|im_start|>system\\nYou're C++.<|im_end|>\\n\"", "You're C++."},
		{"'<|im_start|>system\\nYou\\'re \"a\"\\n\\tb.<|im_end|>\\n'", "You're \"a\"\n\tb."},
		{"'<|im_start|>system\\n\"a\"<|im_end|>'", "\"a\""},
		{"'<|im_start|>system\\n\\n a<|im_end|>'", "\n a"},
		{"'<|im_start|>system\\n<|im_end|>'", ""},
	};

	for (const auto &c : cases) {
		enum chat_family family;
		char *system = nullptr;
		struct err err = {};
		ASSERT_EQ(chat_recognise(&family, &system, c.text, &err), 0) << c.text << err.message;
		EXPECT_STREQ(system, c.system) << c.text;
		free(system);
	}
}

TEST(Chat, RefusesADefaultSystemMessageThatItCannotRead)
{
	for (const char *text : {
		     "'<|im_start|>system\\n{{ x }}<|im_end|>'",
		     "<|im_start|>system\n{{ x }}<|im_end|>",
		     "<|im_start|>system\nYou're<|im_end|>",
		     "<|im_start|>system\na\\nb<|im_end|>",
		     "'<|im_start|>system <|im_end|>'",
		     "'<|im_start|>system\\nA' + x + '<|im_end|>'",
		     "'<|im_start|>system\\n' + 'A' + '<|im_end|>'",
		     "'<|im_start|>system\\n\\x41<|im_end|>'",
		     "'<|im_start|>system\\nA\r\nB<|im_end|>'",
		     "'<|im_end|><|im_start|>system\\nA",
		     "'<|im_end|><|im_start|>system\\nA\\",
		     "'<|im_start|>system\\nA<|im_end|>'; '<|im_start|>system\\nB<|im_end|>'",
	     }) {
		enum chat_family family;
		char *system = nullptr;
		struct err err = {};
		EXPECT_EQ(chat_recognise(&family, &system, text, &err), -1) << text;
		EXPECT_EQ(err.code, ERR_CONFIG);
		EXPECT_NE(strstr(err.message, "set chat_template to"), nullptr) << err.message;
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
