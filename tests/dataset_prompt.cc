// SPDX-License-Identifier: Apache-2.0
// Prompt templates: what is built in, what is refused, and what rendering does to the text of a slot.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "src/dataset/prompt.h"
#include "tests/temporary.h"

namespace
{

std::string template_file(int type, int kind)
{
	const char *root = getenv("TEST_SRCDIR");
	return std::string(root ? root : ".") + "/data/prompts/" + answer_type_names[type] + "/" +
	       prompt_file_names[kind];
}

std::string taken(char *text)
{
	std::string copy = text ? text : "(failed)";
	free(text);
	return copy;
}

struct Prompts {
	prompts set;
	struct err err = {};
	int rc;

	explicit Prompts(answer_type type, const char *directory = nullptr)
	{
		rc = prompts_load(&set, type, directory, &err);
	}
	~Prompts()
	{
		prompts_release(&set);
	}
	std::string render(prompt_kind kind, const prompt_values &values)
	{
		return taken(prompt_render(&set, kind, &values, &err));
	}
};

prompt_values all_values()
{
	prompt_values values = {};
	const char *texts[PROMPT_SLOTS] = {"INPUT", "LABEL", "DOMAIN", "DOMAINS", "DEMONSTRATIONS", "CHOICES"};
	for (int i = 0; i < PROMPT_SLOTS; i++)
		values.slot[i] = texts[i];
	return values;
}

TEST(Prompt, BuiltInIsWhatTheFilesSay)
{
	for (int type = 0; type < ANSWER_TYPES; type++)
		for (int kind = 0; kind < PROMPT_KINDS; kind++) {
			std::string file = read_file(template_file(type, kind));
			EXPECT_GT(file.size(), 100u) << template_file(type, kind);
			EXPECT_EQ(file, prompt_builtin((answer_type)type, (prompt_kind)kind))
				<< template_file(type, kind);
		}
}

TEST(Prompt, FilesAndBuiltInRenderAlike)
{
	for (int type = 0; type < ANSWER_TYPES; type++) {
		Prompts builtin((answer_type)type);
		ASSERT_EQ(0, builtin.rc) << builtin.err.message;
		std::string file = template_file(type, 0);
		Prompts files((answer_type)type, file.substr(0, file.rfind('/')).c_str());
		ASSERT_EQ(0, files.rc) << files.err.message;
		for (int kind = 0; kind < PROMPT_KINDS; kind++) {
			std::string text = builtin.render((prompt_kind)kind, all_values());
			EXPECT_EQ(text, files.render((prompt_kind)kind, all_values()));
			EXPECT_EQ(std::string::npos, text.find('{')) << text;
			EXPECT_EQ(std::string::npos, text.find("SPDX")) << text;
		}
	}
}

TEST(Prompt, HidesTheGoldAnswerWhereItMustBeHidden)
{
	for (int type = 0; type < ANSWER_TYPES; type++) {
		Prompts set((answer_type)type);
		for (prompt_kind kind : {PROMPT_ANNOTATE, PROMPT_STUDENT}) {
			std::string text = set.render(kind, all_values());
			EXPECT_NE(std::string::npos, text.find("INPUT"));
			EXPECT_EQ(std::string::npos, text.find("LABEL"));
		}
		EXPECT_NE(std::string::npos, set.render(PROMPT_ANNOTATE_GOLD, all_values()).find("LABEL"));
		EXPECT_NE(std::string::npos, set.render(PROMPT_SYNTHESISE, all_values()).find("DEMONSTRATIONS"));
	}
}

TEST(Prompt, StudentRowsShareTheirPrefix)
{
	for (int type = 0; type < ANSWER_TYPES; type++) {
		Prompts set((answer_type)type);
		prompt_values one = all_values(), two = one;
		two.slot[SLOT_INPUT] = "other";
		two.slot[SLOT_DOMAIN] = two.slot[SLOT_CHOICES] = two.slot[SLOT_LABEL] = "else";
		std::string a = set.render(PROMPT_STUDENT, one), b = set.render(PROMPT_STUDENT, two);
		size_t shared = a.find("INPUT");
		EXPECT_GT(shared, 50u);
		EXPECT_EQ(a.substr(0, shared), b.substr(0, shared));
		EXPECT_EQ(shared, b.find("other"));
	}
}

// A user's directory: the built-in files with one replaced.
struct Directory {
	Temporary dir;
	answer_type type;

