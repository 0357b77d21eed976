// SPDX-License-Identifier: Apache-2.0
// A teacher's new example: how it is read, why it is refused, and copies of texts that are known.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "src/dataset/synthetic.h"

namespace
{

const std::vector<const char *> topics = {"acq", "earn", "gas", "nat-gas"};

struct Parsed {
	synthetic s;
	synthetic_cause cause = SYNTHETIC_CAUSES;
	answer_task task;

	Parsed(answer_type type, const std::string &text)
	{
		struct err err;
		task = {type, type == ANSWER_CLASS ? topics.data() : nullptr, type == ANSWER_CLASS ? topics.size() : 0};
		EXPECT_EQ(0, synthetic_parse(&s, &cause, &task, text.data(), text.size(), &err));
	}
	~Parsed()
	{
		synthetic_release(&s);
	}
	/* "input|rationale|label", or the cause. */
	std::string all() const
	{
		if (cause)
			return synthetic_causes[cause];
		std::string choices;
		for (size_t i = 0; i < s.n_choices; i++)
			choices += std::string("|") + s.choices[i];
		return std::string(s.input) + "|" + s.rationale + "|" + s.label + choices;
	}
};

struct Case {
	answer_type type;
	std::string text, expected;
};

const Case cases[] = {
	{ANSWER_CLASS, "Input: a text\nRationale: why\nAnswer: earn", "a text|why|earn"},
	{ANSWER_CLASS, "Input: a text\r\nRationale: why\r\nAnswer: earn\r\n", "a text|why|earn"},
	{ANSWER_CLASS, "Sure, here it is:\n\n**Input:** a\ntext\n\n**Rationale:** why\nthen\n\n**Answer:** earn.",
	 "a\ntext|why\nthen|earn"},
	{ANSWER_CLASS, "### Input\na text\n### Rationale\nwhy\n### Answer\nnat-gas", "a text|why|nat-gas"},
	{ANSWER_CLASS, "INPUT: a\nrationale : b\nanswer: EARN", "a|b|earn"},
	{ANSWER_CLASS, "Input: \"a text\"\nRationale: why\nAnswer: \"earn\"", "a text|why|earn"},
	{ANSWER_CLASS, "Input: “a text”\nRationale: why\nAnswer: earn", "a text|why|earn"},
	{ANSWER_CLASS, "Input: \"a\" and \"b\"\nRationale: why\nAnswer: earn", "\"a\" and \"b\"|why|earn"},
	{ANSWER_CLASS, "Input: a\nRationale: b. The answer is gas.", "a|b. The answer is gas.|gas"},
	{ANSWER_CLASS, "Input: a\nRationale: b. The answer is acq.\nAnswer: The answer is gas.",
	 "a|b. The answer is acq.|gas"},
	{ANSWER_CLASS, "Input: a\nRationale: b\nAnswer: gas, not earn", "a|b|gas"},
	{ANSWER_CLASS, "Input: a\nRationale: b\nAnswer: sports", "a|b|sports"},
	{ANSWER_CLASS, "Input: Answer: yes\nAnswer: no\nRationale: b\nAnswer: gas", "Answer: yes\nAnswer: no|b|gas"},
	{ANSWER_CLASS, "Input: a\nChoices: x\nRationale: b\nAnswer: gas", "a\nChoices: x|b|gas"},
	{ANSWER_CLASS, "Input: a\nRationale: b\nAnswer: gas\n\nInput: c\nRationale: d\nAnswer: earn", "a|b|gas"},
	{ANSWER_CLASS, "Input: a\nInputs: the input: b\nRationale: b\nAnswer: gas", "a\nInputs: the input: b|b|gas"},
	{ANSWER_CLASS, "", "no input"},
	{ANSWER_CLASS, "I cannot do that.", "no input"},
	{ANSWER_CLASS, "Rationale: b\nAnswer: gas", "no input"},
	{ANSWER_CLASS, "Input:\nRationale: b\nAnswer: gas", "no input"},
	{ANSWER_CLASS, "Input: ...\nRationale: b\nAnswer: gas", "no input"},
	{ANSWER_CLASS, "Input: a", "no rationale"},
	{ANSWER_CLASS, "Input: a\nAnswer: gas", "no rationale"},
	{ANSWER_CLASS, "Input: a\nRationale:\nAnswer: gas", "no rationale"},
	{ANSWER_CLASS, "Input: a\nRationale: b", "no answer"},
	{ANSWER_CLASS, "Input: a\nRationale: gas\nAnswer:", "no answer"},
	{ANSWER_CLASS, "Input: a\xff\nRationale: b\nAnswer: gas", "not UTF-8 text"},
	{ANSWER_CLASS, std::string("Input: a\0\nRationale: b\nAnswer: gas", 33), "not UTF-8 text"},
	{ANSWER_CHOICE, "Input: q?\nChoices:\nA. x\nB) y\n(c) z\nRationale: b\nAnswer: (B)", "q?|b|B|x|y|z"},
	{ANSWER_CHOICE, "Input: q?\nChoices:\n- x\n- y\nRationale: b\nAnswer: y", "q?|b|B|x|y"},
	{ANSWER_CHOICE, "Input: q?\nChoices:\nx\n\ny z\nRationale: b. The answer is (A).",
	 "q?|b. The answer is (A).|A|x|y z"},
	{ANSWER_CHOICE, "Input: q?\nChoices:\nA. x\nB. y\nRationale: b\nAnswer: b. y", "q?|b|B|x|y"},
	{ANSWER_CHOICE, "Input: q?\nChoices:\nA. x\nRationale: b\nAnswer: A", "no choices"},
	{ANSWER_CHOICE, "Input: q?\nRationale: b\nAnswer: A", "no choices"},
	{ANSWER_CHOICE, "Input: q?\nChoices:\nA. x\nB. y\nRationale: b\nAnswer: E", "no answer"},
	{ANSWER_MATH, "Input: 1+1?\nRationale: one and one\nAnswer: $2$.", "1+1?|one and one|$2$"},
	{ANSWER_MATH, "Input: 1/2?\nRationale: half\nAnswer: \\boxed{0.5}", "1/2?|half|\\boxed{0.5}"},
	{ANSWER_MATH, "Input: 1+1?\nRationale: It follows. The answer is 2.", "1+1?|It follows. The answer is 2.|2"},
	{ANSWER_MATH, "Input: 1+1?\nRationale: It is 2.", "no answer"},
	{ANSWER_QA, "Input: A passage.\nQuestion: who?\nRationale: it says so\nAnswer: Ann.",
	 "A passage.\nQuestion: who?|it says so|Ann"},
};

TEST(Synthetic, EveryForm)
{
	for (const Case &c : cases)
		EXPECT_EQ(c.expected, Parsed(c.type, c.text).all()) << c.text;
}

TEST(Synthetic, MarksMayBelongToAName)
{
	const std::vector<const char *> names = {"__label__sport", "*nix", "\"quoted\"", "O'Neil \"Q\"", "6\"", "students'"};
	const answer_task task = {ANSWER_CLASS, names.data(), names.size()};
	for (const char *name : names)
		for (const std::string &said : {std::string(name), std::string(name) + ".", "The answer is " + std::string(name) + "."}) {
			const std::string text = "Input: a\nRationale: b\nAnswer: " + said;
			synthetic s;
			synthetic_cause cause;
			struct err err;
			ASSERT_EQ(0, synthetic_parse(&s, &cause, &task, text.data(), text.size(), &err));
			EXPECT_STREQ(name, s.label) << said;
			synthetic_release(&s);
		}
}

TEST(Synthetic, NamesEveryCause)
{
	for (int cause = 0; cause < SYNTHETIC_CAUSES; cause++) {
		ASSERT_NE(nullptr, synthetic_causes[cause]);
		for (int other = 0; other < cause; other++)
			EXPECT_STRNE(synthetic_causes[other], synthetic_causes[cause]);
	}
}

TEST(Synthetic, ReadsCutAndGarbledAnswersWithoutHarm)
{
	std::mt19937 random(3);
	for (const Case &c : cases)
		for (size_t n = 0; n <= c.text.size(); n++) {
			Parsed cut(c.type, c.text.substr(0, n));
			EXPECT_LT(cut.cause, SYNTHETIC_CAUSES);
			if (!cut.cause) {
				EXPECT_GT(strlen(cut.s.input), 0u);
				EXPECT_GT(strlen(cut.s.label), 0u);
			}
			std::string garbled = c.text;
			for (int i = 0; i < 3 && !garbled.empty(); i++)
				garbled[random() % garbled.size()] = (char)(random() % 256);
			Parsed ignored(c.type, garbled);
		}
}

struct Known {
	struct copies *copies;

