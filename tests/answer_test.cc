// SPDX-License-Identifier: Apache-2.0
// Answers out of free text: a table of cases (answer_cases.jsonl), and the laws that hold for any text.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "src/dataset/answer.h"
#include "src/dataset/rows.h"

namespace
{

std::string here(const std::string &name)
{
	const char *root = getenv("TEST_SRCDIR");
	return std::string(root ? root : ".") + "/tests/" + name;
}

const std::vector<const char *> topics = {"acq",      "alum",     "cpi",          "crude",   "earn", "gas",    "gold",
					  "interest", "money-fx", "money-supply", "nat-gas", "tin",  "veg-oil"};
const std::vector<const char *> choices = {"a dog", "the cat", "vitamin C", "London", "no"};

std::string text_of(json_value value)
{
	const char *text = nullptr;
	size_t n = 0;
	struct err err;
	EXPECT_EQ(0, json_opt_string(value, nullptr, &text, &n, &err)) << err.message;
	return text ? std::string(text, n) : std::string();
}

/* The task of a row: its own names, or those of the type. */
struct Task {
	std::vector<const char *> names;
	answer_task task;

	explicit Task(json_value row)
	{
		struct err err = {};
		size_t n = 0;
		task = {};
		EXPECT_EQ(0, answer_type_parse(&task.type, text_of(json_in(row, "type")).c_str(), &err)) << err.message;
		if (task.type == ANSWER_CLASS)
			names = topics;
		if (task.type == ANSWER_CHOICE)
			names = choices;
		if (json_kind(json_in(row, "names")) == JSON_ARRAY) {
			EXPECT_EQ(0, json_get_length(json_in(row, "names"), &n, &err));
			names.assign(n, nullptr);
			for (size_t i = 0; i < n; i++)
				EXPECT_EQ(0,
					  json_get_string(json_at(json_in(row, "names"), i), &names[i], nullptr, &err));
		}
		task.names = names.data();
		task.n = names.size();
	}
};

std::string found(const answer &answer)
{
	return answer.found ? std::string(answer.span.text, answer.span.n) : "(none)";
}

std::string normal(const std::string &text)
{
	struct err err;
	char *out = answer_math_normal(text.data(), text.size(), &err);
	std::string copy = out ? out : "(failed)";
	free(out);
	return copy;
}

double score_of(const answer_task &task, const answer &answer, const std::string &label)
{
	struct err err;
	double score = -1;
	EXPECT_EQ(0, answer_score(&score, &task, &answer, label.data(), label.size(), &err));
	return score;
}

void check_equal(json_value row, const std::string &where)
{
	std::string a = text_of(json_in(row, "a")), b = text_of(json_in(row, "b"));
	bool equal = false;
	struct err err;
	ASSERT_EQ(0, json_get_bool(json_in(row, "equal"), &equal, &err));
	std::string x = normal(a), y = normal(b);
	EXPECT_EQ(equal, answer_math_equal(x.c_str(), y.c_str())) << where << ": " << x << " | " << y;
	EXPECT_EQ(equal, answer_math_equal(y.c_str(), x.c_str())) << where;
	EXPECT_EQ(x, normal(x)) << where << ": a normal form is its own";
}

void check_extract(json_value row, const std::string &where)
{
	Task t(row);
	std::string text = text_of(json_in(row, "text")), gold = text_of(json_in(row, "gold"));
	answer answer;
	if (json_kind(json_in(row, "gold")) == JSON_STRING)
		answer_gold(&answer, &t.task, gold.data(), gold.size());
	else
		answer_extract(&answer, &t.task, text.data(), text.size());
	if (json_kind(json_in(row, "score")) != JSON_ABSENT) {
		double score = 0;
		struct err err;
		ASSERT_EQ(0, json_get_double(json_in(row, "score"), &score, &err));
		EXPECT_DOUBLE_EQ(score, score_of(t.task, answer, text_of(json_in(row, "label")))) << where;
		return;
	}
	std::string wanted = json_kind(json_in(row, "found")) == JSON_NULL ? "(none)" : text_of(json_in(row, "found"));
	EXPECT_EQ(wanted, found(answer)) << where << ": " << text << gold;
}

TEST(AnswerTable, EveryCase)
{
	struct err err;
	rows rows;
	std::string path = here("answer_cases.jsonl");
	ASSERT_EQ(0, rows_load(&rows, path.c_str(), &err)) << err.message;
	EXPECT_GE(rows.n, 200u);
	for (size_t i = 0; i < rows.n; i++) {
		json_value row = json_root(rows.row[i].doc);
		std::string where = "line " + std::to_string(rows.row[i].line);
		if (json_kind(json_in(row, "a")) == JSON_STRING)
			check_equal(row, where);
		else
			check_extract(row, where);
	}
	rows_release(&rows);
}

answer extract(answer_type type, const std::vector<const char *> &names, const std::string &text)
{
	answer_task task = {type, names.data(), names.size()};
	answer answer;
	answer_extract(&answer, &task, text.data(), text.size());
	return answer;
}

TEST(Answer, KnowsItsTypes)
{
	struct err err;
	answer_type type;
	for (int i = 0; i < ANSWER_TYPES; i++) {
		ASSERT_EQ(0, answer_type_parse(&type, answer_type_names[i], &err));
		EXPECT_EQ(i, type);
	}
	EXPECT_EQ(-1, answer_type_parse(&type, "maths", &err));
	EXPECT_EQ(ERR_CONFIG, err.code);
	EXPECT_STREQ("unknown task type 'maths'; it is classification, multiple_choice, math or qa", err.message);
}

TEST(Answer, TakesBytesThatAreNoUtf8)
{
	EXPECT_EQ("earn", found(extract(ANSWER_CLASS, topics, "\xff the answer is \xc3\x28 earn\xfe.")));
	EXPECT_EQ("earn", found(extract(ANSWER_CLASS, topics,
					"\xe2\x80"
					"earn\xf0\x9f")));
	EXPECT_EQ("tin", found(extract(ANSWER_CLASS, topics, std::string("the answer is\0tin\0.", 19))));
	EXPECT_EQ("(none)", found(extract(ANSWER_CLASS, topics, "\xc3")));
	EXPECT_EQ("\xff", found(extract(ANSWER_QA, {}, " \xff ")));
	EXPECT_EQ("3", found(extract(ANSWER_MATH, {},
				     "\xff"
				     "3\xfe")));
	EXPECT_EQ("5\xff", normal(" 5\xff "));
}

TEST(Answer, ScoresNamesAsRightOrWrong)
{
	answer_task task = {ANSWER_CLASS, topics.data(), topics.size()};
	EXPECT_EQ(1, score_of(task, extract(ANSWER_CLASS, topics, "The answer is gas."), "gas"));
	EXPECT_EQ(0, score_of(task, extract(ANSWER_CLASS, topics, "The answer is gas."), "nat-gas"));
	EXPECT_EQ(0, score_of(task, extract(ANSWER_CLASS, topics, "none"), "gas"));
	EXPECT_EQ(0, score_of(task, extract(ANSWER_CLASS, topics, "The answer is gas."), "unknown"));
	answer_task math = {ANSWER_MATH, nullptr, 0};
	EXPECT_EQ(1, score_of(math, extract(ANSWER_MATH, {}, "The answer is $\\frac12$."), "0.5"));
	EXPECT_EQ(0, score_of(math, extract(ANSWER_MATH, {}, "The answer is 2."), "3"));
	EXPECT_EQ(0, score_of(math, extract(ANSWER_MATH, {}, ""), "3"));
}

std::string closed(const std::string &rationale, const std::string &answer)
{
	struct err err;
	char *out = answer_close(rationale.data(), rationale.size(), {answer.data(), answer.size()}, &err);
	std::string copy = out ? out : "(failed)";
	free(out);
	return copy;
}

TEST(Answer, ClosesARationaleOnce)
{
	EXPECT_EQ("It earns. The answer is earn.", closed("It earns.", "earn"));
	EXPECT_EQ("It earns.\nThe answer is earn.", closed("It earns.\n", "earn"));
	EXPECT_EQ("The answer is earn.", closed("", "earn"));
	EXPECT_EQ("So the answer is: acq", closed("So the answer is: acq", "earn"));
	EXPECT_EQ("voilà The answer is 5.", closed("voilà", "5")) << "a letter whose last byte is 0xa0";
	std::string once = closed("It earns", "earn");
	EXPECT_EQ(once, closed(once, "acq"));
}

TEST(Answer, ClosingSentenceGivesItsAnswerBack)
{
	for (const char *name : topics)
		EXPECT_EQ(name, found(extract(ANSWER_CLASS, topics, closed("gold acq tin", name))));
	for (const char *name : choices)
		EXPECT_EQ(name, found(extract(ANSWER_CHOICE, choices, closed("(B) London", name))));
	for (const char *value : {"5", "53.13", "\\frac{1}{2}", "(1,2)", "x^2+1", "1,000"})
		EXPECT_EQ(value, found(extract(ANSWER_MATH, {}, closed("7", value))));
}

/* Marks that decorate other names belong to these. */
const std::vector<const char *> marked = {"__label__sport", "*nix", "\"quoted\"", "`code`", "_private", ":smile:",
					  "\u00absaid\u00bb", "O'Neil \"Q\"", "6\"", "Rock 'n'", "students'", "earn"};

TEST(Answer, MarksMayBelongToAName)
{
	for (const char *name : marked) {
		EXPECT_EQ(name, found(extract(ANSWER_CLASS, marked, closed("It is so.", name)))) << name;
		EXPECT_EQ(name, found(extract(ANSWER_CLASS, marked, std::string("The answer is: **") + name + "**."))) << name;
		EXPECT_EQ(name, found(extract(ANSWER_CHOICE, marked, closed("It is so.", name)))) << name;
	}
	EXPECT_EQ("earn", found(extract(ANSWER_CLASS, marked, "The answer is _earn_.")));
}

/* Texts on which a second look at what was seen already would show. */
std::vector<std::string> hostile(size_t n)
{
	std::vector<std::string> units = {" ",
					  ".",
					  "the answer is ",
					  "the ",
					  "The answer is gas.) ",
					  "\\boxed{",
					  "{",
					  "}",
					  "\\frac",
					  "\\sqrt[",
					  "1",
					  "1,",
					  "a",
					  "nat-",
					  "(",
					  "\"",
					  ".\"",
					  "\\text{",
					  "-",
					  "5 cm ",
					  "\xff",
					  "\xe2\x80\x9c",
					  "1 ",
					  "\\",
					  "^2",
					  "money-suppl",
					  "the answer",
					  "=",
					  "/",
					  "'",
					  "A "};
	std::vector<std::string> texts;
	for (const std::string &unit : units) {
		std::string text;
		while (text.size() < n)
			text += unit;
		texts.push_back(text);
		texts.push_back("the answer is " + text);
	}
	return texts;
}

double seconds_for(const std::string &text)
{
	clock_t start = clock(); /* of the processor: other programs must not count */
	extract(ANSWER_CLASS, topics, text);
	extract(ANSWER_CHOICE, choices, text);
	extract(ANSWER_MATH, {}, text);
	normal(text);
	closed(text, "x");
	return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* Each blank looked for the end of them all. */
TEST(Answer, BlanksInAMathAnswerTakeLinearTime)
{
	EXPECT_LT(seconds_for("The answer is 1" + std::string(1 << 16, ' ') + "2."), 0.7);
}

/* A quadratic pass over these takes a second or more, a linear one a few hundredths, a few tenths under sanitizers. */
TEST(Answer, TakesLinearTime)
{
	for (const std::string &text : hostile(1 << 15))
		EXPECT_LT(seconds_for(text), 0.7) << text.substr(0, 30);
}

TEST(Answer, StandsRandomText)
{
	std::mt19937 random(7);
	std::vector<std::string> pieces = hostile(1);
	for (int round = 0; round < 3000; round++) {
		std::string text;
		for (unsigned i = random() % 12; i; i--)
			text += pieces[random() % pieces.size()];
		for (int type = 0; type < ANSWER_TYPES; type++) {
			const auto &names = type == ANSWER_CHOICE ? choices : topics;
			answer answer = extract((answer_type)type, names, text);
			if (!answer.found)
				continue;
			EXPECT_GT(answer.span.n, 0u);
			if (type == ANSWER_MATH || type == ANSWER_QA) {
				EXPECT_GE(answer.span.text, text.data());
				EXPECT_LE(answer.span.text + answer.span.n, text.data() + text.size());
			} else {
				EXPECT_LT(answer.index, names.size());
			}
		}
		std::string once = normal(text);
		EXPECT_TRUE(answer_math_equal(once.c_str(), once.c_str())) << text;
	}
}

/* Alike but for case, and for hyphens, blanks and letters outside ASCII: their names may begin as plain ones do. */
const std::vector<std::string> parts = {"a", "A", "-", "\u2010", "\u2011", "\u00c4", "\u00e4", ".", "_", "\xff", "\"", " "};

std::string some_name(const std::vector<std::string> &few, std::mt19937 &random)
{
	std::string name;
	for (unsigned i = 1 + random() % 3; i; i--)
		name += few[random() % few.size()];
	return name;
}

/* Against the task without an index, which compares every name. */
TEST(AnswerIndex, FindsWhatALookAtEveryNameFinds)
{
	std::mt19937 random(11);
	int found = 0;
	for (int round = 0; round < 3000; round++) {
		std::vector<std::string> few(3 + random() % 3), text(random() % 40);
		for (std::string &part : few)
			part = parts[random() % parts.size()];
		for (std::string &name : text)
			name = some_name(few, random);
		std::vector<const char *> names;
		for (const std::string &name : text)
			names.push_back(name.c_str());
		const answer_task task = {ANSWER_CLASS, names.data(), names.size()};
		struct err err;
		answer_index *index = answer_index_new(&task, &err);
		ASSERT_NE(nullptr, index);
		for (int i = 0; i < 10; i++) {
			std::string said = random() % 2 ? "The answer is " : "";
			for (unsigned j = random() % 6; j; j--)
				said += some_name(few, random) + (random() % 2 ? " " : "");
			answer want = {}, got = {};
			answer_extract(&want, &task, said.data(), said.size());
			answer_extract_by(&got, &task, index, said.data(), said.size());
			ASSERT_EQ(want.found, got.found) << said;
			ASSERT_EQ(want.index, got.index) << said;
			ASSERT_EQ(want.span.text, got.span.text) << said;
			found += want.found;
		}
		answer_index_free(index);
	}
	EXPECT_GT(found, 10000);
}

} // namespace