	explicit Directory(answer_type type) : type(type)
	{
		for (int kind = 0; kind < PROMPT_KINDS; kind++)
			write_file(dir / prompt_file_names[kind], prompt_builtin(type, (prompt_kind)kind));
	}
	std::string failure(prompt_kind kind, const std::string &text)
	{
		write_file(dir / prompt_file_names[kind], text);
		Prompts set(type, dir.path.c_str());
		EXPECT_EQ(-1, set.rc);
		EXPECT_EQ(ERR_CONFIG, set.err.code);
		std::string message = set.err.message;
		EXPECT_EQ(0u, message.find(dir.path + "/")) << message;
		return message.substr(dir.path.size() + 1);
	}
};

TEST(Prompt, RefusesSlotsByFileAndLine)
{
	Directory user(ANSWER_CLASS);
	EXPECT_EQ("annotate.txt:3: unknown slot '{text}'; slots are input, label, domain, domains, demonstrations and "
		  "choices "
		  "({{...}} for braces as text)",
		  user.failure(PROMPT_ANNOTATE, "# SPDX-License-Identifier: MIT\n{domains}\n{text}{input}"));
	EXPECT_EQ("annotate.txt:2: the template ends without slot '{input}', which it must have",
		  user.failure(PROMPT_ANNOTATE, "a\n{domains}"));
	EXPECT_EQ("annotate.txt:2: slot '{label}' has no place in this template; take it out",
		  user.failure(PROMPT_ANNOTATE, "{input}{domains}\n{label}"));
	EXPECT_EQ("annotate.txt:1: slot '{domain}' has no place in this template; take it out",
		  user.failure(PROMPT_ANNOTATE, "{domain}{input}{domains}"));
	EXPECT_EQ("annotate.txt: byte 1 is not UTF-8 text; convert the file",
		  user.failure(PROMPT_ANNOTATE, "a\xff{input}"));
	EXPECT_EQ("annotate.txt: byte 1 is not UTF-8 text; convert the file",
		  user.failure(PROMPT_ANNOTATE, std::string("a\0{input}{domains}", 19)));
	EXPECT_EQ("annotate.txt:1: the template ends without slot '{input}', which it must have",
		  user.failure(PROMPT_ANNOTATE, ""));
}

TEST(Prompt, RefusesAStudentPrefixThatDiffersFromRowToRow)
{
	Directory user(ANSWER_MATH);
	EXPECT_EQ("student.txt:2: slot '{domain}' stands before '{input}'; the student's rows share what stands there, "
		  "put it behind",
		  user.failure(PROMPT_STUDENT, "Solve.\n{domain} {input}"));
	write_file(user.dir / "student.txt", "Solve ({domains}). {input} {domain}");
	Prompts set(ANSWER_MATH, user.dir.path.c_str());
	EXPECT_EQ(0, set.rc) << set.err.message;
}

TEST(Prompt, RefusesADirectoryThatLacksATemplate)
{
	Directory user(ANSWER_QA);
	std::filesystem::remove(user.dir / "student.txt");
	Prompts set(ANSWER_QA, user.dir.path.c_str());
	EXPECT_EQ(-1, set.rc);
	EXPECT_EQ(ERR_NOINPUT, set.err.code);
	EXPECT_NE(nullptr, strstr(set.err.message, "student.txt")) << set.err.message;
}

TEST(Prompt, PutsValuesInAsTheyAre)
{
	Directory user(ANSWER_MATH);
	write_file(user.dir / "annotate.txt", "{\"a\": 1} \\frac{1}{2} {{input}} {input}{input}{domain}{ x }{A}");
	Prompts set(ANSWER_MATH, user.dir.path.c_str());
	ASSERT_EQ(0, set.rc) << set.err.message;
	prompt_values values = {};
	values.slot[SLOT_INPUT] = "{domain} {{input}} {";
	values.slot[SLOT_DOMAIN] = "input}";
	std::string expected = "{\"a\": 1} \\frac{1}{2} {input} {domain} {{input}} {{domain} {{input}} {input}{ x }{A}";
	EXPECT_EQ(expected, set.render(PROMPT_ANNOTATE, values));
	EXPECT_EQ(expected, set.render(PROMPT_ANNOTATE, values));
	values.slot[SLOT_DOMAIN] = nullptr;
	EXPECT_EQ("(failed)", set.render(PROMPT_ANNOTATE, values));
	EXPECT_STREQ("slot '{domain}' of 'annotate.txt' has no value", set.err.message);
}

TEST(Prompt, BuildsTheValuesOfSlots)
{
	struct err err;
	const char *names[] = {"acq", "earn"};
	std::vector<const char *> many(28, "x");
	EXPECT_EQ("acq, earn", taken(prompt_domains(names, 2, &err)));
	EXPECT_EQ("", taken(prompt_domains(names, 0, &err)));
	EXPECT_EQ("A. acq\nB. earn", taken(prompt_choices(names, 2, &err)));
	std::string list = taken(prompt_choices(many.data(), many.size(), &err));
	EXPECT_EQ("Z. x\n27. x\n28. x", list.substr(list.find('Z')));
	prompt_demonstration shown[] = {{"one", "a", "because", nullptr}, {"two", "B", nullptr, "A. x\nB. y"}};
	EXPECT_EQ("Input: one\nRationale: because\nAnswer: a\n\nInput: two\nChoices:\nA. x\nB. y\nAnswer: B",
		  taken(prompt_demonstrations(shown, 2, &err)));
}

} // namespace