	explicit Known(std::vector<const char *> texts)
	{
		struct err err;
		copies = copies_new(texts.data(), texts.size(), nullptr, &err);
		EXPECT_NE(nullptr, copies);
	}
	~Known()
	{
		copies_free(copies);
	}
	copies_match find(const std::string &text) const
	{
		struct err err;
		copies_match match;
		EXPECT_EQ(0, copies_find(&match, copies, text.data(), text.size(), &err));
		return match;
	}
};

const char long_text[] =
	"The board of Acme Inc said it will pay a dividend of ten cts a share on May one to holders of record";

synthetic_cause verified(const std::string &text, const char *domain, const Known *shown, const Known *test)
{
	struct err err;
	Parsed p(ANSWER_CLASS, text);
	EXPECT_EQ(SYNTHETIC_GOOD, p.cause) << text;
	synthetic_cause cause = SYNTHETIC_CAUSES;
	EXPECT_EQ(0, synthetic_verify(&cause, &p.s, &p.task, domain, shown ? shown->copies : nullptr,
				      test ? test->copies : nullptr, &err));
	return cause;
}

TEST(Synthetic, VerifiesLabelAndCopies)
{
	Known shown({long_text, "short text"}), test({"Oil rose."}), none({});
	const std::string tail = "\nRationale: b\nAnswer: earn";
	EXPECT_EQ(SYNTHETIC_GOOD, verified("Input: new words" + tail, "earn", &shown, &test));
	EXPECT_EQ(SYNTHETIC_GOOD, verified("Input: new words" + tail, "earn", nullptr, nullptr));
	EXPECT_EQ(SYNTHETIC_GOOD, verified("Input: new words" + tail, "earn", &none, &none));
	EXPECT_EQ(SYNTHETIC_OTHER_LABEL, verified("Input: new words" + tail, "acq", &shown, &test));
	EXPECT_EQ(SYNTHETIC_OTHER_LABEL,
		  verified("Input: a\nRationale: b. The answer is acq.\nAnswer: earn", "earn", nullptr, nullptr));
	EXPECT_EQ(SYNTHETIC_GOOD,
		  verified("Input: a\nRationale: b. The answer is unknown.\nAnswer: earn", "earn", nullptr, nullptr));
	EXPECT_EQ(SYNTHETIC_OTHER_LABEL, verified("Input: a\nRationale: b\nAnswer: sports", "earn", nullptr, nullptr));
	EXPECT_EQ(SYNTHETIC_COPIES_DEMONSTRATION, verified("Input: SHORT  text!" + tail, "earn", &shown, &test));
	EXPECT_EQ(SYNTHETIC_COPIES_DEMONSTRATION,
		  verified(std::string("Input: ") + long_text + " as usual" + tail, "earn", &shown, &test));
	EXPECT_EQ(SYNTHETIC_COPIES_TEST, verified("Input: \"oil rose\"" + tail, "earn", &shown, &test));
}

TEST(Copies, FindEqualTexts)
{
	Known known({"One two", "three", "", "One two", "nat-gas"});
	EXPECT_TRUE(known.find("ONE, two.").equal);
	EXPECT_EQ(0u, known.find("one two").index);
	EXPECT_EQ(1u, known.find("Three").index);
	EXPECT_FALSE(known.find("two one").equal);
	EXPECT_FALSE(known.find("onetwo").equal);
	EXPECT_FALSE(known.find("nat gas").equal);
	EXPECT_TRUE(known.find("...").equal) << "no words, like the empty text";
}

TEST(Copies, SignsThatTellAreWords)
{
	Known known({"12 + 4 =", "What is C++?", "3 \xc3\x97 5", "a < b", "50%"});
	EXPECT_TRUE(known.find("12+4 =").equal);
	EXPECT_TRUE(known.find("(12 + 4) =").equal);
	EXPECT_TRUE(known.find("what is c++").equal);
	for (const char *other : {"12 * 4 =", "12 / 4 =", "What is C#?", "What is C?", "3 \xc3\xb7 5", "a > b", "50"})
		EXPECT_FALSE(known.find(other).equal) << other;
	Known plain({"What is the capital of France?"});
	for (const char *marked : {"**What is the capital of France?**", "# What is the capital of France?", "What is the *capital* of France?",
				   "> What is the capital\n> of France?", "* What is the capital\n* of France?", "What is the **capital** of France?",
				   "What is the capital of France?\n=====\n", "\xe2\x97\x8f What is the capital of France?"})
		EXPECT_TRUE(plain.find(marked).equal) << marked;
}

/* What one text shared is forgotten before the next. */
TEST(Copies, TextsAreLookedUpOneByOne)
{
	Known known({long_text, "short"});
	const std::string near = std::string(long_text) + " as usual";
	const copies_match first = known.find(near);
	EXPECT_GT(first.share, 0.8);
	EXPECT_FALSE(known.find("nothing of that").equal);
	EXPECT_EQ(0, known.find("nothing of that").share);
	EXPECT_TRUE(known.find("short").equal);
	EXPECT_TRUE(known.find(long_text).equal);
	EXPECT_DOUBLE_EQ(first.share, known.find(near).share);
}

/* An instruction in front of every question: what stands in many texts is no copy of any, here and where it is borrowed. */
TEST(Copies, WhatManyTextsHaveDoesNotCount)
{
	const std::string instruction = "Read the question with care and choose the one answer that is right among those given. ";
	auto question = [&](int i) {
		std::string text = instruction;
		for (int k = 0; k < 12; k++)
			text += "w" + std::to_string(i) + "x" + std::to_string(k) + " ";
		return text;
	};
	std::vector<std::string> texts;
	for (int i = 0; i < 21; i++)
		texts.push_back(question(i));
	std::vector<const char *> all, few;
	for (size_t i = 0; i < texts.size(); i++) {
		all.push_back(texts[i].c_str());
		if (i < 20)
			few.push_back(texts[i].c_str());
	}
	Known usual(all), known(few);
	/* one in six: a passage, not a template */
	std::vector<std::string> mixed = texts;
	for (int i = 0; i < 110; i++)
		mixed.push_back("another question of " + std::to_string(i) + " words that are its own and of nobody else " + std::to_string(i));
	std::vector<const char *> many;
	for (const std::string &text : mixed)
		many.push_back(text.c_str());
	EXPECT_GT(Known(many).find(question(99)).share, 0.2);
	EXPECT_GT(known.find(question(99)).share, 0.2) << "20 texts are not many";
	EXPECT_EQ(usual.find(question(99)).share, 0);
	const copies_match near = usual.find(question(7) + "so it is");
	EXPECT_EQ(near.index, 7u);
	EXPECT_GT(near.share, 0.7) << "its own words are still found";
	EXPECT_TRUE(usual.find(question(3)).equal);
	const char *three[] = {texts[0].c_str(), texts[1].c_str(), texts[2].c_str()};
	struct err err;
	struct copies_match match;
	struct copies *shown = copies_new(three, 3, usual.copies, &err);
	ASSERT_NE(shown, nullptr);
	const std::string other = question(50), same = question(1) + "now";
	EXPECT_EQ(copies_find(&match, shown, other.data(), other.size(), &err), 0);
	EXPECT_EQ(match.share, 0);
	EXPECT_EQ(copies_find(&match, shown, same.data(), same.size(), &err), 0);
	EXPECT_GT(match.share, COPIES_HIGH);
	copies_free(shown);
}

TEST(Copies, AllNearOnesAreFound)
{
	std::string one = long_text, two = std::string("Again. ") + long_text, text = one + " of today";
	Known known({"other", one.c_str(), "of today", two.c_str(), one.c_str()});
	struct err err;
	copies_match *list = nullptr;
	size_t n = 0;
	ASSERT_EQ(0, copies_near(&list, &n, known.copies, text.data(), text.size(), &err));
	ASSERT_EQ(3u, n);
	EXPECT_EQ(1u, list[0].index);
	EXPECT_EQ(3u, list[1].index);
	EXPECT_EQ(4u, list[2].index);
	EXPECT_FALSE(list[0].equal);
	EXPECT_GT(list[0].share, 0.8);
	EXPECT_EQ(1u, known.find(text).index) << "the first of those that share most";
	free(list);
	ASSERT_EQ(0, copies_near(&list, &n, known.copies, "Of today!", 9, &err));
	ASSERT_EQ(1u, n);
	EXPECT_TRUE(list[0].equal);
	EXPECT_EQ(2u, list[0].index);
	free(list);
	ASSERT_EQ(0, copies_near(&list, &n, known.copies, "none", 4, &err));
	EXPECT_EQ(0u, n);
	free(list);
}

/* The definition, naively: distinct runs of 8 words that the other text has, too. */
double share_of(const std::vector<std::string> &a, const std::vector<std::string> &b)
{
	auto runs = [](const std::vector<std::string> &words) {
		std::vector<std::vector<std::string>> all;
		for (size_t i = 0; i + COPIES_RUN <= words.size(); i++)
			all.emplace_back(words.begin() + (long)i, words.begin() + (long)i + COPIES_RUN);
		std::sort(all.begin(), all.end());
		all.erase(std::unique(all.begin(), all.end()), all.end());
		return all;
	};
	auto x = runs(a), y = runs(b);
	size_t common = 0;
	for (const auto &run : x)
		common += std::binary_search(y.begin(), y.end(), run);
	return x.empty() ? 0 : (double)common / (double)x.size();
}

std::string joined(const std::vector<std::string> &words)
{
	std::string text;
	for (const auto &word : words)
		text += word + " ";
	return text;
}

TEST(Copies, ShareIsThatOfTheDefinition)
{
	std::mt19937 random(11);
	int overlaps = 0;
	for (int round = 0; round < 300; round++) {
		std::vector<std::vector<std::string>> texts(4);
		for (auto &words : texts)
			for (unsigned i = random() % 40; i; i--)
				words.push_back(std::string(1, (char)('a' + random() % 3)));
		for (size_t i = random() % 20; i < texts[0].size() && i < texts[1].size(); i++)
			texts[0][i] = texts[1][i];
		std::vector<std::string> as_text;
		std::vector<const char *> known_texts;
		for (size_t i = 1; i < texts.size(); i++)
			as_text.push_back(joined(texts[i]));
		for (const auto &text : as_text)
			known_texts.push_back(text.c_str());
		double best = 0;
		for (size_t i = 1; i < texts.size(); i++)
			best = std::max(best, share_of(texts[0], texts[i]));
		copies_match match = Known(known_texts).find(joined(texts[0]));
		EXPECT_DOUBLE_EQ(best, match.share);
		if (match.share > 0 && !match.equal) {
			EXPECT_DOUBLE_EQ(best, share_of(texts[0], texts[match.index + 1]));
		}
		overlaps += best > 0 && best < 1;
	}
	EXPECT_GT(overlaps, 30);
}

} // namespace
